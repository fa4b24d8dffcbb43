"""A Parley of one partition on paper: commands go in, and its public events come out as backends read them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from parley.kit.bus import Message
from parley.kit.reader import Entry
from parley.kit.rounds import Rules
from parley.presence.presence import Presence
from parley.protocol import commands as c
from parley.protocol import requests as ask
from parley.protocol import subjects
from parley.protocol.envelope import CloudEvent
from parley.protocol.ids import connection_id
from parley.protocol.registry import GRACE_MS
from parley.rooms.rooms import Rooms

APP = "shop"
NOON = 1_769_860_800_000
CREATED = "2026-01-31T12:00:00+00:00"
LIMIT = 1 << 14
"""Bytes that one thing which is said may have; what would be larger fails."""

Step = Sequence[tuple[c.AnyCommand, int]]
"""Commands, each with the milliseconds that have passed before it."""


class OnPaper:
    """Presence and rooms, who read the same log, on a clock that the test turns."""

    def __init__(self) -> None:
        self.presence = Rules("presence", 0, Presence(1), limit=LIMIT)
        self.rooms = Rules("rooms", 0, Rooms(1), limit=LIMIT)
        self.time = NOON
        self._sequence = 0
        self._numbers: dict[str, int] = {}
        for rules in (self.presence, self.rooms):
            rules.begin(CREATED, 0, 0, {})

    def takes(self, command: c.AnyCommand, *, after: int = 1, gateway: str = "g1") -> list[Message]:
        """Reduce a command, and what it makes rooms tell presence; return the public events."""
        self.time += after
        if isinstance(command, c.FromConnection):  # its gateway has been told which session that is
            row = self.presence.state.tables()[0].get(command.connection)
            command = replace(command, session=row.session if row else 1)
        event = CloudEvent(id="1", source="/test", type=c.type_of(command), data=command)
        facts: list[Message] = []
        waiting = [(gateway, c.class_of(command), msgspec.json.encode(event))]
        while waiting:
            writer, kind, encoded = waiting.pop(0)
            self._sequence += 1
            entry = Entry(self._sequence, self.time, subjects.ingress(0, kind), self._batch(writer, encoded))
            for rules in (self.presence, self.rooms) if kind == "c" else (self.rooms,):
                for said in rules.rounds([entry]):
                    facts += said.facts
                    waiting += [("rooms", forward.kind, forward.event) for forward in said.forwards]
        return facts

    def knows(self, name: str) -> bool:
        """Whether somebody is connected."""
        row = self.presence.state.tables()[0].get(id_of(name))
        return row is not None and bool(row.live)

    def _batch(self, writer: str, encoded: bytes) -> bytes:
        number = self._numbers[writer] = self._numbers.get(writer, 0) + 1
        return b'{"gateway":"%b","number":%d,"events":[%b]}' % (writer.encode(), number, encoded)


def id_of(name: str) -> str:
    """Return the connection id of somebody called *name*."""
    return connection_id(0, name.encode().ljust(9, b".")[:9])


def opens(name: str, *, resumable: bool = True, **metadata: Any) -> c.Opened:
    """Let somebody connect."""
    profile = c.Profile(user_id=name, device_id=f"{name}'s phone", metadata=metadata)
    return c.Opened(app=APP, connection=id_of(name), profile=profile, dialect="parley.v1", resumable=resumable)


def asks(name: str, request: ask.AnyRequest) -> c.Asked:
    """Let somebody ask for something."""
    profile = c.Profile(user_id=name, device_id=f"{name}'s phone")
    return c.Asked(
        app=APP, connection=id_of(name), request=request, profile=profile, capacity=10, resumable=True, touched=1
    )


def closes(name: str) -> c.Closed:
    """Let somebody say goodbye."""
    return c.Closed(app=APP, connection=id_of(name), reason="left", code=1000, frames_in=7, frames_out=9)


def describes(name: str, to: str, kind: str) -> c.Asked:
    """Let somebody send an offer or an answer."""
    data = Raw(b'{"description":{"type":"%b","sdp":"v=0"}}' % kind.encode())
    return asks(name, ask.Signal(to=id_of(to), data=data))


def sets(name: str, availability: Any, **metadata: Any) -> c.PresenceSet:
    """Let somebody present itself otherwise."""
    profile = c.Profile(user_id=name, device_id=f"{name}'s phone", metadata=metadata, availability=availability)
    request = ask.SetPresence(availability=availability, metadata=metadata)
    return c.PresenceSet(app=APP, connection=id_of(name), request=request, profile=profile)


QUALITY = ask.PeerQuality(
    connection_id=id_of("bob"),
    state="connected",
    bytes_sent=312_400,
    bytes_received=298_112,
    packets_received=604,
    packets_lost=2,
    jitter_ms=3.5,
    round_trip_ms=24.0,
    local_candidate="host",
    remote_candidate="srflx",
    setup_ms=210.0,
    first_media_ms=480.0,
)
"""What ana can tell of bob after five seconds of a good call."""

EVERYTHING: Step = [
    (opens("ana", mood="good"), 0),
    (opens("bob"), 20),
    (asks("ana", ask.Join(room="tea", metadata={"seat": 1})), 5),
    (asks("bob", ask.Join(room="tea")), 1_000),
    (sets("ana", "busy", mood="better"), 5),
    (asks("ana", ask.Chat(room="tea", id="m1", text="Milk?", data=Raw(b'{"n": 1.0}'))), 700),
    (asks("bob", ask.Chat(room="tea", id="m2", text="x" * LIMIT)), 5),
    (c.PostToRoom(app=APP, room="tea", id="m3", text="Dinner is ready.", user="cook", reply="answer"), 10),
    (describes("ana", "bob", "offer"), 40),
    (c.Tick(app=""), 30_001),
    (describes("ana", "bob", "offer"), 40),
    (describes("bob", "ana", "answer"), 90),
    (asks("ana", ask.Report(room="tea", peers=(QUALITY,))), 5_000),
    (asks("bob", ask.Leave(room="tea")), 60_000),
    (closes("ana"), 3_000),
    (c.GatewayLost(app="", gateway="g1"), 9_000),
    (c.Tick(app=""), GRACE_MS),
]
"""Two people meet, chat, fail to call, call, and go: each kind of public event comes about."""
