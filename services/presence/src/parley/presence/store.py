"""The rows of presence in PostgreSQL."""

from parley.kit.rows import Kept, Rows
from parley.presence import rows, tables
from parley.presence.presence import Presence
from parley.protocol.registry import Connection, LostGateway


def store_of(partitions: int) -> Rows:
    """Return the store of an installation with so many *partitions*."""
    return Rows(
        lambda _: Presence(partitions),
        [
            Kept(tables.connections, Connection),
            Kept(tables.lost, LostGateway),
            Kept(tables.profiles, rows.Profile),
            Kept(tables.memberships, rows.Membership),
        ],
    )
