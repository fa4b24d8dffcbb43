"""Publishes that are stored, readers that miss nothing: on a real nats-server that is killed, wiped, filled."""

import asyncio
import shutil
from collections.abc import AsyncIterator

import msgspec
import pytest
from structlog.testing import capture_logs
from support.eventually import eventually

from parley.cli.embedded import Nats, Server
from parley.kit import bus as bus_module
from parley.kit import reader as reader_module
from parley.kit.bus import Bus, LogFullError, Message, TooLargeError, _Flight, _Refusal, _Refusals, nats_bus
from parley.kit.lifecycle import CannotStart
from parley.kit.reader import Entry, Reader, StreamReplacedError, reading
from parley.kit.streams import Sizes, ensure
from parley.kit.writer import writing
from parley.protocol import subjects
from parley.protocol.commands import AnyCommand, Batch, Tick
from parley.protocol.envelope import CloudEvent

IN = subjects.ingress(1, "m")


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    async with nats_bus(nats_url, "test") as bus:
        yield bus


async def read(reader: Reader, count: int) -> list[Entry]:
    """Read so many entries."""
    entries: list[Entry] = []
    async with asyncio.timeout(60):
        while len(entries) < count:
            entries += await reader.next()
    return entries


async def stored(bus: Bus, stream: str) -> int:
    return (await bus.js.stream_info(stream)).state.messages


async def fill(bus: Bus) -> None:
    """Publish more than the log takes."""
    for _ in range(20):
        await bus.publish(IN, b"x" * 1000)


def tick(number: int, app: str = "a") -> CloudEvent[AnyCommand]:
    return CloudEvent(id=str(number), source="/test", type="parley.tick", data=Tick(app=app))


async def test_what_is_published_is_stored_in_order(bus: Bus) -> None:
    assert await bus.publish(IN, b"1") == 1
    assert await bus.publish_all([Message(IN, b"2"), Message(IN, b"3")]) == 3

    async with reading(bus, subjects.INGRESS, [subjects.partition_ingress(1)], 2) as reader:
        entries = await read(reader, 2)

    assert [(entry.sequence, entry.payload) for entry in entries] == [(2, b"2"), (3, b"3")]
    assert reader.created == await bus.created(subjects.INGRESS)


async def test_an_event_that_is_published_twice_is_stored_once(bus: Bus) -> None:
    for _ in range(2):
        await bus.publish("parley.events.a.room.joined", b"1", id="joined.1")

    assert await stored(bus, subjects.EVENTS) == 1


async def test_a_message_above_what_nats_takes_is_refused_before_it_is_sent(bus: Bus) -> None:
    with pytest.raises(TooLargeError):
        await bus.publish(IN, b"x" * (bus.client.max_payload + 1))

    assert bus.client.is_connected


async def test_a_full_log_refuses_and_keeps_what_it_has(nats_url: str) -> None:
    async with nats_bus(nats_url, "test", sizes=Sizes(ingress_bytes=10_000)) as bus:
        with pytest.raises(LogFullError):
            await fill(bus)

        kept = await stored(bus, subjects.INGRESS)
        await bus.js.purge_stream(subjects.INGRESS, seq=5)

        assert kept > 5
        await bus.publish(IN, b"x")


async def test_a_writer_waits_for_room_in_a_full_log(nats_url: str) -> None:
    async with nats_bus(nats_url, "test", sizes=Sizes(ingress_bytes=10_000)) as bus, writing(bus, "w") as writer:
        with pytest.raises(LogFullError):
            await fill(bus)
        waiting = writer.put(1, tick(1, "a" * 1000))
        await bus.js.purge_stream(subjects.INGRESS)

        await asyncio.wait_for(waiting, 30)


async def test_a_writer_keeps_order_and_numbers_its_batches(bus: Bus) -> None:
    async with writing(bus, "w") as writer:
        ticks = [tick(number) for number in range(50)]
        await asyncio.gather(*(writer.put(1, one) for one in ticks[:30]))
        await asyncio.gather(*(writer.put(1, one) for one in ticks[30:]))

    async with reading(bus, subjects.INGRESS, [subjects.partition_ingress(1)], 1) as reader:
        batches = [msgspec.json.decode(entry.payload, type=Batch) for entry in await read(reader, 2)]
    assert [batch.number for batch in batches] == list(range(1, len(batches) + 1))
    assert [event.id for batch in batches for event in batch.events] == [one.id for one in ticks]


