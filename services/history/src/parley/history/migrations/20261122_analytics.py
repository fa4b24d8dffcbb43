"""Negotiation steps, quality reports, and what happened by the second and the minute."""

from alembic import op

revision = "20261122_analytics"
down_revision = "20261121_history"
compatible_from = "20261121_history"


def upgrade() -> None:
    op.execute("alter table calls add column trace_id text, add column setup_ms bigint")
    op.execute("create index messages_by_app on messages (app, time)")
    op.execute("drop index participants_by_connection")
    op.execute("create index participants_by_connection on participants (app, connection_id, joined_at)")
    op.execute("""
        create table steps (
            app text not null, connection_id text not null, time timestamptz not null, id text not null,
            type text not null, room text, to_id text,
            primary key (app, connection_id, time, id)
        )""")
    op.execute("create index steps_by_room on steps (app, room, time)")
    op.execute("create index steps_by_time on steps using brin (time)")
    op.execute("""
        create table reports (
            app text not null, call_id text not null, time timestamptz not null, connection_id text not null,
            peer text not null, state text not null, bytes_sent bigint not null, bytes_received bigint not null,
            packets_received bigint not null, packets_lost bigint not null, jitter_ms double precision,
            round_trip_ms double precision, local_candidate text, remote_candidate text,
            setup_ms double precision, first_media_ms double precision,
            primary key (app, call_id, time, connection_id, peer)
        )""")
    op.execute("create index reports_by_time on reports using brin (time)")
    op.execute("""
        create table first_media (
            app text not null, call_id text not null, connection_id text not null, peer text not null,
            room text not null, time timestamptz not null, first_media_ms double precision not null,
            primary key (app, call_id, connection_id, peer)
        )""")
    op.execute("create index first_media_by_time on first_media (app, time)")
    op.execute("""
        create table activity (
            grain smallint not null, app text not null, time timestamptz not null,
            connections_opened bigint not null, connections_closed bigint not null,
            joins bigint not null, leaves bigint not null, messages bigint not null,
            calls_started bigint not null, calls_ended bigint not null,
            offers bigint not null, negotiations_failed bigint not null, events_failed bigint not null,
            primary key (grain, app, time)
        )""")
    op.execute("create table counted (stream text primary key, done int8multirange not null)")
