"""Of many connections that end at once, one whose end fails holds up no others, and is tried again."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from parley.kit.reader import Entry
from parley.kit.rounds import Round, Rules
from parley.presence.presence import Presence
from parley.presence.rows import Rows as PresenceRows
from parley.protocol import commands as c
from parley.protocol.envelope import CloudEvent
from parley.protocol.ids import connection_id
from parley.protocol.registry import GRACE_MS
from parley.protocol.requests import Join
from parley.rooms import membership
from parley.rooms.rooms import Rooms

CREATED = "2026-01-31T12:00:00.123456+00:00"
PARTITIONS = 4
ANA, BOB, CID = (connection_id(0, name.ljust(9, b".")) for name in (b"ana", b"bob", b"cid"))


class Log:
    """A partition's log, and the rules of one service that read it."""

    def __init__(self, state: Any) -> None:
        self.state = state
        self.rules = Rules("service", 0, state, limit=1 << 19)
        self.rules.begin(CREATED, 0, 0, {})
        self.sequence = 0
        self.time = 1_000

    def take(self, *commands: c.AnyCommand) -> list[str]:
        """Reduce commands of one batch, and return the public events, by type and connection."""
        self.sequence += 1
        events = [CloudEvent(id="1", source="/test", type=c.type_of(command), data=command) for command in commands]
        batch = msgspec.json.encode(c.Batch("g1", self.sequence, events))
        entry = Entry(self.sequence, self.time, "parley.in.0.c", batch)
        return announced(self.rules.rounds([entry]))

    def live(self) -> set[str]:
        return {id_ for id_, row in self.state.rows.registry.connections.rows() if row.live}


def announced(rounds: Iterable[Round]) -> list[str]:
    events = [msgspec.json.decode(fact.payload) for round_ in rounds for fact in round_.facts]
    return [f"{event['type']} {event['data']['connectionId']}" for event in events if "connectionId" in event["data"]]


@pytest.fixture(params=["rooms", "presence"])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Log:
    """Three connections on one gateway, two of which can resume. Bob's end fails when half of it is done."""

    def poison(connection: str) -> None:
        if connection == BOB:
            raise KeyError("bob")

    leave_all, forget = membership.leave_all, PresenceRows.forget

    def leave(rows: Any, connection: str, *rest: Any) -> Iterator[Any]:
        yield from leave_all(rows, connection, *rest)
        poison(connection)

    def forgotten(rows: PresenceRows, connection: str) -> None:
        forget(rows, connection)
        poison(connection)

    monkeypatch.setattr(membership, "leave_all", leave)
    monkeypatch.setattr(PresenceRows, "forget", forgotten)
    log = Log(Rooms(PARTITIONS) if request.param == "rooms" else Presence(PARTITIONS))
    for id_ in (ANA, BOB, CID):
        opened = c.Opened(app="a", connection=id_, profile=c.Profile(), dialect="d", resumable=id_ != ANA)
        log.take(opened, c.Asked(app="a", connection=id_, request=Join(room="r"), resumable=id_ != ANA))
    return log


def ends(announced: list[str]) -> list[str]:
    return [told for told in announced if told.startswith(("room.left", "connection.closed"))]


def test_a_lost_gateway_ends_all_but_the_one_that_fails(log: Log) -> None:
    with capture_logs():
        first = ends(log.take(c.GatewayLost(app="", gateway="g1")))
        log.time += GRACE_MS
        rest = ends(log.take(c.Tick(app="")))

    assert ([told.split()[1] for told in first], [told.split()[1] for told in rest]) == ([ANA], [CID])
    assert log.live() == {BOB}


def test_what_fails_is_as_it_was_and_ends_when_it_can(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    with capture_logs():
        log.take(c.GatewayLost(app="", gateway="g1"))
        log.time += GRACE_MS
        log.take(c.Tick(app=""))
    assert list(log.state.gateways()) == [("g1", False)]  # so that it is found without a lease once more
    monkeypatch.undo()

    log.take(c.GatewayLost(app="", gateway="g1"))
    log.time += GRACE_MS
    told = ends(log.take(c.Tick(app="")))

    assert [end.split()[1] for end in told] == [BOB]
    assert log.live() == set()


def test_a_lost_log_ends_all_but_the_one_that_fails(log: Log) -> None:
    with capture_logs() as logged:
        told = ends(announced([log.rules.log_lost("2026-02-01T00:00:00+00:00")]))

    assert sorted(end.split()[1] for end in told) == sorted((ANA, CID))
    assert log.live() == {BOB}
    assert [line["event"] for line in logged] == ["a part of an event failed; it has changed nothing"]
