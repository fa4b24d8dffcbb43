"""The gateway lives on uvloop; so do its tests."""

from collections.abc import AsyncIterator, Callable

import pytest
import uvloop
from support.sockets import Desk


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], uvloop.Loop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """Give a WebSocket server whose listener only takes notes."""
    desk = Desk()
    yield desk
    await desk.leave()
