"""What REST reads: SQL, one statement a function. The rows are at most a checkpoint (100 ms) behind the owner."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.kit.rows import restored, storable_text
from parley.rooms.room import Member, Room
from parley.rooms.tables import members, rooms

Row = TypeVar("Row")

_room: Final = msgspec.json.Decoder(Room)
_member: Final = msgspec.json.Decoder(Member)


class Filters(Struct, frozen=True, kw_only=True):
    """All that is not None must hold."""

    prefix: str | None = None
    part: str | None = None
    """Text that stands somewhere in the name, in capitals or not."""
    call: bool | None = None
    """Whether a call lasts."""


async def rooms_of(db: AsyncConnection, app: str, filters: Filters, after: str | None, limit: int) -> Sequence[Room]:
    """Return an app's rooms that fit, by name."""
    name = sa.collate(rooms.c.name, "C")
    query = sa.select(rooms).where(*_fit(app, filters)).order_by(name).limit(limit)
    if after is not None:
        query = query.where(name > storable_text(after))
    return await _rows(db, query, _room)


async def count(db: AsyncConnection, app: str, filters: Filters) -> int:
    """Return how many rooms of an app fit."""
    query = sa.select(sa.func.count()).select_from(rooms).where(*_fit(app, filters))
    number: int = (await db.execute(query)).scalar_one()
    return number


async def room(db: AsyncConnection, partition: int, app: str, name: str) -> Room | None:
    """Return one room, None if nobody is in it."""
    query = sa.select(rooms).where(
        rooms.c.partition == partition, rooms.c.app == app, rooms.c.name == storable_text(name)
    )
    return next(iter(await _rows(db, query, _room)), None)


async def members_of(db: AsyncConnection, partition: int, app: str, name: str) -> Sequence[Member]:
    """Return a room's members, the earliest first."""
    here = (members.c.partition == partition, members.c.app == app, members.c.room == storable_text(name))
    return await _rows(db, sa.select(members).where(*here).order_by(members.c.order), _member)


async def _rows(db: AsyncConnection, query: sa.Select[Any], decoder: "msgspec.json.Decoder[Row]") -> Sequence[Row]:
    """Read rows as text, as they were written: PostgreSQL has no word for all that JSON can say."""
    found = query.subquery("found")
    text = sa.cast(sa.func.row_to_json(sa.literal_column("found")), sa.Text)
    return [decoder.decode(restored(row)) for (row,) in await db.execute(sa.select(text).select_from(found))]


def _fit(app: str, filters: Filters) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [rooms.c.app == app]
    if filters.prefix is not None:
        conditions.append(sa.func.starts_with(rooms.c.name, storable_text(filters.prefix)))
    if filters.part is not None:
        part = sa.func.lower(storable_text(filters.part))
        conditions.append(sa.func.strpos(sa.func.lower(rooms.c.name), part) > 0)
    if filters.call is not None:
        conditions.append(rooms.c.call.is_not(None) if filters.call else rooms.c.call.is_(None))
    return conditions
