"""A room, its members and the last frames of its stream: rows, and what can be read off them."""

from typing import Final, TypeVar

from msgspec import Struct

from parley.protocol.commands import Profile
from parley.protocol.says import ChatPosted, Missed
from parley.protocol.says import Member as MemberSeen
from parley.protocol.table import Table

K = TypeVar("K")
V = TypeVar("V")

RoomKey = tuple[str, str]
"""App and name."""

MemberKey = tuple[str, str, str]
"""App, room and connection."""

KeptKey = tuple[str, str, int]
"""App, room and position."""

WINDOW: Final = 128
"""How many frames of a room's stream are kept for those who come back; history has the older chat."""


class Part(Struct, frozen=True):
    """Somebody's part in a call; times in milliseconds."""

    connection: str
    user: str | None
    joined_at: int
    left_at: int | None = None


class Call(Struct, frozen=True):
    """The time in which a room has two or more negotiated members."""

    id: str
    started_at: int
    parts: tuple[Part, ...]

    def has(self, connection: str) -> bool:
        """Whether a connection takes part now."""
        return any(part.connection == connection and part.left_at is None for part in self.parts)


class Room(Struct, frozen=True, kw_only=True):
    """A named set of members with one ordered stream."""

    app: str
    name: str
    epoch: str
    position: int = 0
    """Counts `member.joined`, `member.left` and `chat`, without gaps."""
    sequence: int = 0
    """Counts the public events of the room, without gaps."""
    arrivals: int = 0
    """How many have ever joined: of two members, the one with the lower `Member.order` is impolite."""
    size: int = 0
    opened_at: int = 0
    call: Call | None = None
    offerer: str | None = None
    """Who sent the last offer to the whole room: the next answer to the room is for it."""

    @property
    def key(self) -> RoomKey:
        """Return the key of the row."""
        return self.app, self.name


class Member(Struct, frozen=True, kw_only=True):
    """A connection's place in a room."""

    app: str
    room: str
    connection: str
    order: int
    joined_at: int
    profile: Profile
    peers: tuple[str, ...] = ()
    """The members that it has negotiated with."""

    @property
    def key(self) -> MemberKey:
        """Return the key of the row."""
        return self.app, self.room, self.connection


class Known(Struct, frozen=True):
    """How a connection presents itself, at its home: what it takes along when it resumes."""

    id: str
    profile: Profile


class Kept(Struct, frozen=True):
    """One frame of a room's stream, for those who come back."""

    app: str
    room: str
    position: int
    said: Missed


class Members(Table[MemberKey, Member]):
    """Members by room and by connection."""

    def __init__(self) -> None:
        super().__init__()
        self.of_room: dict[RoomKey, dict[str, None]] = {}
        self.of_connection: dict[str, dict[RoomKey, None]] = {}

    def index(self, key: MemberKey, old: Member | None, new: Member | None) -> None:
        """Keep both derived indexes."""
        app, name, connection = key
        room = (app, name)
        if old is None and new is not None:
            self.of_room.setdefault(room, {})[connection] = None
            self.of_connection.setdefault(connection, {})[room] = None
        elif new is None and old is not None:
            _drop(self.of_room, room, connection)
            _drop(self.of_connection, connection, room)

    def of(self, room: RoomKey) -> list[Member]:
        """Return a room's members, the earliest first."""
        here = (self._rows[*room, connection] for connection in self.of_room.get(room, ()))
        return sorted(here, key=lambda member: member.order)

    def rooms_of(self, connection: str) -> list[RoomKey]:
        """Return the rooms that a connection is in, always in the same order."""
        return sorted(self.of_connection.get(connection, ()))


class Window(Table[KeptKey, Kept]):
    """The last frames of each room's stream; chat also by its sender's own id."""

    def __init__(self) -> None:
        super().__init__()
        self.chats: dict[tuple[str, str, str | None, str], int] = {}

    def index(self, key: KeptKey, old: Kept | None, new: Kept | None) -> None:
        """Keep the derived index of chat."""
        if old is not None and (chat := _chat(old)):
            self.chats.pop(chat, None)
        if new is not None and (chat := _chat(new)):
            self.chats[chat] = key[2]

    def add(self, kept: Kept) -> None:
        """Keep a frame, and drop the one that is now too old."""
        self[kept.app, kept.room, kept.position] = kept
        oldest = (kept.app, kept.room, kept.position - WINDOW)
        if oldest in self:
            del self[oldest]

    def after(self, room: Room, position: int) -> list[Missed] | None:
        """Return the frames of a room after *position*, None if some are not kept any more."""
        wanted = range(position + 1, room.position + 1)
        kept = [self.get((room.app, room.name, at)) for at in wanted] if len(wanted) <= WINDOW else [None]
        found = [row.said for row in kept if row is not None]
        return found if len(found) == len(kept) else None

    def clear(self, room: Room) -> None:
        """Drop what is kept of a room."""
        for position in range(max(1, room.position - WINDOW), room.position + 1):
            if (room.app, room.name, position) in self:
                del self[room.app, room.name, position]


def seen(member: Member, room: Room, *, polite: bool) -> MemberSeen:
    """Return a member as others see it."""
    profile = member.profile
    in_call = room.call is not None and room.call.has(member.connection)
    return MemberSeen(
        connection_id=member.connection,
        user_id=profile.user_id,
        device_id=profile.device_id,
        metadata=profile.metadata,
        availability="inCall" if in_call else profile.availability,
        polite=polite,
    )


def _chat(kept: Kept) -> tuple[str, str, str | None, str] | None:
    said = kept.said
    return (kept.app, kept.room, said.from_, said.id) if isinstance(said, ChatPosted) else None


def _drop(index: dict[K, dict[V, None]], key: K, value: V) -> None:
    values = index[key]
    del values[value]
    if not values:
        del index[key]
