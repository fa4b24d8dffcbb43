"""When a member last hung up, so that answers from before begin no call."""

from alembic import op

revision = "20261123_hung_up"
down_revision = "20261122_writers"
compatible_from = "20261122_writers"


def upgrade() -> None:
    op.execute("alter table members add column hung_up_at bigint not null default 0")
