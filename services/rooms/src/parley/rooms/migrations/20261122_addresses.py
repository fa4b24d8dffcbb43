"""Addresses that connections hold, and letters that wait for somebody to take one."""

from alembic import op

revision = "20261122_addresses"
down_revision = "20261121_rooms_attempts"
compatible_from = "20261121_rooms_attempts"


def upgrade() -> None:
    op.execute("""
        create table holders (
            partition smallint not null, app text not null, box text not null, name text not null,
            connection text not null, secret text,
            primary key (partition, app, box, name)
        )""")
    op.execute("""
        create table letters (
            partition smallint not null, app text not null, box text not null, name text not null,
            number bigint not null, connection text not null, sender text not null, kind text not null,
            data json, due bigint not null, notify boolean not null, step text,
            primary key (partition, app, box, name, number)
        )""")
