"""Connections as rooms knows them, rooms, members, and the frames kept for those who come back."""

from alembic import op

from parley.rooms.tables import ownership

revision = "20261121_rooms"
down_revision = None
compatible_from = "20261121_rooms"


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
        create table rooms (
            partition smallint not null, app text not null, name text not null, epoch text not null,
            position bigint not null, sequence bigint not null, arrivals bigint not null, size integer not null,
            opened_at bigint not null, call jsonb, offerer text,
            primary key (partition, app, name)
        )""")
    op.execute("""create index rooms_by_name on rooms (app, name collate "C")""")
    op.execute("""
        create table members (
            partition smallint not null, app text not null, room text not null, connection text not null,
            "order" bigint not null, joined_at bigint not null, profile jsonb not null, peers text[] not null,
            primary key (partition, app, room, connection)
        )""")
    op.execute("""
        create table "window" (
            partition smallint not null, app text not null, room text not null, position bigint not null,
            said json not null,
            primary key (partition, app, room, position)
        )""")
    op.execute("""
        create table known (
            partition smallint not null, id text not null, profile jsonb not null,
            primary key (partition, id)
        )""")
    op.execute("""
        create table sides (
            partition smallint not null, sender text not null, "to" text not null,
            current text[] not null, earlier text[] not null,
            primary key (partition, sender, "to")
        )""")
    op.execute("""
        create table offers (
            partition smallint not null, offerer text not null, "to" text not null, room text not null,
            app text not null, due bigint not null,
            primary key (partition, offerer, "to", room)
        )""")
    for table in ownership:
        table.create(op.get_bind())
