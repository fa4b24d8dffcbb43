"""The tables of the schema `presence`, for statements; the migrations make them."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from parley.kit.ownership import ownership_tables

metadata: Final = sa.MetaData(schema="presence")


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

profiles: Final = sa.Table(
    "profiles",
    metadata,
    _partition(),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("metadata", JSONB, nullable=False),
    sa.Column("availability", sa.Text, nullable=False),
    sa.Column("calls", ARRAY(sa.Text), nullable=False),
    sa.Column("dialect", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
)

memberships: Final = sa.Table(
    "memberships",
    metadata,
    _partition(),
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("room", sa.Text, primary_key=True),
)

ownership: Final = ownership_tables(metadata)
