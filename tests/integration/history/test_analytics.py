"""Calls and activity over time: whole steps, all of them, and each event counted once."""

import asyncio
import time
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import text
from support.eventually import eventually
from support.history import Replica, replica
from support.said import NOON, Room, publish

from parley.history import store
from parley.history.activity import Arrived, Happened
from parley.history.pruning import prune
from parley.kit.bus import Bus, Message
from parley.kit.migrate import migrate
from parley.protocol.clock import rfc3339
from parley.protocol.requests import PeerQuality

HOUR = 3_600_000
AT_NOON: dict[str, Any] = {"from": rfc3339(NOON - HOUR), "to": rfc3339(NOON + 2 * HOUR)}
"""14:06 to 17:06 by UTC: four steps of an hour, and NOON is in the second."""


def path(first_media_ms: float | None) -> PeerQuality:
    return PeerQuality(
        connection_id="bob------------=",
        state="connected",
        bytes_sent=0,
        bytes_received=0,
        packets_received=0,
        packets_lost=0,
        first_media_ms=first_media_ms,
    )


async def test_calls_are_summed_up_by_step(history: Replica, bus: Bus) -> None:
    said = []
    for number in range(4):
        room = Room(f"room-{number % 2}", now=NOON + number * 1000)
        said += [room.offers("ana", "bob")]
        room.now += 100 * number
        said += [room.answers("bob", "ana"), room.calls(f"call-{number}", "ana", "bob")]
        began = room.now - 1
        room.now += 10
        said += [room.reports("ana", f"call-{number}", path(400.0 + number)) for _ in range(3)]
        said += [room.reports("ana", f"call-{number}", path(900.0))]
        room.now = began + 600
        said += [room.hangs_up(f"call-{number}", "ana", "bob", began=began)]
    await publish(bus, *said, Room(now=NOON).fails("cid", "bob"))
    await history.acknowledged()

    answer = await history.get("/v1/analytics/calls", **AT_NOON)
    of_room = await history.get("/v1/analytics/calls", room="room-1", step="day", **AT_NOON)

    nothing = {
        "calls": 0,
        "offers": 0,
        "answered": 0,
        "failed": 0,
        "successRate": None,
        "durationMs": {"p50": None, "p95": None},
        "setupMs": {"p50": None, "p95": None, "p99": None},
        "firstMediaMs": {"p50": None, "p95": None, "p99": None},
    }
    assert answer == {
        "items": [
            {"time": "2025-06-15T14:00:00.000Z", **nothing},
            {
                "time": "2025-06-15T15:00:00.000Z",
                "calls": 4,
                "offers": 4,
                "answered": 4,
                "failed": 1,
                "successRate": 0.8,
                "durationMs": {"p50": 600.0, "p95": 600.0},
                "setupMs": {"p50": 152.0, "p95": 287.0, "p99": 299.0},
                "firstMediaMs": {"p50": 401.5, "p95": 402.9, "p99": 403.0},
            },
            {"time": "2025-06-15T16:00:00.000Z", **nothing},
            {"time": "2025-06-15T17:00:00.000Z", **nothing},
        ],
        "next": None,
    }
    [day] = of_room["items"]
    assert (day["time"], day["calls"], day["offers"], day["failed"]) == ("2025-06-15T00:00:00.000Z", 2, 2, 0)
    assert day["firstMediaMs"]["p50"] == 402.0


async def test_calls_that_last_are_summed_up_without_a_duration(history: Replica, bus: Bus) -> None:
    """A step in which calls began and none has ended yet."""
    room = Room(now=NOON)
    await publish(bus, room.calls("call-1", "ana", "bob"))
    await history.acknowledged()

    _, step, *_ = (await history.get("/v1/analytics/calls", **AT_NOON))["items"]

    assert (step["calls"], step["durationMs"]) == (1, {"p50": None, "p95": None})


