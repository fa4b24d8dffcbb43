"""SQL that reads: keyset pages, forwards and backwards."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import ColumnElement, RowMapping, func, select, tuple_
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.history.tables import calls, epochs, messages, participants

Order = Literal["newest", "oldest"]
"""Which end of a list comes first."""


class Place(Struct, frozen=True, array_like=True):
    """Where in a room's messages something stands, over all its epochs."""

    time: datetime
    epoch: str
    position: int


class MessageFilter(Struct, frozen=True, kw_only=True):
    """Which messages of a room are wanted."""

    app: str
    room: str
    after: tuple[Place, ...] = ()
    before: tuple[Place, ...] = ()
    sender: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    words: str | None = None


class CallPlace(Struct, frozen=True, array_like=True):
    """Where in the list of calls something stands."""

    started_at: datetime
    id: str


class CallFilter(Struct, frozen=True, kw_only=True):
    """Which calls are wanted."""

    app: str
    id: str | None = None
    room: str | None = None
    user: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    state: Literal["active", "ended"] | None = None
    before: CallPlace | None = None


async def messages_of(db: AsyncConnection, wanted: MessageFilter, order: Order, limit: int) -> Sequence[RowMapping]:
    """Return messages of a room; `data` as the JSON text that the client wrote."""
    m = messages.c
    key = tuple_(m.time, m.epoch, m.position)
    query = select(
        m.epoch, m.position, m.id, m.connection_id, m.user_id, m.text, sa.cast(m.data, sa.Text).label("data"), m.time
    ).where(m.app == wanted.app, m.room == wanted.room)
    query = query.where(*(key > _values(place) for place in wanted.after))
    query = query.where(*(key < _values(place) for place in wanted.before))
    if wanted.sender is not None:
        query = query.where((m.user_id == wanted.sender) | (m.connection_id == wanted.sender))
    query = query.where(*_within(m.time, wanted.since, wanted.until))
    if wanted.words is not None:
        query = query.where(_says(wanted.words))
    towards = [column.desc() if order == "newest" else column.asc() for column in (m.time, m.epoch, m.position)]
    return (await db.execute(query.order_by(*towards).limit(limit))).mappings().all()


async def place_of(db: AsyncConnection, app: str, room: str, epoch: str | None, position: int) -> Place | None:
    """
    Return where *position* of an epoch stands among the messages, None if the room never had that epoch.

    Positions count joins and leaves, too, so there need not be a message there. Without an epoch it is the latest.
    """
    if epoch is None:
        epoch = await _latest_epoch(db, app, room)
        if epoch is None:
            return None
    m, e = messages.c, epochs.c
    mine = (m.app == app) & (m.room == room) & (m.epoch == epoch)
    at_or_before = select(m.time).where(mine, m.position <= position).order_by(m.position.desc()).limit(1)
    behind = select(m.time).where(mine, m.position > position).order_by(m.position).limit(1)
    opened = select(e.opened_at).where(e.app == app, e.room == room, e.epoch == epoch)
    time = await db.scalar(
        select(func.coalesce(at_or_before.scalar_subquery(), behind.scalar_subquery(), opened.scalar_subquery()))
    )
    return None if time is None else Place(time, epoch, position)


async def calls_of(db: AsyncConnection, wanted: CallFilter, limit: int) -> Sequence[RowMapping]:
    """Return calls with who took part, the latest first."""
    c, p = calls.c, participants.c
    part = func.json_build_object(
        "connection_id", p.connection_id, "user_id", p.user_id, "joined_at", p.joined_at, "left_at", p.left_at
    )
    mine = (p.app == c.app) & (p.call_id == c.id)
    took_part = select(func.json_agg(aggregate_order_by(part, p.ordinal))).where(mine).correlate(calls)
    query = select(
        c.id,
        c.room,
        c.epoch,
        c.started_at,
        c.ended_at,
        c.duration_ms,
        c.reason,
        func.coalesce(took_part.scalar_subquery(), sa.cast("[]", sa.JSON)).label("participants"),
    ).where(c.app == wanted.app)
    if wanted.id is not None:
        query = query.where(c.id == wanted.id)
    if wanted.room is not None:
        query = query.where(c.room == wanted.room)
    if wanted.user is not None:
        is_user = (p.user_id == wanted.user) | (p.connection_id == wanted.user)
        query = query.where(select(p.ordinal).where(mine, is_user).correlate(calls).exists())
    query = query.where(*_within(c.started_at, wanted.since, wanted.until))
    if wanted.state is not None:
        query = query.where(c.ended_at.is_(None) if wanted.state == "active" else c.ended_at.is_not(None))
    if wanted.before:
        query = query.where(tuple_(c.started_at, c.id) < _values(wanted.before))
    return (await db.execute(query.order_by(c.started_at.desc(), c.id.desc()).limit(limit))).mappings().all()


async def _latest_epoch(db: AsyncConnection, app: str, room: str) -> str | None:
    """Return the epoch that began last, or spoke last, as far as we have heard."""
    m, e = messages.c, epochs.c
    spoke = select(m.epoch, m.time).where(m.app == app, m.room == room)
    spoke = spoke.order_by(m.time.desc(), m.epoch.desc(), m.position.desc()).limit(1)
    began = select(e.epoch, e.opened_at.label("time")).where(e.app == app, e.room == room)
    began = began.order_by(e.opened_at.desc()).limit(1)
    either = sa.union_all(spoke.subquery().select(), began.subquery().select()).subquery()
    found: str | None = await db.scalar(select(either.c.epoch).order_by(either.c.time.desc()).limit(1))
    return found


def _values(place: Place | CallPlace) -> ColumnElement[Any]:
    return tuple_(*(sa.literal(getattr(place, name)) for name in place.__struct_fields__))


def _within(
    time: ColumnElement[datetime], since: datetime | None, until: datetime | None
) -> Iterator[ColumnElement[bool]]:
    """From *since* on, and before *until*."""
    if since is not None:
        yield time >= since
    if until is not None:
        yield time < until


def _says(words: str) -> ColumnElement[bool]:
    """Whether a message has all these words, in any order, or the text as it stands."""
    literally = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    query = func.websearch_to_tsquery(sa.literal_column("'simple'"), words)
    return messages.c.search.bool_op("@@")(query) | messages.c.text.ilike(f"%{literally}%")
