"""A room, its members and the last frames of its stream: rows, and what can be read off them."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from parley.protocol.commands import Profile
from parley.protocol.says import ChatPosted, Missed
from parley.protocol.says import Member as MemberSeen
from parley.protocol.table import Table

K = TypeVar("K")
V = TypeVar("V")

_encode: Final = msgspec.json.Encoder().encode

RoomKey = tuple[str, str]
"""App and name."""

MemberKey = tuple[str, str, str]
"""App, room and connection."""

KeptKey = tuple[str, str, int]
"""App, room and position."""

WINDOW: Final = 128
"""How many frames of a room's stream are kept for those who come back; history has the older chat."""

WINDOW_BYTES: Final = 192 * 1024
"""What these may have together, so that an answer can hold them all and no client fills our memory."""

PRESENTED_BYTES: Final = 256 * 1024
"""What a room's members may say about themselves together: it must fit one answer beside the window."""

REMEMBERED_BYTES: Final = 256 * 1024
"""What the parts of a call may have together: they must fit one event when it ends."""

MEMBER_BYTES: Final = 128
"""What a member takes in an answer beyond its profile here: its connection, and names that are left out here."""

TIMES_BYTES: Final = 64
"""What a part of a call takes in an event beyond what it takes here: its times are spelled out there."""


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
    hung_up_at: int = 0
    """Milliseconds: when it last ended all of that. Answers from before may still be on their way here."""

    @property
    def key(self) -> MemberKey:
        """Return the key of the row."""
        return self.app, self.room, self.connection


class Known(Struct, frozen=True):
    """How a connection presents itself, as far as this partition has heard.

    At its home it is what it takes along when it resumes; elsewhere what of that is news.
    """

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

    def profiles(self, room: RoomKey) -> list[Profile]:
        """Return how a room's members present themselves."""
        return [self._rows[*room, connection].profile for connection in self.of_room.get(room, ())]

    def rooms_of(self, connection: str) -> list[RoomKey]:
        """Return the rooms that a connection is in, always in the same order."""
        return sorted(self.of_connection.get(connection, ()))


class Window(Table[KeptKey, Kept]):
    """The last frames of each room's stream, without gaps; chat also by its sender's own id."""

    def __init__(self) -> None:
        super().__init__()
        self.chats: dict[tuple[str, str, str | None, str], int] = {}
        self.held: dict[RoomKey, tuple[int, int]] = {}
        """How many frames are kept of a room, and their bytes."""

    def index(self, key: KeptKey, old: Kept | None, new: Kept | None) -> None:
        """Keep both derived indexes."""
        app, name, position = key
        frames, size = self.held.get((app, name), (0, 0))
        if old is not None:
            frames, size = frames - 1, size - _size(old.said)
            if chat := _chat(old):
                self.chats.pop(chat, None)
        if new is not None:
            frames, size = frames + 1, size + _size(new.said)
            if chat := _chat(new):
                self.chats[chat] = position
        self.held[app, name] = frames, size
        if frames == 0:
            del self.held[app, name]

    def add(self, kept: Kept) -> None:
        """Keep a frame, and drop the oldest while they are too many or too big; this one stays in any case."""
        app, name = kept.app, kept.room
        self[app, name, kept.position] = kept
        while True:
            frames, size = self.held[app, name]
            if frames == 1 or (frames <= WINDOW and size <= WINDOW_BYTES):
                return
            del self[app, name, kept.position - frames + 1]

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


def presented(profiles: Sequence[Profile]) -> int:
    """Return how many bytes it takes, at most, to say who is there."""
    return _size(profiles) + len(profiles) * MEMBER_BYTES


def remembered(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Return the parts of a call without those that left it first, should there be more than an event can name."""
    sizes = [_size(part) + TIMES_BYTES for part in parts]
    excess = sum(sizes) - REMEMBERED_BYTES
    kept = []
    for part, size in zip(parts, sizes, strict=True):
        if excess > 0 and part.left_at is not None:
            excess -= size
        else:
            kept.append(part)
    return tuple(kept)


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


def _size(value: Any) -> int:
    return len(_encode(value))


def _chat(kept: Kept) -> tuple[str, str, str | None, str] | None:
    said = kept.said
    return (kept.app, kept.room, said.from_, said.id) if isinstance(said, ChatPosted) else None


def _drop(index: dict[K, dict[V, None]], key: K, value: V) -> None:
    values = index[key]
    del values[value]
    if not values:
        del index[key]
