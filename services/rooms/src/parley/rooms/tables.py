"""The tables of the schema `rooms`, for statements; the migrations make them."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB

from parley.kit.ownership import ownership_tables

metadata: Final = sa.MetaData(schema="rooms")


def _partition() -> sa.Column[int]:
    return sa.Column("partition", sa.SmallInteger, primary_key=True)


connections: Final = sa.Table(
    "connections",
    metadata,
    _partition(),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("app", sa.Text, nullable=False),
    sa.Column("session", sa.Integer, nullable=False),
    sa.Column("gateway", sa.Text, nullable=False),
    sa.Column("resumable", sa.Boolean, nullable=False),
    sa.Column("user", sa.Text),
    sa.Column("device", sa.Text),
    sa.Column("subject", sa.Text),
    sa.Column("opened_at", sa.BigInteger, nullable=False),
    sa.Column("closed_at", sa.BigInteger),
    sa.Column("before", JSONB, nullable=False),
    sa.Column("attempt", sa.BigInteger, nullable=False),
)

lost: Final = sa.Table(
    "lost_gateways",
    metadata,
    _partition(),
    sa.Column("gateway", sa.Text, primary_key=True),
    sa.Column("since", sa.BigInteger, nullable=False),
)

rooms: Final = sa.Table(
    "rooms",
    metadata,
    _partition(),
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Text, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("arrivals", sa.BigInteger, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("opened_at", sa.BigInteger, nullable=False),
    sa.Column("call", JSONB),
    sa.Column("offerer", sa.Text),
)

members: Final = sa.Table(
    "members",
    metadata,
    _partition(),
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("room", sa.Text, primary_key=True),
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("order", sa.BigInteger, nullable=False),
    sa.Column("joined_at", sa.BigInteger, nullable=False),
    sa.Column("profile", JSONB, nullable=False),
    sa.Column("peers", ARRAY(sa.Text), nullable=False),
    sa.Column("hung_up_at", sa.BigInteger, nullable=False),
)

window: Final = sa.Table(
    "window",
    metadata,
    _partition(),
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("room", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True),
    sa.Column("said", JSON, nullable=False),
)
"""`said` holds what clients wrote to the letter, so it is json and not jsonb."""

known: Final = sa.Table(
    "known",
    metadata,
    _partition(),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("profile", JSONB, nullable=False),
)

sides: Final = sa.Table(
    "sides",
    metadata,
    _partition(),
    sa.Column("sender", sa.Text, primary_key=True),
    sa.Column("to", sa.Text, primary_key=True),
    sa.Column("current", ARRAY(sa.Text), nullable=False),
    sa.Column("earlier", ARRAY(sa.Text), nullable=False),
)

offers: Final = sa.Table(
    "offers",
    metadata,
    _partition(),
    sa.Column("offerer", sa.Text, primary_key=True),
    sa.Column("to", sa.Text, primary_key=True),
    sa.Column("room", sa.Text, primary_key=True),
    sa.Column("app", sa.Text, nullable=False),
    sa.Column("due", sa.BigInteger, nullable=False),
)

holders: Final = sa.Table(
    "holders",
    metadata,
    _partition(),
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("box", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("connection", sa.Text, nullable=False),
    sa.Column("secret", sa.Text),
    sa.Column("before", sa.Text),
)

letters: Final = sa.Table(
    "letters",
    metadata,
    _partition(),
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("box", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True),
    sa.Column("connection", sa.Text, nullable=False),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("data", JSON),
    sa.Column("due", sa.BigInteger, nullable=False),
    sa.Column("notify", sa.Boolean, nullable=False),
    sa.Column("step", sa.Text),
)
"""`data` holds what clients wrote to the letter, so it is json and not jsonb; their null is none of PostgreSQL's."""

writers: Final = sa.Table(
    "writers",
    metadata,
    _partition(),
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("box", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("reply", sa.Text, nullable=False),
    sa.Column("due", sa.BigInteger, nullable=False),
)

ownership: Final = ownership_tables(metadata)
