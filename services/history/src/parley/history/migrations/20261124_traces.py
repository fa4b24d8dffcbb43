"""Traces of negotiation steps and of calls, and how long a call waited for its first answer and its first media."""

from alembic import op

revision = "20261124_traces"
down_revision = "20261122_analytics"
compatible_from = "20261121_history"


def upgrade() -> None:
    op.execute("alter table steps add column traceparent text")
    op.execute("""
        alter table calls
            add column own_trace_id text, add column first_answer_ms bigint,
            add column first_media_ms double precision""")