async def test_publishes_survive_that_nats_is_killed(nats_server: Server, bus: Bus) -> None:
    """One in flight: whatever is stored is stored in order, at least once."""

    async def publish() -> None:
        for number in range(300):
            await bus.publish(IN, b"%d" % number)

    async with asyncio.TaskGroup() as group:
        publishing = group.create_task(publish())
        for _ in range(3):
            await asyncio.sleep(0.05)  # in the midst of it
            await nats_server.restart()
        await publishing

    async with reading(bus, subjects.INGRESS, [IN], 1) as reader:
        entries = await read(reader, await stored(bus, subjects.INGRESS))
    numbers = [int(entry.payload) for entry in entries]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(300))


async def test_a_refusal_is_said_once_however_often_everybody_asks(bus: Bus) -> None:
    await bus.js.delete_stream(subjects.EVENTS)
    with capture_logs() as logged:
        publishing = [asyncio.create_task(bus.publish(subjects.event("a", "room.left"), b"{}")) for _ in range(5)]
        await eventually(lambda: None if bus._refusals._times >= 20 else f"refused {bus._refusals._times} times")
        assert [line["event"] for line in logged] == ["NATS refuses; asking again"]

        await ensure(bus.js, Sizes())
        await asyncio.gather(*publishing)

    assert [line["event"] for line in logged] == ["NATS refuses; asking again", "NATS accepts again"]
    assert logged[1]["times"] >= 20


async def test_a_refusal_that_lasts_is_said_every_ten_seconds_and_another_at_once(bus: Bus) -> None:
    refusals, flights = _Refusals(), [_Flight({"1": Message(IN, b"")}, asyncio.get_running_loop()) for _ in range(2)]
    with capture_logs() as logged:
        for tenth in range(250):
            refusals.add(flights[tenth % 2], _Refusal(503), 1000 + tenth / 10)
        refusals.add(flights[0], _Refusal(500, 1), 1025)
        for flight in flights:
            flight.missing.clear()
            refusals.over(flight)
        refusals.add(flights[0], _Refusal(503), 1026)
        refusals.over(flights[0])
        refusals.add(flights[0], _Refusal(503), 1031)

    assert [(line["event"][:12], line.get("code"), line["times"]) for line in logged] == [
        ("NATS refuses", 503, 1),
        ("NATS refuses", 503, 101),
        ("NATS refuses", 503, 201),
        ("NATS refuses", 500, 251),
        ("NATS accepts", None, 251),
        ("NATS refuses", 503, 2),
    ]


async def test_a_reader_misses_nothing_while_nats_is_killed(nats_server: Server, bus: Bus) -> None:
    async with reading(bus, subjects.INGRESS, [IN], 1) as reader, asyncio.TaskGroup() as group:

        async def publish() -> None:
            for number in range(1, 201):
                await bus.publish(IN, b"%d" % number)
                if number % 80 == 0:
                    await nats_server.restart()

        group.create_task(publish())
        entries = await read(reader, 200)

    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))


