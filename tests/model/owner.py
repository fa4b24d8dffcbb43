"""An owner's loop around the product's own rules: read, reduce, say, and hand over what is to be written."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from model.database import Held
from model.rule import Rule
from model.streams import CREATED, Nats
from model.world import Work, World

from parley.kit import rounds
from parley.kit.bus import Message
from parley.kit.ownership import Marks
from parley.kit.state import State
from parley.presence.presence import Presence
from parley.protocol.commands import FromConnection
from parley.protocol.envelope import Place
from parley.protocol.registry import Connection, Registry
from parley.rooms.rooms import Rooms

if TYPE_CHECKING:
    from model.replica import Replica

PARTITIONS = 3
LIMIT = 1 << 19
BOUND = 20_000
"""Milliseconds without a checkpoint, or a word that the partition is ours, after which an owner waits."""


class Service(NamedTuple):
    """What owns partitions."""

    name: str
    state: Callable[[int], State]
    classes: str


ROOMS = Service("rooms", Rooms, "*")
PRESENCE = Service("presence", Presence, "c")


class Rules(rounds.Rules):
    """The product's, some of which can be left out."""

    def __init__(self, world: World, service: Service, partition: int) -> None:
        state = service.state(PARTITIONS)
        if not world.holds(Rule.SESSIONS):
            state.rows.registry.__class__ = Forgetful  # type: ignore[attr-defined] # both have rows
        if not world.holds(Rule.MOVES_END_A_ROUND):
            state.moves = ()
        self._world = world
        super().__init__(service.name, partition, state, limit=LIMIT)

    def _is_new(self, writer: str, number: int) -> bool:
        rule = Rule.FORWARDS_IN_ORDER if "/" in writer else Rule.BATCH_NUMBERS
        return super()._is_new(writer, number) or not self._world.holds(rule)


class Forgetful(Registry):
    """A registry that takes every session for the one it knows."""

    def heard(self, command: FromConnection, at: Place, *rest: Any, **named: Any) -> Connection | None:
        return super().heard(self._now(command), at, *rest, **named)

    def closed(self, command: FromConnection, at: Place) -> list[Connection]:
        return super().closed(self._now(command), at)

    def _now(self, command: FromConnection) -> FromConnection:
        row = self.connections.get(command.connection)
        if row is None or command.session >= row.session:
            return command
        return FromConnection(app=command.app, connection=command.connection, session=row.session)


class Snapshot(NamedTuple):
    """What a checkpoint writes."""

    cursor: int
    time: int
    marks: Marks
    changes: list[dict[Any, Any]]


class Owner:
    """The owner of one partition, from claim to loss."""

    def __init__(self, replica: "Replica", nats: Nats, service: Service, partition: int, held: Held) -> None:
        self.world = replica.world
        self.partition = partition
        self.held = held
        self.fence = held.claim(replica.name, self.world.now)
        self.rules: Rules | None = None
        self.unsettled: Snapshot | None = None
        """What is being written; again as it is, when nobody knows whether it was."""
        self.stopping = False
        self.stopped = False
        self.renewed = self.world.now
        self._nats = nats
        self._service = service
        self._replica = replica
        self._claimed = held.cursor, held.time, held.marks
        self._at_rest = True
        self._dirty_since: int | None = None
        self._unsaved_since: int | None = None
        self._wanted = False
        self._taken: Snapshot | None = None
        self._task = replica.run(self._live())

    def stop(self) -> None:
        """Have the loop end once what is in hand has been said."""
        self.stopping = True
        self._task.wake()

    def forget(self) -> None:
        """End at once: the partition is another's."""
        self._task.cancel()

    def snapshot(self) -> Snapshot | None:
        """Return what is to be written, if there is something; else ask for it."""
        if self._at_rest or not self.world.holds(Rule.SAID_FIRST):
            self._take()
        else:
            self._wanted = True
        taken, self._taken = self._taken, None
        return taken

    def saved(self) -> None:
        self.unsettled = None
        self._unsaved_since = None

    @property
    def clean(self) -> bool:
        return self.unsettled is None and self._taken is None and self._dirty_since is None

    def _live(self) -> Work:
        world = self.world
        if world.holds(Rule.FENCE) and self.held.fence != self.fence:
            self._replica.lose(self)
            return
        rules = self.rules = self._loaded()
        log, news = self._nats.log(self.partition, self._service.classes)
        index = next((at for at, entry in enumerate(log) if entry.sequence > rules.cursor), len(log))
        self._nats.listen(news, self._task)
        while not self.stopping:
            since = min(self.renewed, self._unsaved_since or self._dirty_since or world.now)
            if world.now - since > BOUND:
                yield 100
                continue
            if index >= len(log):
                yield None
                continue
            entries = log[index : index + world.between(1, 6)]
            index += len(entries)
            self._at_rest = False
            if self._dirty_since is None:
                self._dirty_since = world.now
                self._replica.dirty()
            for round_ in rules.rounds(entries):
                yield from self._say(round_)
            self._at_rest = True
            if self._wanted:
                self._wanted = False
                self._take()
                self._replica.dirty()
            yield world.soon()
        self.stopped = True

    def _loaded(self) -> Rules:
        rules = Rules(self.world, self._service, self.partition)
        for table, rows in zip(rules.state.tables(), self.held.rows, strict=True):
            for key in sorted(rows, key=str):
                table.restore(key, rows[key])
        rules.begin(CREATED, *self._claimed)
        return rules

    def _say(self, round_: rounds.Round) -> Work:
        while self.world.now - self.renewed > BOUND:
            yield 100
        waves = round_.fact_waves()
        for facts in waves if self.world.holds(Rule.FACTS_IN_A_ROW) else [list(chain.from_iterable(waves))]:
            yield from self._store(facts, self._nats.announce)
        stored = [
            self._replica.writer.put_encoded(command.partition, command.kind, command.event)
            for command in round_.forwards
        ]
        for wave in round_.waves(self.partition, LIMIT):
            storing = self._store(wave, self._nats.deliver)
            if self.world.holds(Rule.ONE_ROUND):
                yield from storing
            else:
                self._replica.run(storing)
        while not all(one.done() for one in stored):
            yield 10

    def _store(self, messages: Sequence[Message], store: Callable[[Message], None]) -> Work:
        world, nats = self.world, self._nats
        left = list(messages)
        while left:
            if len(left) > 1:
                world.random.shuffle(left)
            again = []
            for message in left:
                if not nats.publish(self._replica, lambda message=message: store(message)):  # type: ignore[misc] # a default
                    again.append(message)
                if world.chance() < 0.2:
                    yield 1
            left = again
            yield world.between(20, 500) if left else world.soon()

    def _take(self) -> None:
        rules = self.rules
        if self._taken is not None or self._dirty_since is None or rules is None:
            return
        self._unsaved_since, self._dirty_since = self._unsaved_since or self._dirty_since, None
        changes = [table.take_changes() for table in rules.state.tables()]
        self._taken = Snapshot(rules.cursor, rules.time, rules.recent_marks(), changes)
