"""
What an owner notices by itself and writes into its own partition: that time passes, that a gateway holds no lease.

Nothing of it acts on the state directly. It goes through the log like everything else, so every replica and every
service that reads the partition hears it at the same place. Each service watches for itself, because one that is
away must not keep another's state waiting; so these commands can come twice, and change nothing the second time.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import nats.errors
import structlog
from nats.js.errors import APIError, KeyNotFoundError
from nats.js.kv import KeyValue

from parley.kit import metrics
from parley.kit.bus import Bus
from parley.kit.owner import Owner
from parley.kit.streams import LEASE_SECONDS
from parley.kit.writer import Writer
from parley.protocol import subjects
from parley.protocol.commands import AnyCommand, GatewayBack, GatewayLost, Tick, type_of
from parley.protocol.envelope import CloudEvent

EVERY_SECONDS: Final = 1.0

_GATEWAYS: Final = metrics.asked(
    "lease_gateways",
    "Gateways that have connections in the partitions owned here, by their lease: `held` or `missing`.",
    "lease",
)
_MISSING: Final = metrics.asked(
    "lease_missing_seconds",
    "For how long a gateway has held no lease that still has connections in the partitions owned here: the longest, "
    "as last looked; 0 if there is none. Owners end such connections after some 40.",
)

_log = structlog.get_logger("parley.watch")

Said = tuple[int, str]
"""A partition, and what was written into it."""


class Watch:
    """The watch over all partitions of a process."""

    def __init__(self, bus: Bus, writer: Writer, service: str, owners: Callable[[], Iterable[Owner]]) -> None:
        self._bus = bus
        self._writer = writer
        self._source = f"parley/{service}"
        self._owners = owners
        self._count = 0
        self._missed: dict[str, float] = {}
        """Gateways without a lease, and since when."""
        self._held = 0
        """Gateways with one."""
        self._longest = 0.0
        """For how long one had been missed at the last look: while NATS is away nobody can know."""
        self._under_way: dict[Said, asyncio.Future[None]] = {}

    async def run(self) -> None:
        """Look once a second."""
        with _GATEWAYS.by(self._gateways), _MISSING.by(lambda: {(): self._longest}):
            await self._watch()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self._bus.connected.wait()
            self._time_passes()
            try:
                await self._leases()
            except (nats.errors.Error, APIError, TimeoutError) as error:
                _log.debug("the leases cannot be seen", error=error)

    def tick(self, partition: int) -> None:
        """Write a tick into a partition."""
        self._write(partition, Tick(app=""))

    def _time_passes(self) -> None:
        for owner in self._owners():
            if owner.state is not None and owner.state.waiting():
                self.tick(owner.partition)

    async def _leases(self) -> None:
        named = {
            (owner.partition, gateway, lost)
            for owner in self._owners()
            if owner.state is not None
            for gateway, lost in owner.state.gateways()
        }
        alive = await self._alive({gateway for _, gateway, _ in named})
        now = asyncio.get_running_loop().time()
        self._missed = {gateway: self._missed.get(gateway, now) for _, gateway, _ in named if gateway not in alive}
        self._held = len(alive)
        self._longest = now - min(self._missed.values(), default=now)
        for partition, gateway, lost in sorted(named):
            if lost and gateway in alive:
                self._write(partition, GatewayBack(app="", gateway=gateway))
            elif not lost and gateway in self._missed and now - self._missed[gateway] >= LEASE_SECONDS:
                self._write(partition, GatewayLost(app="", gateway=gateway))

    def _gateways(self) -> metrics.Readings:
        return {("held",): self._held, ("missing",): len(self._missed)}

    async def _alive(self, gateways: set[str]) -> set[str]:
        """Return those that hold a lease."""
        if not gateways:
            return set()
        bucket = await self._bus.js.key_value(subjects.LEASES)
        held = await asyncio.gather(*(_is_held(bucket, gateway) for gateway in gateways))
        return {gateway for gateway, is_held in zip(gateways, held, strict=True) if is_held}

    def _write(self, partition: int, command: AnyCommand) -> None:
        kind = f"{type_of(command)} {getattr(command, 'gateway', '')}"
        before = self._under_way.get((partition, kind))
        if before is not None and not before.done():
            return  # the log is away, or full; once is enough
        self._count += 1
        event = CloudEvent(
            id=f"{self._writer.name}.{self._count}", source=self._source, type=type_of(command), data=command
        )
        self._under_way[partition, kind] = self._writer.put(partition, event)
        if not isinstance(command, Tick):
            _log.warning(type_of(command), partition=partition, gateway=getattr(command, "gateway", None))


async def _is_held(bucket: KeyValue, gateway: str) -> bool:
    try:
        await bucket.get(gateway)
    except KeyNotFoundError:  # or deleted, which is one of these
        return False
    return True
