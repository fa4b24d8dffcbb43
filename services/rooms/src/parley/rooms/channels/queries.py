"""Channels in PostgreSQL: one statement a function; the caller owns the transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import structs
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.rooms.channels.channel import Arn, Channel, account_of
from parley.rooms.channels.tables import channels
from parley.rooms.tables import holders


async def make(db: AsyncConnection, channel: Channel) -> bool:
    """Insert a channel, unless its app has one of that name in its region; return whether it did."""
    statement = insert(channels).values(structs.asdict(channel)).on_conflict_do_nothing().returning(channels.c.name)
    return (await db.execute(statement)).one_or_none() is not None


async def count(db: AsyncConnection, app: str, region: str) -> int:
    """Return how many channels an app has in a region."""
    query = sa.select(sa.func.count()).select_from(channels).where(channels.c.app == app, channels.c.region == region)
    return (await db.execute(query)).scalar_one()


async def by_name(db: AsyncConnection, app: str, region: str, name: str) -> Channel | None:
    """Return a channel by its name."""
    return await _one(db, sa.select(channels).where(*_named(app, region, name)))


async def by_arn(db: AsyncConnection, app: str, arn: Arn, *, lock: bool = False) -> Channel | None:
    """Return the very channel that *arn* names, if it is of *app*; with *lock*, nobody else changes it meanwhile."""
    if arn.account != account_of(app):
        return None
    query = sa.select(channels).where(*_named(app, arn.region, arn.name), channels.c.created_at == arn.created_at)
    return await _one(db, query.with_for_update() if lock else query)


async def listed(
    db: AsyncConnection, app: str, region: str, *, prefix: str, after: str | None, limit: int
) -> Sequence[Channel]:
    """Return an app's channels in a region by name."""
    name = sa.collate(channels.c.name, "C")
    query = (
        sa.select(channels)
        .where(channels.c.app == app, channels.c.region == region, sa.func.starts_with(channels.c.name, prefix))
        .order_by(name)
        .limit(limit)
    )
    if after is not None:
        query = query.where(name > after)
    return [_channel(row) for row in (await db.execute(query)).mappings()]


async def viewers(db: AsyncConnection, partition: int, app: str, arn: str, *, besides: str | None) -> int:
    """Return how many viewers a channel has: who holds an address in its box, but for the master with the empty one."""
    query = sa.select(sa.func.count()).select_from(holders)
    box = (holders.c.partition == partition, holders.c.app == app, holders.c.box == arn)
    others = holders.c.name.not_in(["", besides or ""])
    return (await db.execute(query.where(*box, others))).scalar_one()


async def change(db: AsyncConnection, channel: Channel) -> None:
    """Write what may change of a channel."""
    statement = sa.update(channels).where(*_named(channel.app, channel.region, channel.name))
    await db.execute(statement.values(ttl=channel.ttl, version=channel.version, tags=channel.tags))


async def delete(db: AsyncConnection, channel: Channel) -> None:
    """Delete a channel."""
    await db.execute(sa.delete(channels).where(*_named(channel.app, channel.region, channel.name)))


def _named(app: str, region: str, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return channels.c.app == app, channels.c.region == region, channels.c.name == name


async def _one(db: AsyncConnection, query: sa.Select[Any]) -> Channel | None:
    row = (await db.execute(query)).mappings().one_or_none()
    return None if row is None else _channel(row)


def _channel(row: Mapping[Any, Any]) -> Channel:
    return Channel(**row)
