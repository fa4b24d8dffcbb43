"""The tables of the schema `history`, for statements; the migrations make them."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE, JSON, TIMESTAMP, TSVECTOR

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
    sa.Column("trace_id", sa.Text),
    sa.Column("setup_ms", sa.BigInteger),
    sa.Column("own_trace_id", sa.Text),
    sa.Column("first_answer_ms", sa.BigInteger),
    sa.Column("first_media_ms", sa.Double),
)
"""
`trace_id` is that of the frame that started it; `own_trace_id` is there once the call's own span was made (story.py).
`setup_ms` and the first answer follow from `steps` (setup.py), and stay when those are pruned.
"""

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

steps: Final = sa.Table(
    "steps",
    metadata,
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("connection_id", sa.Text, primary_key=True),
    sa.Column("time", TIMESTAMP(timezone=True), primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("room", sa.Text),
    sa.Column("to_id", sa.Text),
    sa.Column("traceparent", sa.Text),
)
"""
Steps of negotiations. `id` is the event's; `room` is null directly between two connections; `traceparent` is there if
the trace was kept. Kept for some days.
"""

reports: Final = sa.Table(
    "reports",
    metadata,
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("call_id", sa.Text, primary_key=True),
    sa.Column("time", TIMESTAMP(timezone=True), primary_key=True),
    sa.Column("connection_id", sa.Text, primary_key=True),
    sa.Column("peer", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("bytes_sent", sa.BigInteger, nullable=False),
    sa.Column("bytes_received", sa.BigInteger, nullable=False),
    sa.Column("packets_received", sa.BigInteger, nullable=False),
    sa.Column("packets_lost", sa.BigInteger, nullable=False),
    sa.Column("jitter_ms", sa.Double),
    sa.Column("round_trip_ms", sa.Double),
    sa.Column("local_candidate", sa.Text),
    sa.Column("remote_candidate", sa.Text),
    sa.Column("setup_ms", sa.Double),
    sa.Column("first_media_ms", sa.Double),
)
"""What members of a call report about each of their peers. Kept for some days."""

first_media: Final = sa.Table(
    "first_media",
    metadata,
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("call_id", sa.Text, primary_key=True),
    sa.Column("connection_id", sa.Text, primary_key=True),
    sa.Column("peer", sa.Text, primary_key=True),
    sa.Column("room", sa.Text, nullable=False),
    sa.Column("time", TIMESTAMP(timezone=True), nullable=False),
    sa.Column("first_media_ms", sa.Double, nullable=False),
)
"""How long each side of a path waited for media, once for the many reports that say so; `time` is the first one's."""

activity: Final = sa.Table(
    "activity",
    metadata,
    sa.Column("grain", sa.SmallInteger, primary_key=True),
    sa.Column("app", sa.Text, primary_key=True),
    sa.Column("time", TIMESTAMP(timezone=True), primary_key=True),
    *(
        sa.Column(name, sa.BigInteger, nullable=False)
        for name in (
            "connections_opened",
            "connections_closed",
            "joins",
            "leaves",
            "messages",
            "calls_started",
            "calls_ended",
            "offers",
            "negotiations_failed",
            "events_failed",
        )
    ),
)
"""How often what happened in a second (`grain` 1) or a minute (60) that begins at `time`."""

counted: Final = sa.Table(
    "counted",
    metadata,
    sa.Column("stream", sa.Text, primary_key=True),
    sa.Column("done", INT8MULTIRANGE, nullable=False),
)
"""Which events are in `activity`: the sequences of each incarnation of EVENTS, by when it was made."""
