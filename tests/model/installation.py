"""A whole Parley of the model: it suffers, comes to rest, and is judged."""

import gc
import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from unittest import mock

import structlog
from model.client import Client
from model.database import Held
from model.faults import hurt
from model.gateway import Gateway
from model.judge import Judge
from model.owner import PARTITIONS, PRESENCE, ROOMS
from model.replica import Replica
from model.rule import Rule
from model.streams import Nats, readable
from model.taste import Taste
from model.world import Process, Work, World

from parley.gateway import deliveries, replay

CLIENTS = 4
REPLICAS = 2
GATEWAYS = 2
FAULTS = 100
REST = 150_000
"""Milliseconds in which everything must have settled."""


class Installation:
    """Streams, rows, and the processes around them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.nats = Nats(world, PARTITIONS)
        self.database = {
            service: [Held(len(service.state(PARTITIONS).tables())) for _ in range(PARTITIONS)]
            for service in (ROOMS, PRESENCE)
        }
        self.replicas: list[Replica] = []
        self.gateways: list[Gateway] = []
        self._names = 0
        self._repair()
        self.clients = [
            Client(world, f"c{number}", lambda: self.gateways, "phone" if number % 2 else None)
            for number in range(CLIENTS)
        ]
        for client in self.clients:
            client.others = [other for other in self.clients if other is not client]
        Process(world, "fate").run(self._happens())

    def live(self) -> None:
        """Suffer, come to rest, and be judged."""
        world = self.world
        while world.trouble:
            world.run(world.now + 1000)
        end = world.now + REST
        while (unrest := next(self._unrest(), None)) and world.now < end and not world.violations:
            world.run(world.now + 1000)
        if unrest is not None:
            world.wrong(f"no rest: {unrest}")
        elif not world.violations:
            Judge(self).look()

    def _happens(self) -> Work:
        world = self.world
        yield 1000
        while world.faults.total() < FAULTS:
            hurt(self)
            self._repair()
            yield world.between(10, 250)
        world.trouble = False
        while True:
            self._repair()
            yield 5000

    def _repair(self) -> None:
        """Start anew what has ended."""
        self.gateways = [gateway for gateway in self.gateways if gateway.alive]
        while sum(gateway.accepts for gateway in self.gateways) < GATEWAYS:
            self.gateways.append(Gateway(self.world, self._name("g"), self.nats))
        self.replicas = [replica for replica in self.replicas if replica.alive]
        for service in (ROOMS, PRESENCE):
            for _ in range(REPLICAS - sum(replica.service is service for replica in self.replicas)):
                name = self._name(f"{service.name}-")
                self.replicas.append(Replica(self.world, name, self.nats, service, self.database[service]))

    def _name(self, kind: str) -> str:
        self._names += 1
        return f"{kind}{self._names}"

    def _unrest(self) -> Iterator[str]:
        """Give what is still going on."""
        for client in self.clients:
            if not client.content:
                yield f"{client.name} waits for {client.life and client.life.unanswered}"
        for gateway in self.gateways:
            if not gateway.awake or not gateway.at_rest:
                yield f"{gateway.name} sleeps, or has sessions that wait"
        yield from self._unwritten()

    def _unwritten(self) -> Iterator[str]:
        here = {gateway.name for gateway in self.gateways}
        for service, rows in self.database.items():
            for partition, held in enumerate(rows):
                log, _ = self.nats.log(partition, service.classes)
                if log and held.cursor < log[-1].sequence:
                    yield f"{service.name} {partition} is at {held.cursor} of {log[-1].sequence}"
                if held.lost:
                    yield f"{service.name} {partition} waits for {sorted(held.lost)}"
                for row in held.connections.values():
                    if row.live and row.gateway not in here:
                        yield f"{service.name} {partition} has {row.id} at {row.gateway}"


def schedules(
    seeds: Iterable[int], without: Collection[Rule] = (), taste: Taste | None = None
) -> Iterator[tuple[int, World]]:
    """Let the schedule of each seed happen, and give its world with what was wrong."""
    quick = mock.patch.object(replay, "readable", readable), mock.patch.object(deliveries, "readable", readable)
    with quick[0], quick[1], _errors() as logged, _uncollected():
        for seed in seeds:
            world = World(seed, without, taste)
            Installation(world).live()
            for error in logged:
                world.wrong(error)
            logged.clear()
            yield seed, world


@contextmanager
def _uncollected() -> Iterator[None]:
    """Let the garbage collector look at worlds alone, and not at all that was imported."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _errors() -> Iterator[list[str]]:
    """Write no logs; give the errors among them."""
    before = structlog.get_config()
    logged: list[str] = []

    def keep(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        logged.append(repr(event))
        raise structlog.DropEvent

    structlog.configure(processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        yield logged
    finally:
        structlog.configure(**before)
