"""Who comes to the Parley that all tests share."""

from collections.abc import AsyncIterator

import pytest
from support.guests import Guests, guests
from support.instance import Instance


@pytest.fixture(scope="module")
def url(parley: Instance) -> str:
    """Give the front door; finding it takes a process."""
    return parley.url


@pytest.fixture
async def world(url: str) -> AsyncIterator[Guests]:
    """Give guests, in an app of their own."""
    async with guests(url) as world:
        yield world
