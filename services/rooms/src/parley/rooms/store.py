"""How a partition of rooms is kept in PostgreSQL: which rows in which table."""

from parley.kit.rows import Kept, Rows
from parley.protocol.registry import Connection, LostGateway
from parley.rooms import addresses, negotiation, room, tables
from parley.rooms.rooms import Rooms


def store_of(partitions: int) -> Rows:
    """Return the store of an installation with so many partitions."""
    return Rows(
        lambda _: Rooms(partitions),
        [
            Kept(tables.connections, Connection),
            Kept(tables.lost, LostGateway),
            Kept(tables.rooms, room.Room),
            Kept(tables.members, room.Member),
            Kept(tables.window, room.Kept),
            Kept(tables.known, room.Known),
            Kept(tables.sides, negotiation.Side),
            Kept(tables.offers, negotiation.Offer),
            Kept(tables.holders, addresses.Holder),
            Kept(tables.letters, addresses.Waiting),
            Kept(tables.writers, addresses.Writer),
        ],
    )
