"""What REST reads: SQL, one statement a function. The rows are at most a checkpoint (100 ms) behind the owner."""

from collections.abc import Sequence

from sqlalchemy import RowMapping, collate, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.rooms.tables import members, rooms


async def rooms_of(
    db: AsyncConnection, app: str, *, prefix: str | None, after: str | None, limit: int
) -> Sequence[RowMapping]:
    """Return an app's rooms by name."""
    name = collate(rooms.c.name, "C")
    query = select(rooms).where(rooms.c.app == app).order_by(name).limit(limit)
    if after is not None:
        query = query.where(name > after)
    if prefix is not None:
        query = query.where(func.starts_with(rooms.c.name, prefix))
    return (await db.execute(query)).mappings().all()


async def room(db: AsyncConnection, partition: int, app: str, name: str) -> RowMapping | None:
    """Return one room, None if nobody is in it."""
    query = select(rooms).where(rooms.c.partition == partition, rooms.c.app == app, rooms.c.name == name)
    return (await db.execute(query)).mappings().one_or_none()


async def members_of(db: AsyncConnection, partition: int, app: str, name: str) -> Sequence[RowMapping]:
    """Return a room's members, the earliest first."""
    here = (members.c.partition == partition, members.c.app == app, members.c.room == name)
    query = select(members).where(*here).order_by(members.c.order)
    return (await db.execute(query)).mappings().all()
