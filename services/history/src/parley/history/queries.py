"""SQL that reads: keyset pages, forwards and backwards."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy import ColumnElement, RowMapping, func, select, tuple_
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from parley.history.setup import EARLIEST
from parley.history.tables import calls, epochs, messages, participants, reports

Order = Literal["newest", "oldest"]
"""Which end of a list comes first."""


class Place(Struct, frozen=True, array_like=True):
    """Where in a room's messages something stands, over all its epochs."""

    time: datetime
    epoch: str
    position: int


class Spoken(Struct, frozen=True, array_like=True):
    """Where among the messages of all rooms something stands."""

    time: datetime
    room: str
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


class SpokenFilter(Struct, frozen=True, kw_only=True):
    """Which messages of all rooms are wanted."""

    app: str
    before: Spoken | None = None
    sender: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    words: str | None = None

    @property
    def narrow(self) -> bool:
        """Whether messages may be passed over that no index knows."""
        return self.sender is not None or self.words is not None


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
    part: str | None = None
    """Of the room's name, or of a participant's user or connection."""
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
    query = query.where(*_within(m.time, wanted.since, wanted.until), *_said(m, wanted.sender, wanted.words))
    towards = [column.desc() if order == "newest" else column.asc() for column in (m.time, m.epoch, m.position)]
    return (await db.execute(query.order_by(*towards).limit(limit))).mappings().all()


async def spoken(
    db: AsyncConnection, wanted: SpokenFilter, limit: int, look: int
) -> tuple[Sequence[RowMapping], Spoken | None]:
    """
    Return messages of all rooms, the newest first, and where to go on when there may be more.

    Where no index tells which are wanted, no more than *look* of them are looked at, so that an answer takes a
    bounded time however much was said; what is found may then be fewer than *limit*.
    """
    m = messages.c
    key = (m.time, m.room, m.epoch, m.position)
    near = select(messages).where(m.app == wanted.app, *_within(m.time, wanted.since, wanted.until))
    if wanted.before:
        near = near.where(m.time <= wanted.before.time, tuple_(*key) < _values(wanted.before))
    near = near.order_by(*(column.desc() for column in key))
    seen = near.limit(look if wanted.narrow else limit + 1).subquery().c
    query = select(
        seen.room,
        seen.epoch,
        seen.position,
        seen.id,
        seen.connection_id,
        seen.user_id,
        seen.text,
        sa.cast(seen.data, sa.Text).label("data"),
        seen.time,
    ).where(*_said(seen, wanted.sender, wanted.words))
    query = query.order_by(seen.time.desc(), seen.room.desc(), seen.epoch.desc(), seen.position.desc()).limit(limit + 1)
    found = (await db.execute(query)).mappings().all()
    if len(found) > limit:
        last = found[limit - 1]
        return found[:limit], Spoken(last["time"], last["room"], last["epoch"], last["position"])
    if not wanted.narrow:
        return found, None
    end = (await db.execute(near.with_only_columns(*key).offset(look - 1).limit(1))).first()
    return found, Spoken(*end) if end else None


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
        c.trace_id,
        c.setup_ms,
        c.first_answer_ms,
        c.first_media_ms,
        c.own_trace_id,
        func.coalesce(took_part.scalar_subquery(), sa.cast("[]", sa.JSON)).label("participants"),
    ).where(*_wanted(wanted))
    if wanted.before:
        query = query.where(tuple_(c.started_at, c.id) < _values(wanted.before))
    return (await db.execute(query.order_by(c.started_at.desc(), c.id.desc()).limit(limit))).mappings().all()


async def count_calls(db: AsyncConnection, wanted: CallFilter) -> int:
    """Return how many calls there are."""
    return await db.scalar(select(func.count()).select_from(calls).where(*_wanted(wanted))) or 0


