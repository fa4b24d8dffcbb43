"""Whose place a holder of an address has taken, so that it is told when that one is gone."""

from alembic import op

revision = "20261124_before"
down_revision = "20261123_hung_up"
compatible_from = "20261123_hung_up"


def upgrade() -> None:
    op.execute("alter table holders add column before text")
