"""What one partition of presence remembers of the connections that have their home there."""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from parley.protocol.registry import Registry
from parley.protocol.requests import Availability, Metadata
from parley.protocol.table import Table


class Profile(Struct, frozen=True, kw_only=True):
    """A live connection as others may find it."""

    id: str
    metadata: Metadata
    availability: Availability
    """As its client declares it."""
    calls: tuple[str, ...] = ()
    """The calls it takes part in."""
    dialect: str = ""
    address: str = ""
    agent: str = ""

    @property
    def effective(self) -> Availability:
        """How available it is: whoever is in a call is not, whatever the client says."""
        return "inCall" if self.calls else self.availability


class Membership(Struct, frozen=True):
    """A connection is in a room."""

    connection: str
    room: str


class Memberships(Table[tuple[str, str], Membership]):
    """Memberships by connection and room, and the rooms of each connection."""

    def __init__(self) -> None:
        super().__init__()
        self._of: dict[str, dict[str, None]] = {}

    def index(self, key: tuple[str, str], old: Membership | None, new: Membership | None) -> None:
        """Keep the rooms of each connection."""
        connection, room = key
        if new is not None:
            self._of.setdefault(connection, {})[room] = None
        elif old is not None:
            rooms = self._of[connection]
            del rooms[room]
            if not rooms:
                del self._of[connection]

    def of(self, connection: str) -> Iterator[str]:
        """Return the rooms of *connection*, as they are now."""
        return iter(tuple(self._of.get(connection, ())))


class Rows:
    """The rows of a partition. A profile exists for as long as its connection lives."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.profiles: Table[str, Profile] = Table()
        self.memberships = Memberships()

    def forget(self, connection: str) -> None:
        """A connection is over."""
        if connection in self.profiles:
            del self.profiles[connection]
        for room in self.memberships.of(connection):
            del self.memberships[connection, room]

    def enter(self, connection: str, room: str) -> None:
        """A connection is in a room."""
        if (connection, room) not in self.memberships:
            self.memberships[connection, room] = Membership(connection, room)

    def leave(self, connection: str, room: str) -> None:
        """A connection is in a room no longer."""
        if (connection, room) in self.memberships:
            del self.memberships[connection, room]

    def call(self, connection: str, call: str, *, lasting: bool) -> None:
        """A call began or ended for a connection."""
        profile = self.profiles[connection]
        others = tuple(other for other in profile.calls if other != call)
        calls = (*others, call) if lasting else others
        if calls != profile.calls:
            self.profiles[connection] = replace(profile, calls=calls)
