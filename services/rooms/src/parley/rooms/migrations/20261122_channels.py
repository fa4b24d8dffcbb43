"""Signaling channels of Kinesis Video Streams."""

from alembic import op

revision = "20261122_channels"
down_revision = "20261122_addresses"
compatible_from = "20261122_addresses"


def upgrade() -> None:
    op.execute("""
        create table channels (
            app text not null, region text not null, name text collate "C" not null, created_at bigint not null,
            ttl integer not null, version text not null, tags jsonb not null,
            primary key (app, region, name)
        )""")
