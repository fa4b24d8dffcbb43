"""The public events: what backend teams read from EVENTS, and history stores.

The CloudEvents ``type`` equals the subject behind the app, so
``parley.events.<app>.room.joined`` carries ``type: room.joined``. Each event of a
room carries ``sequence``, a counter of that room without gaps, and the room as
``subject``. A JSON Schema of each is in docs/reference/schemas.
"""

from typing import Final, Literal

from msgspec import Raw, Struct

from parley.protocol.commands import Reason
from parley.protocol.requests import Availability, Metadata, PeerQuality


class Data(Struct, frozen=True, kw_only=True, rename="camel"):
    """What every event's data share: the app whose event it is."""

    app: str


class ConnectionOpened(Data, kw_only=True, frozen=True):
    """A client has connected."""

    connection_id: str
    user_id: str | None
    device_id: str | None
    metadata: Metadata
    dialect: str


class ConnectionClosed(Data, kw_only=True, frozen=True):
    """A client's connection is over."""

    connection_id: str
    user_id: str | None
    device_id: str | None
    reason: Reason
    code: int
    duration_ms: int
    frames_in: int
    frames_out: int


class PresenceChanged(Data, kw_only=True, frozen=True):
    """A connection's availability or metadata is another."""

    connection_id: str
    user_id: str | None
    device_id: str | None
    availability: Availability
    metadata: Metadata


class RoomEvent(Data, kw_only=True, frozen=True):
    """What events of a room share."""

    room: str
    epoch: str
    """Which incarnation of the room: another one after it was empty."""


class RoomCreated(RoomEvent, kw_only=True, frozen=True):
    """The first member is about to join."""


class RoomClosed(RoomEvent, kw_only=True, frozen=True):
    """The last member has left."""

    duration_ms: int


class RoomJoined(RoomEvent, kw_only=True, frozen=True):
    """A connection has become a member."""

    position: int
    connection_id: str
    user_id: str | None
    device_id: str | None
    metadata: Metadata
    members: int
    """How many there are now."""


class RoomLeft(RoomEvent, kw_only=True, frozen=True):
    """A member is one no longer."""

    position: int
    connection_id: str
    user_id: str | None
    reason: Reason
    members: int


class MessagePosted(RoomEvent, kw_only=True, frozen=True):
    """Chat, durable from here on."""

    position: int
    id: str
    """The sender's own."""
    connection_id: str | None
    """None when a backend spoke."""
    user_id: str | None
    text: str
    data: Raw


class NegotiationOffered(Data, kw_only=True, frozen=True):
    """An SDP offer passed. Directly between two connections `room` is None."""

    room: str | None
    connection_id: str
    to: str | None
    """None when it went to a whole room."""


class NegotiationAnswered(Data, kw_only=True, frozen=True):
    """An SDP answer passed."""

    room: str | None
    connection_id: str
    to: str | None


class NegotiationFailed(Data, kw_only=True, frozen=True):
    """An SDP offer was not answered in time."""

    room: str | None
    connection_id: str
    """Who offered."""
    to: str | None


class Participant(Struct, frozen=True, rename="camel"):
    """Somebody's part in a call."""

    connection_id: str
    user_id: str | None
    joined_at: str
    left_at: str | None = None


class CallStarted(RoomEvent, kw_only=True, frozen=True):
    """Two members have negotiated."""

    call_id: str
    participants: list[Participant]


class CallEnded(RoomEvent, kw_only=True, frozen=True):
    """Fewer than two negotiated members remain."""

    call_id: str
    started_at: str
    duration_ms: int
    reason: Reason
    """How the member left whose leaving ended it."""
    participants: list[Participant]
    """Everybody who took part, with their times."""


class CallQuality(RoomEvent, kw_only=True, frozen=True):
    """A member has reported how media goes between it and its peers."""

    call_id: str | None
    """None when no call lasts in the room."""
    connection_id: str
    """Who reports."""
    user_id: str | None
    peers: tuple[PeerQuality, ...]


class EventFailed(Data, kw_only=True, frozen=True):
    """A command that the rules could not process; it changed nothing."""

    service: Literal["presence", "rooms"]
    command: str
    connection_id: str | None
    error: str


TYPES: Final[dict[str, type[Data]]] = {
    "connection.opened": ConnectionOpened,
    "connection.closed": ConnectionClosed,
    "presence.changed": PresenceChanged,
    "room.created": RoomCreated,
    "room.joined": RoomJoined,
    "room.left": RoomLeft,
    "room.closed": RoomClosed,
    "call.started": CallStarted,
    "call.ended": CallEnded,
    "call.quality": CallQuality,
    "negotiation.offered": NegotiationOffered,
    "negotiation.answered": NegotiationAnswered,
    "negotiation.failed": NegotiationFailed,
    "message.posted": MessagePosted,
    "event.failed": EventFailed,
}
"""Every public event by its CloudEvents type."""

KINDS: Final[dict[type[Data], str]] = {data: kind for kind, data in TYPES.items()}
