"""A replica of history, and a bus to publish events with."""

from collections.abc import AsyncIterator

import pytest
from support.history import Replica, replica

from parley.kit.bus import Bus, nats_bus
from parley.kit.migrate import migrate


@pytest.fixture
async def history(nats_url: str, database_url: str) -> AsyncIterator[Replica]:
    """Give a running replica."""
    await migrate(database_url, "parley.history")
    async with replica(nats_url, database_url) as one:
        yield one


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    """Give a bus to publish events with, as rooms would."""
    async with nats_bus(nats_url, "test") as bus:
        yield bus