def _wanted(wanted: CallFilter) -> Iterator[ColumnElement[bool]]:
    c, p = calls.c, participants.c
    yield c.app == wanted.app
    if wanted.id is not None:
        yield c.id == wanted.id
    if wanted.room is not None:
        yield c.room == wanted.room
    if wanted.user is not None:
        is_user = (p.user_id == wanted.user) | (p.connection_id == wanted.user)
        yield c.id.in_(select(p.call_id).where(p.app == wanted.app, is_user))
    if wanted.part is not None:
        part = f"%{_literally(wanted.part)}%"
        took_part = select(p.call_id).where(p.app == wanted.app, p.user_id.ilike(part) | p.connection_id.ilike(part))
        yield c.room.ilike(part) | c.id.in_(took_part)
    yield from _within(c.started_at, wanted.since, wanted.until)
    if wanted.state is not None:
        yield c.ended_at.is_(None) if wanted.state == "active" else c.ended_at.is_not(None)


async def steps_of(db: AsyncConnection, app: str, call: str, limit: int) -> Sequence[RowMapping]:
    """
    Return the negotiation steps that belong to a call, the earliest first.

    Who has come to a call that lasts is not said before its end, but who reports media in it is there.
    """
    return (await db.execute(_STEPS, {"app": app, "call": call, "limit": limit})).mappings().all()


_STEPS: Final = sa.text(f"""
    select s.time, s.type, s.connection_id, s.to_id, s.traceparent
    from history.calls c
    cross join lateral (
        select array(
            select p.connection_id from history.participants p where p.app = c.app and p.call_id = c.id
            union select f.connection_id from history.first_media f
            where c.ended_at is null and f.app = c.app and f.call_id = c.id
        ) as ids
    ) took
    cross join lateral (
        select * from history.steps r
        where r.app = c.app and r.room = c.room and (r.connection_id = any(took.ids) or r.to_id = any(took.ids))
            and r.time between {EARLIEST} and coalesce(c.ended_at, 'infinity')
        union all
        select * from history.steps d
        where d.app = c.app and d.room is null and d.connection_id = any(took.ids) and d.to_id = any(took.ids)
            and d.time between {EARLIEST} and coalesce(c.ended_at, 'infinity')
    ) s
    where c.app = :app and c.id = :call
    order by s.time, s.id limit :limit
""")  # noqa: S608 - our own words


class ReportPlace(Struct, frozen=True, array_like=True):
    """Where in the quality reports of a call something stands."""

    time: datetime
    connection_id: str
    peer: str


async def reports_of(
    db: AsyncConnection, app: str, call: str, after: ReportPlace | None, limit: int
) -> Sequence[RowMapping]:
    """Return what members of a call reported about each of their peers, the oldest first."""
    r = reports.c
    key = (r.time, r.connection_id, r.peer)
    query = select(*(column for column in r if column.name not in {"app", "call_id"}))
    query = query.where(r.app == app, r.call_id == call)
    if after:
        query = query.where(tuple_(*key) > _values(after))
    return (await db.execute(query.order_by(*key).limit(limit))).mappings().all()


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


def _values(place: Place | Spoken | CallPlace | ReportPlace) -> ColumnElement[Any]:
    return tuple_(*(sa.literal(getattr(place, name)) for name in place.__struct_fields__))


def _within(
    time: ColumnElement[datetime], since: datetime | None, until: datetime | None
) -> Iterator[ColumnElement[bool]]:
    """From *since* on, and before *until*."""
    if since is not None:
        yield time >= since
    if until is not None:
        yield time < until


def _said(
    m: ReadOnlyColumnCollection[str, Any], sender: str | None, words: str | None
) -> Iterator[ColumnElement[bool]]:
    """By *sender*, a user or a connection, and with all these *words*, in any order, or the text as it stands."""
    if sender is not None:
        yield (m.user_id == sender) | (m.connection_id == sender)
    if words is None:
        return
    query = func.websearch_to_tsquery(sa.literal_column("'simple'"), words)
    yield m.search.bool_op("@@")(query) | m.text.ilike(f"%{_literally(words)}%")


def _literally(text: str) -> str:
    """Return the pattern of LIKE that finds *text* as it stands."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
