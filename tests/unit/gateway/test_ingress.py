"""How much may wait for the log. The log is a list here, and it opens and shuts as the test says."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import msgspec
import pytest

from parley.gateway.ingress import Bounds, Ingress
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
