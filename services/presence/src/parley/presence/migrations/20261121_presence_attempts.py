"""The highest attempt to resume each connection, so that one which comes late takes it from nobody."""

from alembic import op

revision = "20261121_presence_attempts"
down_revision = "20261121_presence"
compatible_from = "20261121_presence"


def upgrade() -> None:
    op.execute("alter table connections add column attempt bigint not null default 0")