async def test_a_reader_misses_nothing_when_messages_get_lost_on_the_way(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = reader_module._Tap.arrived
    count = 0

    async def lossy(tap: reader_module._Tap, msg: object) -> None:
        nonlocal count
        count += 1
        if count % 37:  # the others never come
            await arrived(tap, msg)  # type: ignore[arg-type]

    monkeypatch.setattr(reader_module._Tap, "arrived", lossy)
    await bus.publish_all([Message(IN, b"%d" % number) for number in range(1, 301)])

    async with reading(bus, subjects.INGRESS, [IN], 1) as reader:
        entries = await read(reader, 300)

    assert [int(entry.payload) for entry in entries] == list(range(1, 301))


async def test_a_reader_that_is_slow_asks_nats_to_wait_and_misses_nothing(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "_PAUSED_BYTES", 100_000)
    monkeypatch.setattr(reader_module, "_MAX_BYTES", 6 << 20)
    for _ in range(10):
        await bus.publish_all([Message(IN, b"x" * 100_000) for _ in range(10)])

    async with reading(bus, subjects.INGRESS, [IN], 1) as reader:
        first = await reader.next(1)
        await eventually(lambda: None if reader._tap and reader._tap._owed else "not asked to wait")
        waiting = reader._tap.bytes if reader._tap else 0
        rest = await read(reader, 99)

    assert waiting < 6 << 20
    assert [entry.sequence for entry in first + rest] == list(range(1, 101))


async def test_what_does_not_fit_in_memory_is_read_again(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "_MAX_BYTES", 500_000)
    await bus.publish_all([Message(IN, b"x" * 100_000) for _ in range(20)])

    async with reading(bus, subjects.INGRESS, [IN], 1) as reader:
        entries = await read(reader, 20)

    assert [entry.sequence for entry in entries] == list(range(1, 21))


async def test_a_reader_that_is_given_less_memory_holds_no_more_and_misses_nothing(bus: Bus) -> None:
    """What is larger than all that it may hold, it holds alone."""
    sizes = [*[100_000] * 20, 600_000, *[100_000] * 20]
    await bus.publish_all([Message(IN, b"x" * size) for size in sizes])

    async with reading(bus, subjects.INGRESS, [IN], 1, max_bytes=500_000) as reader:
        first = await reader.next(1)
        await eventually(lambda: None if reader._tap and reader._tap.doubt else "it takes all there is")
        waiting = sum(len(entry.payload) for entry in reader._tap.entries) if reader._tap else 0
        rest = await read(reader, len(sizes) - 1)

    assert waiting <= 500_000
    assert [len(entry.payload) for entry in first + rest] == sizes


async def test_a_reader_notices_that_the_server_has_fallen_silent(
    nats_server: Server, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with reading(bus, subjects.INGRESS, [IN], 1) as reader:
        await bus.publish(IN, b"1")
        await read(reader, 1)
        assert reader.level
        nats_server.pause()
        try:
            await eventually(lambda: None if not reader.level else "still level")
        finally:
            nats_server.resume()
        await bus.publish(IN, b"2")

        assert [entry.payload for entry in await read(reader, 1)] == [b"2"]


async def test_a_reader_says_that_the_stream_is_another(nats_server: Server, bus: Bus) -> None:
    async with reading(bus, subjects.INGRESS, [IN], 1) as reader:
        await bus.publish(IN, b"1")
        await read(reader, 1)
        assert isinstance(nats_server.kind, Nats)
        await nats_server.kill()
        shutil.rmtree(nats_server.kind.folder)
        await nats_server.start()

        with pytest.raises(StreamReplacedError):
            await asyncio.wait_for(reader.next(), 30)


async def test_a_reader_is_level_once_it_has_read_everything(bus: Bus) -> None:
    await bus.publish_all([Message(IN, b"x") for _ in range(600)])
    async with reading(bus, subjects.INGRESS, [IN], 1) as reader:
        await reader.next(10)
        assert not reader.level
        await read(reader, 590)
        assert reader.level


async def test_readiness_says_that_nats_is_away(nats_server: Server, bus: Bus) -> None:
    assert bus.check() is None
    with capture_logs():
        await nats_server.kill()
        await eventually(lambda: None if bus.check() else "still there")
        await nats_server.start()
        await eventually(bus.check)


async def test_without_nats_the_sentence_says_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "_CONNECT_SECONDS", 0.5)
    with pytest.raises(CannotStart, match=r"does not answer at 127\.0\.0\.1:1 "):
        async with nats_bus("nats://someone:secret@127.0.0.1:1", "test"):
            pass


async def test_what_an_operator_has_set_stays(nats_url: str) -> None:
    async with nats_bus(nats_url, "test", sizes=Sizes(ingress_bytes=123_456)):
        pass
    async with nats_bus(nats_url, "test") as bus:
        info = await bus.js.stream_info(subjects.INGRESS)
        assert info.config.max_bytes == 123_456
