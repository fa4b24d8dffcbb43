"""How much may wait for the log. The log is a list here, and it opens and shuts as the test says."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import msgspec
import pytest
from msgspec import UNSET

from parley.gateway.ingress import Bounds, Ingress
from parley.kit import telemetry
from parley.kit.flow import Rate
from parley.kit.telemetry import Unrecorded
from parley.kit.writer import Writer
from parley.protocol.commands import Asked, Batch
from parley.protocol.requests import Leave


class Log:
    """A bus, as far as its writer needs one."""

    max_batch = 100_000

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.open = asyncio.Event()
        self.open.set()

    async def publish(self, subject: str, payload: bytes) -> int:
        await self.open.wait()
        self.batches.append(msgspec.json.decode(payload, type=Batch))
        return 1


def message(text: str = "x") -> Asked:
    return Asked(app="default", connection="c", request=Leave(room=text))


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
async def ingress(log: Log) -> AsyncIterator[Ingress]:
    async with asyncio.TaskGroup() as group:
        writer = Writer(log, "g1", group)  # type: ignore[arg-type] # as far as it needs one
        yield Ingress(writer, Bounds(bytes=10_000, seconds=10))
        writer.close()


async def test_a_command_is_stored_in_each_partition(ingress: Ingress, log: Log) -> None:
    ingress.put((1, 2), message())
    await ingress.drained()

    assert [batch.events[0].data for batch in log.batches] == [message(), message()]
    assert {batch.events[0].type for batch in log.batches} == {"parley.asked"}


async def test_a_log_that_takes_nothing_for_too_long_is_trouble_until_it_does(ingress: Ingress, log: Log) -> None:
    log.open.clear()
    ingress.put((0,), message())
    ingress.look(monotonic() + 9)
    assert ingress.trouble is None
    assert ingress.look(monotonic() + 11) > 10
    assert ingress.trouble is not None

    log.open.set()
    await ingress.drained()

    assert ingress.look(monotonic()) == 0
    assert ingress.trouble is None


async def test_too_much_that_waits_is_trouble_at_once(ingress: Ingress, log: Log) -> None:
    log.open.clear()
    for _ in range(11):
        ingress.put((0,), message("x" * 1000))

    assert ingress.trouble is not None
    log.open.set()
    await ingress.drained()
    assert ingress.trouble is None


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_command_says_when_its_frame_came(ingress: Ingress, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parley.gateway.ingress.time", lambda: 1_769_860_800.2509)

    ingress.put((1,), message())
    await ingress.drained()

    assert log.batches[0].events[0].time == "2026-01-31T12:00:00.250Z"


async def test_without_tracing_a_clients_trace_goes_on_unchanged(ingress: Ingress, log: Log) -> None:
    ingress.put((1,), message(), TRACE)
    ingress.put((1,), message())
    await ingress.drained()

    assert [event.traceparent for batch in log.batches for event in batch.events] == [TRACE, UNSET]


async def test_clients_may_have_only_so_much_recorded(
    ingress: Ingress, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may say that its trace is sampled; what that costs the collector is not theirs to decide."""

    class Tracing:
        def begin(self, name: str, kind: str, parent: str | None, **_: object) -> Unrecorded:
            return Unrecorded(parent)

    monkeypatch.setattr(telemetry, "_tracing", Tracing())
    monkeypatch.setattr("parley.gateway.ingress.TRACED", Rate(per_second=0, burst=2))
    ingress = Ingress(ingress._writer, Bounds())

    for _ in range(4):
        ingress.put((1,), message(), TRACE)
    ingress.put((1,), message())
    await ingress.drained()

    found = [event.traceparent for batch in log.batches for event in batch.events]
    assert found == [TRACE, TRACE, TRACE[:-2] + "00", TRACE[:-2] + "00", UNSET]
