"""What REST reads: SQL, one statement a function. The rows are at most a checkpoint (100 ms) behind the owner."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.kit.rows import restored, storable, storable_text
from parley.presence.filters import Filters
from parley.presence.tables import connections, memberships, profiles


class Place(NamedTuple):
    """The order of lists."""

    opened_at: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    id: str


class Found(Struct, frozen=True):
    """A live connection."""

    id: str
    user: str | None
    device: str | None
    metadata: dict[str, Any]
    availability: str
    rooms: list[str]
    dialect: str
    address: str
    agent: str
    opened_at: int

    @property
    def place(self) -> Place:
        """Where it stands in a list."""
        return Place(self.opened_at, self.id)


_decode: Final = msgspec.json.Decoder(Found).decode

_in_call: Final = sa.func.cardinality(profiles.c.calls) > 0
_rooms: Final = (
    sa.select(sa.func.array_agg(memberships.c.room, type_=ARRAY(sa.Text)))
    .where(memberships.c.partition == connections.c.partition, memberships.c.connection == connections.c.id)
    .scalar_subquery()
)
_live: Final = connections.join(
    profiles, sa.and_(profiles.c.partition == connections.c.partition, profiles.c.id == connections.c.id)
)
_columns: Final = (
    connections.c.id,
    connections.c.user,
    connections.c.device,
    profiles.c.metadata,
    sa.case((_in_call, "inCall"), else_=profiles.c.availability).label("availability"),
    sa.func.coalesce(_rooms, sa.cast(sa.literal("{}"), ARRAY(sa.Text))).label("rooms"),
    profiles.c.dialect,
    profiles.c.address,
    profiles.c.agent,
    connections.c.opened_at,
)


async def page(db: AsyncConnection, app: str, filters: Filters, after: Place | None, limit: int) -> Sequence[Found]:
    """Return an app's connections that fit, the oldest first."""
    return await _page(db, _fit(app, filters), after, limit, newest=False)


async def newest(db: AsyncConnection, app: str, filters: Filters, after: Place | None, limit: int) -> Sequence[Found]:
    """Return an app's connections that fit, the newest first."""
    return await _page(db, _fit(app, filters), after, limit, newest=True)


async def _page(
    db: AsyncConnection, conditions: list[sa.ColumnElement[bool]], after: Place | None, limit: int, *, newest: bool
) -> Sequence[Found]:
    order = (connections.c.opened_at, connections.c.id)
    query = sa.select(*_columns).select_from(_live).where(*conditions)
    query = query.order_by(*(column.desc() if newest else column for column in order)).limit(limit)
    if after is not None:
        key, last = sa.tuple_(*order), sa.tuple_(sa.literal(after.opened_at, sa.BigInteger), sa.literal(after.id))
        query = query.where(key < last if newest else key > last)
    return await _found(db, query)


async def count(db: AsyncConnection, app: str, filters: Filters) -> int:
    """Return how many connections of an app fit."""
    query = sa.select(sa.func.count()).select_from(_live).where(*_fit(app, filters))
    number: int = (await db.execute(query)).scalar_one()
    return number


async def one(db: AsyncConnection, app: str, connection: str, partition: int) -> Found | None:
    """Return one connection, None if it is over or was never."""
    query = sa.select(*_columns).select_from(_live)
    query = query.where(connections.c.partition == partition, connections.c.id == connection, *_fit(app, Filters()))
    return next(iter(await _found(db, query)), None)


async def gateway_of(db: AsyncConnection, app: str, connection: str, partition: int) -> str | None:
    """Return the name of the gateway that holds a connection, None if it is over or was never."""
    query = sa.select(connections.c.gateway).where(
        connections.c.partition == partition,
        connections.c.id == connection,
        connections.c.app == app,
        connections.c.closed_at.is_(None),
    )
    name: str | None = await db.scalar(query)
    return name


async def _found(db: AsyncConnection, query: sa.Select[Any]) -> Sequence[Found]:
    """Read rows as text, as they were written: PostgreSQL has no word for all that JSON can say."""
    rows = query.subquery("found")
    texts = await db.execute(
        sa.select(sa.cast(sa.func.row_to_json(sa.literal_column("found")), sa.Text)).select_from(rows)
    )
    return [_decode(restored(text)) for (text,) in texts]


def _fit(app: str, filters: Filters) -> list[sa.ColumnElement[bool]]:
    conditions = [connections.c.app == app, connections.c.closed_at.is_(None)]
    if filters.user is not None:
        conditions.append(connections.c.user == storable_text(filters.user))
    if filters.device is not None:
        conditions.append(connections.c.device == storable_text(filters.device))
    if filters.availability == "inCall":
        conditions.append(_in_call)
    elif filters.availability is not None:
        conditions += [profiles.c.availability == filters.availability, ~_in_call]
    if filters.room is not None:
        here = sa.select(memberships.c.connection).where(memberships.c.room == storable_text(filters.room))
        conditions.append(connections.c.id.in_(here))
    if filters.part is not None:
        conditions.append(_has(storable_text(filters.part)))
    for objects in filters.metadata_like():
        texts = [storable(msgspec.json.encode(each)) for each in objects]
        conditions.append(sa.or_(*(profiles.c.metadata.contains(sa.cast(sa.literal(text), JSONB)) for text in texts)))
    return conditions


def _has(part: str) -> sa.ColumnElement[bool]:
    """Whether *part* stands in a name of the connection or in a value of its metadata, in capitals or not."""
    values = sa.func.jsonb_each_text(profiles.c.metadata).table_valued("key", "value")
    places = [connections.c.id, connections.c.user, connections.c.device]
    in_metadata = sa.select(values.c.key).where(_holds(values.c.value, part)).correlate(profiles).exists()
    return sa.or_(*(_holds(place, part) for place in places), in_metadata)


def _holds(text: "sa.ColumnElement[str]", part: str) -> sa.ColumnElement[bool]:
    return sa.func.strpos(sa.func.lower(text), sa.func.lower(part)) > 0
