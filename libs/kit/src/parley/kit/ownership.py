"""
Who owns which partition, in a service's schema: the tables, and one function for each statement.

Whoever's row it is may write; `fence` is raised with every new owner, so a write of an earlier one meets no row.
Time is the database's own, everywhere.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

LEASE_SECONDS: Final = 3.0
"""How long a partition stays its owner's without a sign of life."""

_LEASE: Final = sa.text(f"interval '{LEASE_SECONDS} seconds'")
_NOW: Final = sa.func.clock_timestamp()

Marks = dict[str, tuple[int, int]]
"""Of each writer: its last batch's number, and when that was stored in milliseconds."""


class Ownership(NamedTuple):
    """The two tables, a part of the service's own MetaData."""

    partitions: sa.Table
    replicas: sa.Table


class Claim(NamedTuple):
    """A partition that is ours, and where its last owner stopped."""

    partition: int
    fence: int
    cursor: int
    """The last entry of the log that the rows know of."""
    time: int
    """That entry's time, in milliseconds."""
    stream: str
    """Which incarnation of the log the cursor is about; empty if none was ever read."""
    batches: Marks


class Progress(NamedTuple):
    """What a checkpoint writes of a partition, besides its rows."""

    partition: int
    fence: int
    cursor: int
    time: int
    stream: str
    batches: Marks


class Standing(NamedTuple):
    """How the partitions are spread."""

    live: int
    """Replicas that are alive, ourselves included."""
    before: int
    """How many of them come before us in the order of names."""
    free: int
    """Partitions that nobody owns."""
    expires: float
    """Seconds until the next lease of somebody else ends, unless it is renewed."""

    def share(self, count: int) -> int:
        """Return how many of *count* partitions are for us; the first in the order of names get what is left over."""
        return count // self.live + (self.before < count % self.live)


def ownership_tables(metadata: sa.MetaData) -> Ownership:
    """Add the tables to a service's *metadata*; its migrations make them with the others."""
    partitions = sa.Table(
        "partitions",
        metadata,
        sa.Column("partition", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("owner", sa.Text, nullable=False, server_default=""),
        sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("until", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.text("'-infinity'")),
        sa.Column("cursor", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("time", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("stream", sa.Text, nullable=False, server_default=""),
        sa.Column("batches", JSONB, nullable=False, server_default="{}"),
    )
    replicas = sa.Table(
        "replicas",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("until", sa.TIMESTAMP(timezone=True), nullable=False),
    )
    return Ownership(partitions, replicas)


async def prepare(db: AsyncConnection, tables: Ownership, count: int) -> int:
    """Make the rows of *count* partitions where there are none, and return how many there are."""
    number = sa.func.generate_series(0, count - 1).column_valued("number")
    await db.execute(
        insert(tables.partitions).from_select(["partition"], sa.select(number)).on_conflict_do_nothing(),
    )
    found = await db.execute(sa.select(sa.func.count()).select_from(tables.partitions))
    return int(found.scalar_one())


async def renew(db: AsyncConnection, tables: Ownership, name: str) -> dict[int, int]:
    """Say that replica *name* lives, and return the fences of the partitions that are its own."""
    partitions, replicas = tables
    until = _NOW + _LEASE
    here = insert(replicas).values(name=name, until=until)
    await db.execute(here.on_conflict_do_update(index_elements=[replicas.c.name], set_={"until": until}))
    mine = sa.update(partitions).where(partitions.c.owner == name).values(until=until)
    found = await db.execute(mine.returning(partitions.c.partition, partitions.c.fence))
    return {partition: fence for partition, fence in found}  # noqa: C416 - a Row is no pair to dict()


async def claim(db: AsyncConnection, tables: Ownership, name: str, most: int) -> list[Claim]:
    """Take at most so many partitions that nobody owns."""
    partitions = tables.partitions
    free = (
        sa.select(partitions.c.partition)
        .where(partitions.c.until < _NOW)
        .order_by(sa.func.random())
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    taken = (
        sa.update(partitions)
        .where(partitions.c.partition.in_(free.scalar_subquery()))
        .values(owner=name, fence=partitions.c.fence + 1, until=_NOW + _LEASE)
    )
    columns = [partitions.c[field] for field in Claim._fields]
    found = await db.execute(taken.returning(*columns))
    return [Claim._make((*row[:-1], _marks(row[-1]))) for row in found]


async def is_held(db: AsyncConnection, tables: Ownership, partition: int, fence: int) -> bool:
    """Return whether a partition has this fence still; first in the transaction that loads its rows."""
    partitions = tables.partitions
    query = sa.select(partitions.c.partition).where(partitions.c.partition == partition, partitions.c.fence == fence)
    return (await db.execute(query)).one_or_none() is not None


async def give_back(db: AsyncConnection, tables: Ownership, fences: dict[int, int]) -> None:
    """Let others have these partitions at once."""
    partitions = tables.partitions
    given = sa.update(partitions).where(
        sa.tuple_(partitions.c.partition, partitions.c.fence).in_(list(fences.items())),
    )
    await db.execute(given.values(owner="", until=sa.text("'-infinity'")))


async def leave(db: AsyncConnection, tables: Ownership, name: str) -> None:
    """Say that replica *name* is no more."""
    await db.execute(sa.delete(tables.replicas).where(tables.replicas.c.name == name))


async def standing(db: AsyncConnection, tables: Ownership, name: str) -> Standing:
    """Look how the partitions are spread, and forget replicas that died long ago."""
    partitions, replicas = tables
    long_ago = _NOW - sa.text("interval '1 minute'")
    await db.execute(sa.delete(replicas).where(replicas.c.until < long_ago))
    live = sa.select(sa.func.count()).select_from(replicas).where(replicas.c.until >= _NOW)
    before = live.where(replicas.c.name < name)
    free = sa.select(sa.func.count()).select_from(partitions).where(partitions.c.until < _NOW)
    next_end = sa.select(sa.func.min(partitions.c.until) - _NOW).where(
        partitions.c.owner != name, partitions.c.until >= _NOW
    )
    found = await db.execute(sa.select(*(part.scalar_subquery() for part in (live, before, free, next_end))))
    alive, smaller, unowned, ends = found.one()
    return Standing(alive, smaller, unowned, LEASE_SECONDS if ends is None else ends.total_seconds())


async def advance(db: AsyncConnection, tables: Ownership, progress: Sequence[Progress]) -> set[int]:
    """Move the cursors of those partitions that are still ours, and return which are; first in a transaction."""
    partitions = tables.partitions
    document = [{**step._asdict(), "batches": step.batches} for step in progress]
    function = sa.func.jsonb_to_recordset(sa.cast(document, JSONB))
    given = function.table_valued(
        sa.column("partition", sa.SmallInteger),
        sa.column("fence", sa.BigInteger),
        sa.column("cursor", sa.BigInteger),
        sa.column("time", sa.BigInteger),
        sa.column("stream", sa.Text),
        sa.column("batches", JSONB),
    ).render_derived(name="given", with_types=True)
    moved = (
        sa.update(partitions)
        .where(partitions.c.partition == given.c.partition, partitions.c.fence == given.c.fence)
        .values({name: given.c[name] for name in ("cursor", "time", "stream", "batches")})
    )
    found = await db.execute(moved.returning(partitions.c.partition))
    return set(found.scalars())


def _marks(document: dict[str, Any]) -> Marks:
    return {writer: (number, time) for writer, (number, time) in document.items()}
