"""
Writing down how far the owners of a process are: one transaction for all of them, ten times a second at most.

A snapshot whose transaction failed, or whose outcome is unknown, is written again just as it is: where it was
committed already that changes nothing, and where the partition is another's by now the fence says so.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.kit import metrics
from parley.kit.owner import Owner, Snapshot
from parley.kit.ownership import Ownership, advance
from parley.kit.state import Store

EVERY_SECONDS: Final = 0.1
_COMMIT_SECONDS: Final = 10.0

_WRITTEN: Final = metrics.histogram("checkpoint_seconds", "How long PostgreSQL took to store a checkpoint.")
_FAILED: Final = metrics.counter("checkpoint_failures", "Checkpoints that PostgreSQL did not store; they are repeated.")

_log = structlog.get_logger("parley.checkpoint")


class Checkpoints:
    """The checkpoints of one process."""

    def __init__(
        self,
        db: AsyncEngine,
        tables: Ownership,
        store: Store,
        owners: Callable[[], Iterable[Owner]],
        lost: Callable[[Owner], None],
    ) -> None:
        """*lost* is told of an owner whose partition is another's."""
        self.rows: Final = asyncio.Lock()
        """Held by whoever writes several of our rows of `partitions`, which could deadlock."""
        self._db = db
        self._tables = tables
        self._store = store
        self._owners = owners
        self._lost = lost
        self._unsettled: dict[Owner, Snapshot] = {}
        self._turn = asyncio.Lock()
        self._together = True

    async def run(self) -> None:
        """Write checkpoints for as long as the process lives."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self.write(self._owners())

    async def last(self, owners: Iterable[Owner]) -> None:
        """Write all that these owners, who have stopped, have left."""
        owners = list(owners)
        for _ in ("what is being written", "what was taken meanwhile", "the rest"):
            await self.write(owners)

    def forget(self, owner: Owner) -> None:
        """Write nothing any more of an owner who has lost its partition."""
        self._unsettled.pop(owner, None)

    async def write(self, owners: Iterable[Owner]) -> None:
        """Write what is to be written, once; what fails is tried again the next time."""
        async with self._turn:
            for owner in list(owners):
                if owner not in self._unsettled:
                    snapshot = owner.snapshot()
                    if snapshot is not None:
                        self._unsettled[owner] = snapshot
            everybody = list(self._unsettled)
            # What one partition's rows make PostgreSQL refuse must not keep the others from going on.
            groups = [everybody] if self._together else [[owner] for owner in everybody]
            together = True
            for group in groups:
                try:
                    await self._commit(group)
                except (SQLAlchemyError, OSError, TimeoutError) as error:
                    together = False
                    _FAILED.inc()
                    _log.warning("a checkpoint failed; it will be repeated", error=error, partitions=len(group))
                    if _is_away(error):
                        break
            self._together = together

    async def _commit(self, owners: list[Owner]) -> None:
        snapshots = {owner.partition: self._unsettled[owner] for owner in owners if owner in self._unsettled}
        if not snapshots:
            return
        with _WRITTEN.time():
            async with self.rows, asyncio.timeout(_COMMIT_SECONDS), self._db.begin() as connection:
                held = await advance(connection, self._tables, [snapshot.progress for snapshot in snapshots.values()])
                await self._store.save(connection, [snapshots[partition].changes for partition in sorted(held)])
        for owner in owners:
            if owner.partition in held:
                self._unsettled.pop(owner, None)
                owner.saved()
            elif owner.partition in snapshots:
                self._unsettled.pop(owner, None)
                self._lost(owner)


def _is_away(error: Exception) -> bool:
    return not isinstance(error, DBAPIError) or error.connection_invalidated
