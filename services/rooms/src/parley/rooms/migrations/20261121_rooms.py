"""Connections as rooms knows them, rooms, members, and the frames kept for those who come back."""

from alembic import op

from parley.rooms.tables import metadata

revision = "20261121_rooms"
down_revision = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())
