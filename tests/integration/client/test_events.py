"""What backend teams read, from a real NATS."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import nats
import pytest
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from support.eventually import eventually

from parley.cli.embedded import Server
from parley.client import ParleyError
from parley.client.events import Event, events


@pytest.fixture
async def js(nats_url: str) -> AsyncIterator[JetStreamContext]:
    connection = await nats.connect(nats_url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    js = connection.jetstream()
    await js.add_stream(StreamConfig("EVENTS", subjects=["parley.events.>"]))
    yield js
    await connection.close()


async def publish(js: JetStreamContext, *numbers: int, app: str = "default", kind: str = "room.joined") -> None:
    for number in numbers:
        envelope = {
            "specversion": "1.0",
            "id": f"e{number}",
            "source": "/rooms",
            "type": kind,
            "subject": "r1",
            "time": "2026-01-01T00:00:00.000Z",
            "sequence": str(number),
            "data": {"app": app, "number": number},
        }
        await js.publish(f"parley.events.{app}.{kind}", json.dumps(envelope).encode())


async def take(count: int, source: AsyncGenerator[Event, None], got: list[Event] | None = None) -> list[Event]:
    """Process *count* events: the loop asks for one more, and is then ended."""
    got = [] if got is None else got
    async with asyncio.timeout(30):
        async with aclosing(source) as reading:
            async for event in reading:
                if len(got) == count:
                    break
                got.append(event)
    return got


def numbers(got: list[Event]) -> list[int]:
    return [event.data["number"] for event in got]


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def test_events_are_read_from_a_time_on_in_order(js: JetStreamContext, nats_url: str) -> None:
    await publish(js, *range(600))

    got = await take(599, events(nats_url, "default", since=timedelta(minutes=1)))

    assert numbers(got) == list(range(599))
    assert (got[7].id, got[7].type, got[7].subject, got[7].sequence) == ("e7", "room.joined", "r1", 7)


async def test_without_a_time_only_new_events_come(js: JetStreamContext, nats_url: str) -> None:
    await publish(js, 1, 2)
    reading = asyncio.create_task(take(2, events(nats_url, "default")))
    await eventually(lambda: _has_consumer(js))

    await publish(js, 3, 4, 5)

    assert numbers(await reading) == [3, 4]


async def test_other_apps_and_types_are_left_out(js: JetStreamContext, nats_url: str) -> None:
    await publish(js, 1, app="other")
    await publish(js, 2, kind="call.started")
    await publish(js, 3, 4)

    assert numbers(await take(1, events(nats_url, "default", since=LONG_AGO, types="room.*"))) == [3]
    assert numbers(await take(3, events(nats_url, since=LONG_AGO))) == [1, 2, 3]


async def test_a_durable_goes_on_where_it_was(js: JetStreamContext, nats_url: str) -> None:
    await publish(js, *range(5))
    first = await take(2, events(nats_url, "default", since=LONG_AGO, durable="billing", ack_wait=0.2))

    rest = await take(2, events(nats_url, "default", since=LONG_AGO, durable="billing", ack_wait=0.2))

    assert numbers(first + rest) == [0, 1, 2, 3]


async def test_what_was_not_processed_comes_again_before_anything_newer(js: JetStreamContext, nats_url: str) -> None:
    await publish(js, *range(4))

    async def program() -> None:
        async with aclosing(events(nats_url, "default", since=LONG_AGO, durable="b", ack_wait=0.2)) as reading:
            async for event in reading:
                if event.data["number"] == 1:
                    raise RuntimeError("the program broke")

    with pytest.raises(RuntimeError, match="the program broke"):
        await program()

    assert numbers(await take(2, events(nats_url, "default", durable="b"))) == [1, 2]


async def test_a_message_that_is_no_event_stops_nobody(js: JetStreamContext, nats_url: str) -> None:
    await js.publish("parley.events.default.room.joined", b"\xff{")
    await js.publish("parley.events.default.room.joined", b"[]")
    await publish(js, 1, 2)

    assert numbers(await take(1, events(nats_url, "default", since=LONG_AGO))) == [1]
    assert numbers(await take(1, events(nats_url, "default", since=LONG_AGO, durable="b"))) == [1]


@pytest.mark.parametrize("durable", [None, "billing"])
async def test_a_restart_of_nats_loses_and_doubles_nothing(
    js: JetStreamContext, nats_url: str, nats_server: Server, durable: str | None
) -> None:
    await publish(js, 0, 1, 2)
    got: list[Event] = []
    source = events(nats_url, "default", since=LONG_AGO, durable=durable, ack_wait=1, reconnect_time_wait=0.1)
    reading = asyncio.create_task(take(6, source, got))
    await eventually(lambda: None if len(got) == 3 else f"{len(got)} of 3 events")

    await nats_server.restart()
    await eventually(lambda: _published(js, 3, 4, 5, 6))

    await reading
    assert numbers(got) == [0, 1, 2, 3, 4, 5]


async def test_a_consumer_that_was_deleted_is_made_again_where_it_stood(js: JetStreamContext, nats_url: str) -> None:
    await publish(js, 0, 1)
    got: list[Event] = []
    reading = asyncio.create_task(take(3, events(nats_url, "default", since=LONG_AGO, durable="b"), got))
    await eventually(lambda: None if len(got) == 2 else f"{len(got)} of 2 events")

    await js.delete_consumer("EVENTS", "b")
    await publish(js, 2, 3)

    assert numbers(await reading) == [0, 1, 2]


async def test_a_durable_of_other_events_is_refused_in_words(js: JetStreamContext, nats_url: str) -> None:
    await publish(js, 1, 2)
    await take(1, events(nats_url, "default", since=LONG_AGO, durable="b"))

    with pytest.raises(ParleyError, match="choose another name"):
        await take(1, events(nats_url, "other", durable="b"))


async def test_a_nats_without_parley_is_said_in_words(nats_url: str) -> None:
    with pytest.raises(ParleyError, match="start Parley first"):
        await take(1, events(nats_url, "default"))


@pytest.mark.parametrize("types", ["", "room joined", "a.>.b", "room.\r\n"])
async def test_types_that_select_nothing_are_refused(types: str) -> None:
    with pytest.raises(ValueError, match="selects no events"):
        await anext(events("nats://127.0.0.1:1", "default", types=types))


async def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        await anext(events("nats://127.0.0.1:1", since=datetime(2026, 1, 1)))  # noqa: DTZ001 - the point


async def _has_consumer(js: JetStreamContext) -> str | None:
    return None if await js.consumers_info("EVENTS") else "no consumer yet"


async def _published(js: JetStreamContext, *numbers: int) -> str | None:
    try:
        await js.account_info()
    except Exception as error:  # noqa: BLE001 - whatever a starting server raises
        return repr(error)
    await publish(js, *numbers)
    return None
