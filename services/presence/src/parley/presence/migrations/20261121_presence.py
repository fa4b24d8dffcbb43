"""Connections as presence knows them: who, where, how available, in which rooms."""

from alembic import op

from parley.presence.tables import ownership

revision = "20261121_presence"
down_revision = None
compatible_from = "20261121_presence"


def upgrade() -> None:
    op.execute("""
        create table connections (
            partition smallint not null, id text not null, app text not null, session integer not null,
            gateway text not null, resumable boolean not null, "user" text, device text, subject text,
            opened_at bigint not null, closed_at bigint, before jsonb not null,
            primary key (partition, id)
        )""")
    op.execute("""
        create table lost_gateways (
            partition smallint not null, gateway text not null, since bigint not null,
            primary key (partition, gateway)
        )""")
    op.execute("""
        create table profiles (
            partition smallint not null, id text not null, metadata jsonb not null, availability text not null,
            calls text[] not null, dialect text not null, address text not null, agent text not null,
            primary key (partition, id)
        )""")
    op.execute("""
        create table memberships (
            partition smallint not null, connection text not null, room text not null,
            primary key (partition, connection, room)
        )""")
    op.execute("create index on connections (app, opened_at, id) where closed_at is null")
    op.execute('create index on connections (app, "user") where closed_at is null')
    op.execute("create index on connections (app, device) where closed_at is null")
    op.execute("create index on profiles using gin (metadata jsonb_path_ops)")
    op.execute("create index on memberships (room)")
    for table in ownership:
        table.create(op.get_bind())
