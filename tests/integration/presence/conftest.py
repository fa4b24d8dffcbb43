"""Presence with its rows in PostgreSQL, filled by its own rules, and asked over HTTP."""

from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.kit.ask import Ask, asking
from parley.kit.bus import Bus, nats_bus
from parley.kit.db import database
from parley.kit.migrate import migrate
from parley.kit.tokens import Tokens
from parley.presence.api import presence_api

SECRET = "a secret that is long enough for HS256"


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[AsyncEngine]:
    await migrate(database_url, "parley.presence")
    async with database(database_url, "test", package="parley.presence") as engine:
        yield engine


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    async with nats_bus(nats_url, "test") as bus:
        yield bus


@pytest.fixture
async def ask(bus: Bus) -> AsyncIterator[Ask]:
    async with asking(bus, "presence", 4, patience=0.5) as ask:
        yield ask


@pytest.fixture
async def http(db: AsyncEngine, bus: Bus, ask: Ask) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of development mode's REST."""
    app = presence_api(db, bus, ask, Tokens(development=True), development=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://presence") as client:
        yield client


@pytest.fixture
async def guarded(db: AsyncEngine, bus: Bus, ask: Ask) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of production's REST."""
    app = presence_api(db, bus, ask, Tokens(secret=SECRET), development=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://presence") as client:
        yield client
