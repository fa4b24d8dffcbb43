"""What history keeps for a time only, and how it goes: in small portions, so that nobody waits for long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.history.analytics import SECONDS_KEPT
from parley.kit.lifecycle import background

EVERY_SECONDS: Final = 60.0
PORTION: Final = 5000
"""Rows that one statement deletes."""

_OLD: Final = {
    "reports": "time < :detail",
    "steps": "time < :detail",
    "activity": "grain = 60 and time < :detail",
    "activity by the second": "grain = 1 and time < :second",
}

_log = structlog.get_logger("parley.history")


async def prune(database: AsyncEngine, detail_days: float) -> int:
    """Delete what is older than it is kept, and return how many rows that was."""
    now = datetime.now(UTC)
    limits = {"detail": now - timedelta(days=detail_days), "second": now - timedelta(milliseconds=SECONDS_KEPT)}
    gone = 0
    for what, old in _OLD.items():
        table, limit = f"history.{what.split()[0]}", old.rpartition(":")[2]
        statement = sa.text(
            f"delete from {table} where ctid = any(array(select ctid from {table} where {old} limit {PORTION}))"  # noqa: S608 - our own words
        )
        deleted = PORTION
        while deleted == PORTION:
            async with database.begin() as db:
                deleted = (await db.execute(statement, {limit: limits[limit]})).rowcount
            gone += deleted
    return gone


@asynccontextmanager
async def pruning(database: AsyncEngine, detail_days: float) -> AsyncIterator[None]:
    """Delete what is too old every minute, for the length of the block."""
    async with background(_forever(database, detail_days), "pruning"):
        yield


async def _forever(database: AsyncEngine, detail_days: float) -> None:
    while True:
        try:
            gone = await prune(database, detail_days)
        except (DBAPIError, PoolTimeout, OSError, TimeoutError) as error:  # PostgreSQL is away; the next time will do
            _log.warning("what is too old could not be deleted", error=error)
        else:
            if gone:
                _log.info("deleted what is too old", rows=gone)
        await asyncio.sleep(EVERY_SECONDS)
