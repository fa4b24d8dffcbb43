"""The table of channels, for statements; a migration makes it."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

channels: Final = sa.Table(
    "channels",
    sa.MetaData(schema="rooms"),
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("ttl", sa.Integer, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("tags", JSONB, nullable=False),
)
