"""A process of presence or rooms: it claims partitions, owns them, writes them down, and watches the gateways."""

from model.database import LEASE, Held
from model.owner import Owner, Service
from model.rule import Rule
from model.streams import Nats
from model.world import Process, Work, World
from model.writer import Stored, Writer
from msgspec import json

from parley.protocol.commands import AnyCommand, GatewayBack, GatewayLost, Tick, class_of, type_of
from parley.protocol.envelope import CloudEvent

TTL = 3000
"""How long a gateway without a lease is only missed."""


class Replica(Process):
    """One replica of a service."""

    def __init__(self, world: World, name: str, nats: Nats, service: Service, held: list[Held]) -> None:
        super().__init__(world, name)
        self.writer = Writer(self, nats)
        self.owners: dict[int, Owner] = {}
        self.leaving = False
        self._nats = nats
        self.service = service
        self._held = held
        self._missed: dict[str, int] = {}
        self._under_way: dict[tuple[int, AnyCommand], Stored] = {}
        self._saving = self.run(self._checkpoints())
        self.run(self._beat())
        self.run(self._look())

    def dirty(self) -> None:
        """There is something to write."""
        self._saving.wake()

    def lose(self, owner: Owner) -> None:
        """Forget everything of a partition: it is another's."""
        if self.owners.get(owner.partition) is owner:
            del self.owners[owner.partition]
        owner.forget()

    def leave(self) -> None:
        """End as on SIGTERM: give back what is written down."""
        self.leaving = True
        self.run(self._leave())

    def _beat(self) -> Work:
        world = self.world
        while not self.leaving:
            if not world.fault("no database", 0.02):
                self._tend()
            yield world.beat()

    def _look(self) -> Work:
        while not self.leaving:
            self._watch()
            yield self.world.between(1500, 3500) if self.world.trouble else 6000

    def _tend(self) -> None:
        now = self.world.now
        for owner in list(self.owners.values()):
            if owner.held.fence == owner.fence:
                owner.held.until = now + LEASE
                owner.renewed = now
            else:
                self.lose(owner)
        for partition, held in enumerate(self._held):
            if held.until < now and partition not in self.owners and self.world.chance() < 0.7:
                self.owners[partition] = Owner(self, self._nats, self.service, partition, held)

    def _checkpoints(self) -> Work:
        world = self.world
        while True:
            for owner in list(self.owners.values()):
                if not owner.clean:
                    yield from self._save(owner)
            yield None if all(owner.clean for owner in self.owners.values()) else world.between(80, 200)

    def _save(self, owner: Owner) -> Work:
        world = self.world
        if owner.unsettled is None:
            owner.unsettled = owner.snapshot()
        snapshot = owner.unsettled
        if snapshot is None:
            return
        yield world.soon()
        if world.fault("checkpoint failed", 0.02) or owner.unsettled is not snapshot:
            return
        if owner.held.fence != owner.fence and world.holds(Rule.FENCE):
            self.lose(owner)
            return
        owner.held.write(*snapshot)
        if not world.fault("checkpoint unknown", 0.02):
            owner.saved()

    def _leave(self) -> Work:
        owners = list(self.owners.values())
        for owner in owners:
            owner.stop()
        for owner in owners:
            while self.owners.get(owner.partition) is owner and not (owner.stopped and owner.clean):
                yield from self._save(owner)
                yield 10
            if owner.held.fence == owner.fence:
                owner.held.until = 0
        self.kill()

    def _watch(self) -> None:
        now, leases = self.world.now, self._nats.leases
        for owner in self.owners.values():
            if owner.rules is not None and owner.rules.state.waiting():
                self._write(owner.partition, Tick(app=""))
        named = [
            (owner.partition, gateway, lost)
            for owner in self.owners.values()
            if owner.rules is not None
            for gateway, lost in owner.rules.state.gateways()
        ]
        missed, self._missed = self._missed, {}
        for partition, gateway, lost in named:
            alive = leases.get(gateway, 0) > now
            if not alive:
                since = self._missed[gateway] = missed.get(gateway, now)
                if not lost and now - since >= TTL and self.world.holds(Rule.LOST_GATEWAYS):
                    self._write(partition, GatewayLost(app="", gateway=gateway))
            elif lost:
                self._write(partition, GatewayBack(app="", gateway=gateway))

    def _write(self, partition: int, command: AnyCommand) -> None:
        before = self._under_way.get((partition, command))
        if before is not None and not before.done():
            return
        event = CloudEvent(id="watch", source=f"parley/{self.service.name}", type=type_of(command), data=command)
        encoded = json.encode(event)
        self._under_way[partition, command] = self.writer.put_encoded(partition, class_of(command), encoded)
