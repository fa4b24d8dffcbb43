"""
Keeping the log short: what every reader has checkpointed is purged from INGRESS.

Each service says in a KV bucket up to where it has read: the lowest cursor of its partitions. Whoever owns its
partition 0 says it and purges up to the lowest of all readers, the whole stream at once (by subject it takes ten times
as long, and meanwhile nothing is stored). A partition in which nothing happens would hold the others' entries for ever,
so its owner writes a tick there when the log has gone far ahead: its cursor moves as it always does, by reading.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
import nats.errors
import sqlalchemy as sa
import structlog
from nats.js.errors import APIError, KeyNotFoundError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.kit.bus import Bus
from parley.kit.owner import Owner
from parley.kit.ownership import Ownership
from parley.kit.streams import CURSORS
from parley.protocol import subjects

READERS: Final = ("presence", "rooms")
"""The services that read INGRESS. While one has never said how far it is, nothing is purged."""

EVERY_SECONDS: Final = 5.0
FAR_AHEAD: Final = 1000
"""Entries by which the log may be ahead of a silent partition."""

_log = structlog.get_logger("parley.purge")


class Read(msgspec.Struct, frozen=True):
    """How far a service has read and checkpointed, in all partitions."""

    stream: str
    cursor: int


class Purge:
    """The share of one process in it."""

    def __init__(
        self,
        bus: Bus,
        db: AsyncEngine,
        tables: Ownership,
        service: str,
        owners: Callable[[], Iterable[Owner]],
        tick: Callable[[int], None],
        readers: Iterable[str],
    ) -> None:
        """*tick* writes a tick into a partition."""
        self._bus = bus
        self._db = db
        self._tables = tables
        self._service = service
        self._owners = owners
        self._tick = tick
        self._readers = set(readers)

    async def run(self) -> None:
        """Look every few seconds."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.once()
            except (nats.errors.Error, APIError, SQLAlchemyError, OSError, TimeoutError) as error:
                _log.debug("the log stays as long as it is", error=error)

    async def once(self) -> None:
        """Do what can be done now."""
        state = (await self._bus.js.stream_info(subjects.INGRESS)).state
        for owner in self._owners():
            if owner.rules is not None and state.last_seq - owner.rules.cursor > FAR_AHEAD:
                self._tick(owner.partition)
        if not any(owner.partition == 0 for owner in self._owners()):
            return
        mine = await self._lowest()
        if mine is None:
            return
        bucket = await self._bus.js.key_value(CURSORS)
        await bucket.put(self._service, msgspec.json.encode(mine))
        lowest = mine.cursor
        for reader in self._readers - {self._service}:
            try:
                entry = await bucket.get(reader)
            except KeyNotFoundError:
                return
            theirs = msgspec.json.decode(entry.value or b"", type=Read)
            if theirs.stream != mine.stream:
                return
            lowest = min(lowest, theirs.cursor)
        if self._service in self._readers and lowest >= state.first_seq:
            await self._bus.js.purge_stream(subjects.INGRESS, seq=lowest + 1)
            _log.debug("purged", up_to=lowest)

    async def _lowest(self) -> Read | None:
        """Return how far this service is; None while some partition has never read this log."""
        table = self._tables.partitions
        query = sa.select(sa.func.min(table.c.cursor), sa.func.min(table.c.stream), sa.func.max(table.c.stream))
        async with self._db.connect() as connection:
            cursor, stream, another = (await connection.execute(query)).one()
        created = await self._bus.created(subjects.INGRESS)
        return Read(stream, cursor) if stream == another == created else None
