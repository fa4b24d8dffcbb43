"""What one partition of the rooms service remembers, and the few ways in which its rules speak."""

from collections.abc import Iterator

from msgspec.structs import replace

from parley.protocol.commands import Calling, FromConnection, InRoom, Profile
from parley.protocol.envelope import Place
from parley.protocol.events import Data
from parley.protocol.ids import home_of
from parley.protocol.outputs import Deliver, Fact, Forward
from parley.protocol.registry import Registry
from parley.protocol.says import AnySay, Missed
from parley.protocol.table import Table
from parley.rooms.addresses import Post
from parley.rooms.negotiation import Negotiations
from parley.rooms.room import Kept, Known, Members, Room, RoomKey, Window


class Rows:
    """The rows of a partition."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        """How many the installation has; never changes."""
        self.registry = Registry()
        self.rooms: Table[RoomKey, Room] = Table()
        self.members = Members()
        self.window = Window()
        self.known: Table[str, Known] = Table()
        self.negotiations = Negotiations()
        self.post = Post()

    def fact(self, key: RoomKey, data: Data) -> Fact:
        """Announce something of a room, with the next of its sequence."""
        room = replace(self.rooms[key], sequence=self.rooms[key].sequence + 1)
        self.rooms[key] = room
        return Fact(data, subject=room.name, sequence=room.sequence)

    def advance(self, key: RoomKey) -> Room:
        """Take the next position of a room's stream."""
        room = replace(self.rooms[key], position=self.rooms[key].position + 1)
        self.rooms[key] = room
        return room

    def keep(self, key: RoomKey, position: int, said: Missed) -> None:
        """Keep a frame of a room's stream for those who come back."""
        self.window.add(Kept(*key, position, said))

    def to(self, connection: str, say: AnySay) -> Iterator[Deliver]:
        """Tell one connection, if it lives."""
        row = self.registry.connections.get(connection)
        if row is not None and row.live:
            yield Deliver(row.gateway, (connection,), say)

    def to_members(self, key: RoomKey, say: AnySay, *, but: str | None = None) -> Iterator[Deliver]:
        """Tell a room's members: one delivery for each gateway that has some."""
        by_gateway: dict[str, list[str]] = {}
        connections = self.registry.connections
        for connection in self.members.of_room.get(key, ()):
            if connection != but:
                by_gateway.setdefault(connections[connection].gateway, []).append(connection)
        for gateway, here in sorted(by_gateway.items()):
            yield Deliver(gateway, tuple(here), say)

    def in_room(self, key: RoomKey, connection: str, *, member: bool) -> Iterator[Forward]:
        """Tell a connection's home whether it is in a room."""
        yield from self._home(connection, InRoom(app=key[0], connection=connection, room=key[1], member=member))

    def calling(self, app: str, connection: str, call: str, *, lasting: bool) -> Iterator[Forward]:
        """Tell a connection's home whether it is in a call."""
        yield from self._home(connection, Calling(app=app, connection=connection, call=call, lasting=lasting))

    def know(self, connection: str, profile: Profile) -> None:
        """Remember how a connection presents itself: at its home, and where it is a member."""
        known = Known(connection, profile)
        if self.known.get(connection) != known:
            self.known[connection] = known

    def forget(self, connection: str) -> None:
        """Forget how a connection presented itself, and what it had begun with others; it is closed."""
        self.negotiations.forget(connection)
        if connection in self.known:
            del self.known[connection]

    def is_home(self, command: FromConnection, at: Place) -> bool:
        """Whether this partition is the home of a command's connection."""
        return home_of(command.connection, self.partitions) == at.partition

    def _home(self, connection: str, command: Calling | InRoom) -> Iterator[Forward]:
        home = home_of(connection, self.partitions)
        if home is not None:
            yield Forward(home, command)
