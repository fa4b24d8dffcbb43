"""What REST reads: SQL, one statement a function. The rows are at most a checkpoint (100 ms) behind the owner."""

from collections.abc import Sequence

from sqlalchemy import RowMapping, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.rooms.tables import members, rooms


async def rooms_of(
    db: AsyncConnection, app: str, *, prefix: str | None, after: str | None, limit: int
) -> Sequence[RowMapping]:
    """Return an app's rooms by name."""
    query = select(rooms).where(rooms.c.app == app).order_by(rooms.c.name).limit(limit)
    if after is not None:
        query = query.where(rooms.c.name > after)
    if prefix is not None:
        query = query.where(func.starts_with(rooms.c.name, prefix))
    return (await db.execute(query)).mappings().all()


async def room(db: AsyncConnection, app: str, name: str) -> RowMapping | None:
    """Return one room, None if nobody is in it."""
    query = select(rooms).where(tuple_(rooms.c.app, rooms.c.name) == (app, name))
    return (await db.execute(query)).mappings().one_or_none()


async def members_of(db: AsyncConnection, app: str, name: str) -> Sequence[RowMapping]:
    """Return a room's members, the earliest first."""
    query = select(members).where(members.c.app == app, members.c.room == name).order_by(members.c.order)
    return (await db.execute(query)).mappings().all()
