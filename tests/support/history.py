"""History on a real NATS and a real PostgreSQL, in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from support.eventually import eventually

from parley.history.api import history_api
from parley.history.inbox import Inbox
from parley.history.recorder import Recorder, recording
from parley.kit.bus import Bus, nats_bus
from parley.kit.db import database
from parley.kit.tokens import Tokens


@dataclass
class Replica:
    """One replica of history."""

    db: AsyncEngine
    bus: Bus
    recorder: Recorder
    rest: httpx.AsyncClient

    async def rows(self, table: str) -> int:
        async with self.db.connect() as connection:
            return int(await connection.scalar(text(f"select count(*) from history.{table}")) or 0)

    async def has(self, table: str, rows: int, within: float = 60) -> None:
        """Wait until a table has that many rows."""

        async def check() -> str | None:
            found = await self.rows(table)
            return None if found == rows else f"{found} of {rows} {table}"

        await eventually(check, within)

    async def get(self, path: str, status: int = 200, **query: Any) -> Any:
        """Return what a GET answers."""
        answer = await self.rest.get(path, params=query)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def acknowledged(self, within: float = 60) -> None:
        """Wait until NATS has nothing more for us."""

        async def check() -> str | None:
            info = await self.bus.js.consumer_info("EVENTS", "history")
            waiting = (info.num_pending or 0) + (info.num_ack_pending or 0)
            return f"{waiting} events are not acknowledged" if waiting else None

        await eventually(check, within)


@asynccontextmanager
async def replica(nats_url: str, database_url: str, *, batch: int = 500) -> AsyncIterator[Replica]:
    async with (
        database(database_url, "history", package="parley.history") as db,
        nats_bus(nats_url, "history") as bus,
        Inbox(bus, "history", batch) as inbox,
        recording(inbox, db) as recorder,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(history_api(db, Tokens(development=True), development=True)),
            base_url="http://history",
        ) as rest,
    ):
        yield Replica(db, bus, recorder, rest)
