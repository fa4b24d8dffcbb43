"""Messages, calls with who took part, and what could not be stored."""

from alembic import op

revision = "20261121_history"
down_revision = None
compatible_from = "20261121_history"


def upgrade() -> None:
    op.execute("""
        create table messages (
            app text not null, room text not null, epoch text not null, position bigint not null,
            id text not null, connection_id text, user_id text, text text not null, data json not null,
            time timestamptz not null,
            search tsvector not null generated always as (to_tsvector('simple', left(text, 100000))) stored,
            primary key (app, room, epoch, position)
        )""")
    op.execute("create index messages_by_time on messages (app, room, time, epoch, position)")
    op.execute("""
        create table epochs (
            app text not null, room text not null, epoch text not null, opened_at timestamptz not null,
            primary key (app, room, epoch)
        )""")
    op.execute("""
        create table calls (
            app text not null, id text not null, room text not null, epoch text not null,
            started_at timestamptz not null, ended_at timestamptz, duration_ms bigint, reason text,
            primary key (app, id)
        )""")
    op.execute("create index calls_by_time on calls (app, started_at, id)")
    op.execute("create index calls_by_room on calls (app, room, started_at, id)")
    op.execute("""
        create table participants (
            app text not null, call_id text not null, ordinal integer not null,
            connection_id text not null, user_id text, joined_at timestamptz not null, left_at timestamptz,
            primary key (app, call_id, ordinal),
            foreign key (app, call_id) references calls on delete cascade
        )""")
    op.execute("create index participants_by_user on participants (app, user_id)")
    op.execute("create index participants_by_connection on participants (app, connection_id)")
    op.execute("""
        create table parked (
            id bigint generated always as identity primary key,
            sequence bigint not null, stored_at timestamptz not null, subject text not null, payload bytea not null,
            reason text not null, parked_at timestamptz not null default now(),
            unique (sequence, stored_at)
        )""")
