"""Who waits outside for the answer to a letter."""

from alembic import op

revision = "20261122_writers"
down_revision = "20261122_channels"
compatible_from = "20261122_channels"


def upgrade() -> None:
    op.execute("""
        create table writers (
            partition smallint not null, app text not null, box text not null, name text not null,
            kind text not null, reply text not null, due bigint not null,
            primary key (partition, app, box, name)
        )""")