SPANS: list[tuple[str, dict[str, Any], int]] = [
    ("calls", {}, 25),
    ("calls", {"step": "minute"}, 61),
    ("calls", {"step": "day"}, 31),
    ("calls", {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, 0),
    ("calls", {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:00.001Z"}, 1),
    ("calls", {"from": "2026-01-01T00:00:00Z", "to": "2026-02-11T16:00:00Z"}, 1000),
    ("calls", {"from": "0001-01-01T00:00:00Z", "to": "0001-01-01T01:00:00Z"}, 1),
    ("calls", {"from": "9999-12-31T22:30:00Z", "to": "9999-12-31T23:00:00Z"}, 1),
    ("activity", {}, 61),
    ("activity", {"step": "second"}, 601),
    ("activity", {"step": "hour"}, 25),
]

REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("calls", {"from": "2026-01-01T00:00:00Z", "to": "2026-02-11T16:00:00.001Z"}),
    ("calls", {"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z", "step": "day"}),
    ("calls", {"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z", "step": "minute"}),
    ("calls", {"from": "0001-01-01T00:00:00Z"}),
    ("calls", {"to": "0001-01-01T00:00:00Z"}),
    ("calls", {"from": "9999-12-31T23:30:00Z", "to": "9999-12-31T23:59:59Z"}),
    ("calls", {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}),
    ("calls", {"from": "yesterday"}),
    ("calls", {"step": "second"}),
    ("calls", {"step": "week"}),
    ("calls", {"room": "a\0b"}),
    ("calls", {"room": ""}),
    ("activity", {"step": "day"}),
    ("activity", {"step": "second", "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:09Z"}),
    ("activity", {"step": "minute", "from": "2026-01-01T00:00:00Z", "to": "2026-01-09T00:00:09Z"}),
    ("activity", {"room": "r1"}),
]


async def test_every_step_of_a_span_is_there_and_too_many_are_refused(history: Replica) -> None:
    """The step that has begun is one of them."""
    for what, query, count in SPANS:
        items = (await history.get(f"/v1/analytics/{what}", **query))["items"]
        times = [item["time"] for item in items]
        assert count - 1 <= len(items) <= count, (what, query)  # when now begins a step it is one less
        assert times == sorted(set(times)), (what, query)
    for what, query in REFUSED:
        problem = await history.get(f"/v1/analytics/{what}", status=400, **query)
        assert problem["code"] == "bad_request", (what, query)
        assert len(problem["message"]) > 10


def activity(items: list[dict[str, Any]]) -> dict[str, int]:
    """Return what happened over all steps, without what did not."""
    sums: Counter[str] = Counter()
    for item in items:
        sums.update({name: count for name, count in item.items() if name != "time"})
    return dict(+sums)


async def test_each_event_is_counted_once_by_two_replicas_that_fail_now_and_then(
    nats_url: str, database_url: str, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit of which nobody hears, and a consumer that begins anew, count nothing twice."""
    await migrate(database_url, "parley.history")
    now = time.time_ns() // 1_000_000
    room = Room(now=now)
    written = store.write
    tries = iter(range(10_000))

    async def sometimes_unheard(db: Any, *given: Any) -> store.Learned:
        learned = await written(db, *given)
        if next(tries) % 3 == 0:
            await db.commit()
            raise TimeoutError("the commit was not heard of")
        return learned

    monkeypatch.setattr(store, "write", sometimes_unheard)
    async with (
        replica(nats_url, database_url, batch=10) as one,
        replica(nats_url, database_url, batch=10),
    ):
        for number in range(10):
            said = [room.says("x") for _ in range(20)]
            said += [room.calls(f"call-{number}", "ana", "bob"), room.offers("ana", "bob"), room.answers("bob", "ana")]
            await publish(bus, *said, room.fails("ana", "bob"), room.created())
        await one.acknowledged()
        expected = {"messages": 200, "callsStarted": 10, "offers": 10, "negotiationsFailed": 10}
        assert activity((await one.get("/v1/analytics/activity"))["items"]) == expected

    monkeypatch.undo()
    await bus.js.delete_consumer("EVENTS", "history")
    async with replica(nats_url, database_url, batch=100) as third:
        await publish(bus, room.says("one more"))
        await third.has("messages", 201)
        await third.acknowledged()

        for step in ("second", "minute", "hour"):
            items = (await third.get("/v1/analytics/activity", step=step))["items"]
            assert activity(items) == expected | {"messages": 201}, step
        async with third.db.connect() as connection:
            done = await connection.scalar(text("select cast(done as text) from history.counted"))
        assert done == "{[1,252)}", "what is counted stays a few ranges"


async def test_of_two_transactions_with_the_same_event_one_counts_it(history: Replica) -> None:
    """The later one waits for the earlier, and finds it done."""
    arrived = Arrived("stream", [(7, Happened("default", "joins", NOON)), (9, None)])

    async def count(what: Arrived) -> None:
        async with history.db.begin() as connection:
            await store.write(connection, (), what)

    async def waits() -> str | None:
        waiting = (
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
        async with history.db.connect() as connection:
            return None if await connection.scalar(text(waiting)) else "nobody waits yet"

    await count(Arrived("stream", [(1, None)]))
    async with history.db.begin() as earlier:
        await store.write(earlier, (), arrived)
        later = asyncio.create_task(count(arrived))
        await eventually(waits)
    await later
    await count(Arrived("another stream", arrived.events))

    items = (await history.get("/v1/analytics/activity", step="hour", **AT_NOON))["items"]
    assert [item["joins"] for item in items] == [0, 2, 0, 0]


async def test_what_is_not_an_event_is_done_with(history: Replica, bus: Bus) -> None:
    """A hole for each would cut what is counted to pieces."""
    bad = Message("parley.events.default.message.posted", b"[]")
    room = Room()
    room.position = 2**63 - 1
    unstorable = room.says("x")

    await publish(bus, bad, Room().says("hi"), unstorable, Room("r2").says("hi"))
    await history.acknowledged()

    assert await history.rows("parked") == 2
    items = (await history.get("/v1/analytics/activity", step="hour", **AT_NOON))["items"]
    assert activity(items) == {"messages": 2}
    async with history.db.connect() as connection:
        assert await connection.scalar(text("select cast(done as text) from history.counted")) == "{[1,5)}"


async def test_what_is_older_than_it_is_kept_goes(history: Replica, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parley.history.pruning.PORTION", 2)
    now = time.time_ns() // 1_000_000
    said = []
    for began in (now - 3 * 86_400_000, now - 2 * HOUR, now):
        room = Room(f"room-{began}", now=began)
        said += [room.offers("ana", "bob"), room.answers("bob", "ana"), room.calls(f"call-{began}", "ana", "bob")]
        said += [room.reports("ana", f"call-{began}", path(1.0)) for _ in range(3)]
    await publish(bus, *said)
    await history.acknowledged()
    tables = ("reports", "steps", "activity where grain = 60", "activity where grain = 1", "calls", "first_media")
    before = [await history.rows(table) for table in tables]

    await prune(history.db, detail_days=1)

    assert before == [9, 6, 3, 3, 3, 3]
    assert [await history.rows(table) for table in tables] == [6, 4, 2, 1, 3, 3]
    assert [call["setupMs"] for call in (await history.get("/v1/calls"))["items"]] == [2, 2, 2], "it stays known"
