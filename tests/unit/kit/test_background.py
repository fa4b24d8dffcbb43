"""Work in the background of a block."""

import asyncio

import pytest

from parley.kit import lifecycle
from parley.kit.lifecycle import background


async def test_work_that_loses_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library may swallow one, as Python 3.11's wait_for does; the process must end all the same."""
    monkeypatch.setattr(lifecycle, "_AGAIN_SECONDS", 0.01)
    lost = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(5):
        async with background(work(), "work") as task:
            await asyncio.sleep(0)

    assert lost.is_set()
    assert task.cancelled()
