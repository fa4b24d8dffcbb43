"""The tables of the schema `history`, for statements; the migrations make them."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON, TIMESTAMP, TSVECTOR

metadata: Final = sa.MetaData(schema="history")

messages: Final = sa.Table(
    "messages",
    metadata,
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("room", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("connection_id", sa.Text),
    sa.Column("user_id", sa.Text),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("data", JSON, nullable=False),
    sa.Column("time", TIMESTAMP(timezone=True), nullable=False),
    sa.Column("search", TSVECTOR, nullable=False),
)
"""Chat. `data` holds what clients wrote to the letter, so it is json and not jsonb; `search` makes itself."""

epochs: Final = sa.Table(
    "epochs",
    metadata,
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("room", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Text, primary_key=True),
    sa.Column("opened_at", TIMESTAMP(timezone=True), nullable=False),
)
"""When each incarnation of a room began: a client may name one in which nobody said anything."""

calls: Final = sa.Table(
    "calls",
    metadata,
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("room", sa.Text, nullable=False),
    sa.Column("epoch", sa.Text, nullable=False),
    sa.Column("started_at", TIMESTAMP(timezone=True), nullable=False),
    sa.Column("ended_at", TIMESTAMP(timezone=True)),
    sa.Column("duration_ms", sa.BigInteger),
    sa.Column("reason", sa.Text),
)

participants: Final = sa.Table(
    "participants",
    metadata,
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("call_id", sa.Text, primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("connection_id", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text),
    sa.Column("joined_at", TIMESTAMP(timezone=True), nullable=False),
    sa.Column("left_at", TIMESTAMP(timezone=True)),
)
"""Somebody's part in a call. Who leaves a call and comes back has two."""
