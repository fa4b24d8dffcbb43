"""Events become rows, each once, whatever happens to whom in between."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.eventually import eventually
from support.history import Replica, replica
from support.said import NOON, Room, publish

from parley.cli.embedded import Server
from parley.history.inbox import Inbox
from parley.kit.bus import Bus, Message
from parley.kit.migrate import migrate
from parley.protocol.clock import rfc3339

HOSTILE = '{"big":123456789012345678901234567890,"far":1e999,"nul":"\\u0000","a":1,"a":2, "s" : [ ] }'


async def test_chat_is_stored_to_the_letter(history: Replica, bus: Bus) -> None:
    await publish(bus, Room().says("hi", data=HOSTILE.encode()))
    await history.has("messages", 1)

    answer = await history.rest.get("/v1/rooms/r1/messages")

    assert f'"data":{HOSTILE}' in answer.text


async def test_a_nul_in_a_text_is_replaced(history: Replica, bus: Bus) -> None:
    await publish(bus, Room().says("a\0b", user="u\0"))
    await history.has("messages", 1)

    [message] = (await history.get("/v1/rooms/r1/messages"))["items"]

    assert (message["text"], message["userId"]) == ("a\ufffdb", "u\ufffd")


async def test_an_event_delivered_again_is_stored_once(history: Replica, bus: Bus) -> None:
    room = Room()
    said = [room.says("one"), room.says("two"), room.calls("call", "ana", "bob")]
    said.append(room.hangs_up("call", "ana", "bob", began=NOON))
    await publish(bus, *said)
    again = [Message(message.subject, message.payload, f"again-{message.id}") for message in said]

    await publish(bus, *again)
    await history.acknowledged()

    assert [await history.rows(table) for table in ("messages", "calls", "participants")] == [2, 1, 2]


async def test_the_end_of_a_call_may_come_before_its_start(history: Replica, bus: Bus) -> None:
    room = Room()
    start, end = room.calls("call", "ana", "bob"), room.hangs_up("call", "ana", "bob", "cid", began=NOON)
    await publish(bus, end)
    await history.has("calls", 1)

    await publish(bus, start)
    await history.acknowledged()

    call = await history.get("/v1/calls/call")
    assert call["state"] == "ended"
    assert [who["userId"] for who in call["participants"]] == ["ana", "bob", "cid"]


async def test_the_start_and_the_end_of_a_call_may_come_together(history: Replica, bus: Bus) -> None:
    room = Room()

    await publish(bus, room.calls("call", "ana", "bob"), room.hangs_up("call", "ana", "bob", began=NOON))
    await history.acknowledged()

    call = await history.get("/v1/calls/call")
    assert (call["state"], len(call["participants"])) == ("ended", 2)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", b"[]", b'{"type":"message.posted"}', b'{"type":"message.posted","time":"now","data":{}}'],
)
async def test_a_message_that_is_no_event_is_parked_and_stops_nobody(
    history: Replica, bus: Bus, payload: bytes
) -> None:
    await publish(bus, Message("parley.events.default.message.posted", payload), Room().says("hi"))

    await history.has("messages", 1)
    await history.has("parked", 1)
    await history.acknowledged()


async def test_a_row_that_postgresql_refuses_is_parked_and_stops_nobody(history: Replica, bus: Bus) -> None:
    """A position may pass JSON and not the column; the others of its batch are stored."""
    room = Room()
    room.position = 2**63 - 1
    bad = room.says("bad")
    room.position = 0

    await publish(bus, bad, *(room.says(f"{number}") for number in range(5)))

    await history.has("messages", 5)
    await history.has("parked", 1)
    await history.acknowledged()


async def test_a_postgresql_that_is_away_loses_nothing(nats_url: str, own_postgres: Server, bus: Bus) -> None:
    await migrate(own_postgres.url, "parley.history")
    room = Room()
    async with replica(nats_url, own_postgres.url) as history:
        await publish(bus, *(room.says(f"before {number}") for number in range(20)))
        await history.has("messages", 20)
        await eventually(history.recorder.behind)

        await own_postgres.kill()
        await publish(bus, *(room.says(f"while away {number}") for number in range(1200)))
        await eventually(lambda: None if history.recorder._target is None else "it has not noticed")
        assert await history.recorder.behind()
        await own_postgres.start()
        await eventually(history.recorder.behind)

        assert await history.rows("messages") == 1220, "ready means that all is written"


async def test_a_restart_of_nats_loses_nothing(history: Replica, bus: Bus, nats_server: Server) -> None:
    room = Room()
    await publish(bus, room.says("before"))
    await history.has("messages", 1)

    await nats_server.restart()
    await publish(bus, room.says("after"))

    await history.has("messages", 2)


async def test_a_nats_that_was_wiped_is_read_from_its_new_beginning(
    history: Replica, bus: Bus, nats_server: Server, tmp_path: Path
) -> None:
    room = Room()
    await publish(bus, room.says("before"))
    await history.has("messages", 1)

    await nats_server.kill()
    shutil.rmtree(tmp_path / "nats-server" / "data")
    await nats_server.start()
    await publish(bus, room.says("after"))

    await history.has("messages", 2)
    await eventually(history.recorder.behind)
    span: dict[str, Any] = {"from": rfc3339(NOON), "to": rfc3339(NOON + 1)}
    [minute] = (await history.get("/v1/analytics/activity", **span))["items"]
    assert minute["messages"] == 2, "the first event of another stream is another one"


async def test_two_replicas_share_the_events(nats_url: str, database_url: str, bus: Bus) -> None:
    await migrate(database_url, "parley.history")
    room = Room()
    async with (
        replica(nats_url, database_url, batch=10) as one,
        replica(nats_url, database_url, batch=10) as other,
    ):
        for _ in range(20):
            await publish(bus, *(room.says("x") for _ in range(50)))
        await one.has("messages", 1000)
        await one.acknowledged()

        assert (await one.get("/v1/rooms/r1/messages"))["items"] == (await other.get("/v1/rooms/r1/messages"))["items"]


async def test_what_a_replica_had_in_hand_goes_to_another_one_at_once(
    nats_url: str, own_postgres: Server, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without waiting until its acknowledgement would be overdue, which it never is here."""
    monkeypatch.setattr("parley.history.inbox.ACK_SECONDS", 3600.0)
    await migrate(own_postgres.url, "parley.history")
    room = Room()
    async with replica(nats_url, own_postgres.url) as one:
        await own_postgres.kill()
        await publish(bus, room.says("x"))
        await eventually(lambda: None if one.recorder._target is None else "it has not noticed")
    await own_postgres.start()

    async with replica(nats_url, own_postgres.url) as other:
        await other.has("messages", 1)


async def test_a_consumer_that_was_deleted_is_made_again(history: Replica, bus: Bus) -> None:
    room = Room()
    await publish(bus, room.says("one"))
    await history.acknowledged()

    await bus.js.delete_consumer("EVENTS", "history")
    await publish(bus, room.says("two"))

    await history.has("messages", 2)


async def test_all_apps_are_recorded_and_kept_apart(history: Replica, bus: Bus) -> None:
    await publish(bus, Room(app="a").says("of a"), Room(app="b").says("of b"))
    await history.has("messages", 2)

    found = await history.get("/v1/rooms/r1/messages", app="a")

    assert [message["text"] for message in found["items"]] == ["of a"]


async def test_no_more_than_a_batch_is_taken_at_once(nats_url: str, bus: Bus) -> None:
    room = Room()
    await publish(bus, *(room.says("x") for _ in range(25)))

    async with Inbox(bus, "history", 10) as inbox, asyncio.timeout(60):
        sizes: list[int] = []
        while sum(sizes) < 25:
            sizes.append(len(await inbox.batch()))
            await inbox.acknowledge()

    assert max(sizes) <= 10
