"""
Whoever takes a partition over says exactly what its predecessor would have said.

A random log goes through the rules of a service once without a stop, and once with owners that are replaced at random
places by one that loads the rows as PostgreSQL gives them back: through JSON, in the order of their keys.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from structlog.testing import capture_logs

from parley.kit.reader import Entry
from parley.kit.rounds import Round, Rules
from parley.kit.rows import Rows
from parley.presence.store import store_of as store_of_presence
from parley.protocol import commands as c
from parley.protocol import requests as ask
from parley.protocol.envelope import CloudEvent
from parley.protocol.ids import connection_id
from parley.rooms.store import store_of as store_of_rooms

CREATED = "2026-01-31T12:00:00.123456+00:00"
ENTRIES = 200
REPLACED = 0.6
PARTITIONS = 4
HERE = 1
GATEWAYS = ("g1", "g2", "g3")
SDP = '{"type":"%s","sdp":"v=0\\r\\na=ice-ufrag:%s\\r\\n"}'

QUALITY = ask.PeerQuality(
    connection_id=connection_id(HERE, b"123456789"),
    state="connected",
    bytes_sent=1,
    bytes_received=2,
    packets_received=1,
    packets_lost=0,
    jitter_ms=1.0,
    round_trip_ms=0.1,
)


class World:
    """Clients, gateways and backends that do what they may, in an order that may make no sense."""

    def __init__(self, seed: int, session_of: Callable[[str], int]) -> None:
        """*session_of* says in which session a connection is, as it would have been told."""
        self.dice = random.Random(seed)
        self.session_of = session_of
        self.numbers = dict.fromkeys((*GATEWAYS, "service"), 0)
        self.time = 1_000_000
        self.here: list[str] = []
        """Connections whose home is here, and those that only came here to join a room."""
        self.elsewhere: list[str] = [self.fresh(HERE + 1) for _ in range(4)]

    def entry(self, sequence: int) -> Entry:
        """Return the next entry of the log."""
        writer = self.dice.choice([*GATEWAYS, "service"])
        self.numbers[writer] += 1
        self.time += self.dice.choice([1, 50, 3_000, 20_000])
        commands = [self.command() for _ in range(self.dice.randint(1, 3))]
        events = [
            CloudEvent(id=str(index), source="/test", type=c.type_of(command), data=command)
            for index, command in enumerate(commands)
        ]
        batch = c.Batch(writer, self.numbers[writer], events)
        return Entry(sequence, self.time, "parley.in.1.m", msgspec.json.encode(batch))

    def fresh(self, home: int) -> str:
        """Return the id of a new connection."""
        return connection_id(home, self.dice.randbytes(9))

    def connection(self) -> str:
        """Return the id of a connection, newer ones rather than older ones."""
        return self.dice.choice([*self.here[-8:], *self.elsewhere])

    def profile(self, connection: str) -> c.Profile:
        metadata = {"n": self.dice.randint(0, 3), "z": 1, "a": {"y": 1, "b": 2}}
        return c.Profile(
            user_id=connection[-3:], device_id=self.dice.choice([None, "phone", "desk"]), metadata=metadata
        )

    def who(self, connection: str) -> dict[str, Any]:
        late = self.dice.random() < 0.1
        return {"app": "app", "connection": connection, "session": max(1, self.session_of(connection) - late)}

    def command(self) -> c.AnyCommand:  # noqa: PLR0911 - one for each kind
        who = self.who(self.connection())
        profile = self.profile(who["connection"])
        resumable = self.dice.random() < 0.7
        match self.dice.randint(0, 13):
            case 0 | 1:
                self.here.append(self.fresh(HERE))
                who |= {"connection": self.here[-1], "session": 1}
                return c.Opened(**who, profile=profile, subject="s", dialect="parley.v1", resumable=resumable)
            case 2:
                return c.Closed(**who, reason="left", code=1000)
            case 3 if self.here:
                return c.Resume(**who | {"connection": self.dice.choice(self.here[-8:])}, attempt="x")
            case 4:
                who = self.who(self.dice.choice(self.elsewhere))
                return c.Moved(**who | {"session": who["session"] + 1}, resumable=resumable)
            case 5:
                lost = self.dice.choice(GATEWAYS)
                return c.GatewayLost(app="", gateway=lost) if resumable else c.GatewayBack(app="", gateway=lost)
            case 6:
                return c.Tick(app="")
            case 7:
                wish = ask.SetPresence(ref="p", availability=self.dice.choice(["busy", "away"]))
                return c.PresenceSet(**who, request=wish, profile=profile)
            case 8:
                return self.dice.choice(self.of_backends(who["connection"]))
            case _:
                request = self.request()
                return c.Asked(**who, request=request, profile=profile, capacity=4, resumable=resumable, touched=0b1011)

    def of_backends(self, connection: str) -> list[c.AnyCommand]:
        app, room = "app", self.dice.choice("rst")
        return [
            c.Remove(app=app, connection=connection, reply="answer"),
            c.Describe(app=app, connection=connection, reply="answer"),
            c.RemoveMember(app=app, room=room, connection=connection, reply="answer"),
            c.PostToConnection(app=app, connection=connection, data="{}", reply="answer"),
            c.PostToRoom(app=app, room=room, id="i", text="text", reply="answer"),
            c.Negotiated(app=app, pair=(connection, self.connection()), time=self.time),
            c.Calling(app=app, connection=connection, call=room, lasting=self.dice.random() < 0.5),
            c.InRoom(app=app, connection=connection, room=room, member=self.dice.random() < 0.5),
        ]

    def request(self) -> ask.AnyRequest:
        room = self.dice.choice("rst")
        sdp = SDP % (self.dice.choice(["offer", "answer"]), self.dice.choice("uv"))
        candidate = '{"candidate":{"candidate":"candidate:1","usernameFragment":"u"}}'
        data = Raw(self.dice.choice(['{"description":' + sdp + "}", candidate, '{"b": 1.0, "a": []}', sdp]).encode())
        since = ask.Since(epoch="e", position=self.dice.randint(0, 3)) if self.dice.random() < 0.3 else None
        requests: list[ask.AnyRequest] = [
            ask.Join(ref="j", room=room, since=since, metadata={"k": 1}),
            ask.Join(room=room, announce_again=True),
            ask.Leave(ref="l", room=room),
            ask.Send(ref="s", room=room, data=data),
            ask.Chat(ref="c", room=room, id="i", text="text", data=data),
            ask.Relay(room=room, text=bytes(data).decode() if since else "text"),
            ask.Report(ref="q", room=room, peers=(QUALITY,)),
            ask.Signal(ref="g", to=self.connection(), data=data),
        ]
        return self.dice.choice(requests)


def owner_of(service: str, store: Rows, before: Rules | None = None) -> Rules:
    """Return a new owner, which loads what the one *before* has checkpointed."""
    state = store._state(HERE)
    owner = Rules(service, HERE, state, limit=1 << 19)
    if before is None:
        owner.begin(CREATED, 0, 0, {})
        return owner
    tables: Sequence[Any] = before.state.tables()
    for old, new, kept in zip(tables, state.tables(), store._kept, strict=True):
        rows = [kept._decoder.decode(msgspec.json.encode(row)) for _, row in old.rows()]
        for key, row in sorted(((kept._key(row), row) for row in rows), key=lambda pair: pair[0]):
            new.restore(key, row)
    owner.begin(before.stream, before.cursor, before.time, before.recent_marks())
    return owner


def words(rounds: list[Round]) -> dict[str, list[Any]]:
    """All that is said, by where it goes, in order; to whom a delivery goes has no order."""
    said: dict[str, list[Any]] = {}
    for round_ in rounds:
        for gateway, told in round_.deliveries.items():
            for one in told:
                event = msgspec.json.decode(one)
                event["data"]["to"].sort()
                said.setdefault(gateway, []).append(event)
        said.setdefault("facts", []).extend(round_.facts)
        said.setdefault("forwards", []).extend(round_.forwards)
        said.setdefault("replies", []).extend(round_.replies)
    return said


def rows_of(owner: Rules) -> list[Any]:
    return [sorted((key, msgspec.json.encode(row)) for key, row in table.rows()) for table in owner.state.tables()]


def session_in(owner: Rules) -> Callable[[str], int]:
    """Return what tells the session of a connection, as a service's registry of connections has it."""
    connections: Any = owner.state.tables()[0]

    def session_of(connection: str) -> int:
        row = connections.get(connection)
        return 1 if row is None else int(row.session)

    return session_of


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize(("service", "store_of"), [("rooms", store_of_rooms), ("presence", store_of_presence)])
def test_a_successor_says_what_its_predecessor_would_have_said(
    service: str, store_of: Callable[[int], Rows], seed: int
) -> None:
    store = store_of(PARTITIONS)
    one = owner_of(service, store)
    world = World(seed, session_in(one))
    log: list[Entry] = []
    expected: list[Round] = []
    with capture_logs() as logged:
        for sequence in range(1, ENTRIES + 1):
            log.append(world.entry(sequence))
            expected += one.rounds(log[-1:])

        owner, found, rest = owner_of(service, store), [], log
        while rest:
            cut = world.dice.randint(1, 12)
            found += list(owner.rounds(rest[:cut]))
            rest = rest[cut:]
            if world.dice.random() < REPLACED:
                owner = owner_of(service, store, before=owner)

    assert [entry for entry in logged if entry["log_level"] == "error"] == []
    assert words(found) == words(expected)
    assert rows_of(owner) == rows_of(one)
