"""
Frames of `parley.v1` as Python sees them: dicts in the words of the wire, with their types spelled out.

A program looks at ``frame["type"]``, and a type checker then knows the other keys. Keys that a newer
server adds are there too, and a ``type`` that is not listed here passes through untouched.
"""

from typing import Any, Literal, NotRequired, TypedDict

Json = Any
"""Whatever JSON holds."""

Metadata = dict[str, Json]

Availability = Literal["online", "available", "busy", "away", "inCall"]

Candidate = Literal["host", "srflx", "prflx", "relay"]


class Since(TypedDict):
    """Where in a room's stream a client has been."""

    epoch: str
    position: int


class Member(TypedDict):
    """Somebody in a room; `polite` is the reader's own role towards them in perfect negotiation."""

    connectionId: str
    userId: str | None
    deviceId: str | None
    metadata: Metadata
    availability: Availability
    polite: bool


class PeerQuality(TypedDict):
    """How media goes with one peer, for a report; leave out what is not known. Counts are since the last report."""

    connectionId: str
    state: Literal["new", "connecting", "connected", "disconnected", "failed", "closed"]
    bytesSent: int
    bytesReceived: int
    packetsReceived: int
    packetsLost: int
    """Never below 0, though WebRTC's own sum may fall."""
    jitterMs: NotRequired[float | None]
    roundTripMs: NotRequired[float | None]
    localCandidate: NotRequired[Candidate | None]
    remoteCandidate: NotRequired[Candidate | None]
    setupMs: NotRequired[float | None]
    """From the beginning of the negotiation until it was connected."""
    firstMediaMs: NotRequired[float | None]
    """From the same beginning to the first media that was decoded."""


class Welcome(TypedDict):
    """The first frame of a connection."""

    type: Literal["welcome"]
    connectionId: str
    app: str
    resumeToken: str
    resumed: bool
    heartbeatSeconds: float
    time: str


class Numbered(TypedDict):
    """A frame that came through the log."""

    n: NotRequired[int]
    """Its place; it rises, and gaps are normal."""


class MemberJoined(Numbered):
    """Somebody came."""

    type: Literal["member.joined"]
    room: str
    position: int
    member: Member


class MemberLeft(Numbered):
    """Somebody went, or this connection itself was taken out of the room."""

    type: Literal["member.left"]
    room: str
    position: int
    connectionId: str
    reason: Literal["left", "disconnected", "replaced", "removed", "expired"]


class MemberChanged(Numbered):
    """A member is otherwise available, or presents itself otherwise."""

    type: Literal["member.changed"]
    room: str
    connectionId: str
    availability: Availability
    metadata: Metadata


# "from" is a word of Python's, so these two are written in the other way.
Signal = TypedDict("Signal", {"type": Literal["signal"], "from": str, "data": Json, "n": NotRequired[int]})
"""A connection says something to this one alone."""

Message = TypedDict(
    "Message",
    {
        "type": Literal["message"],
        "room": NotRequired[str],
        "from": NotRequired[str],
        "data": Json,
        "n": NotRequired[int],
    },
)
"""A member says something to the others; without room and sender, a backend to this connection."""

ChatPosted = TypedDict(
    "ChatPosted",
    {
        "type": Literal["chat"],
        "room": str,
        "position": int,
        "id": str,
        "from": str | None,
        "userId": str | None,
        "text": str,
        "data": NotRequired[Json],
        "time": str,
        "n": NotRequired[int],
    },
)
"""Chat; `from` is None when a backend speaks."""


class GoAway(TypedDict):
    """The server asks this client to move on, in its own time but before the deadline."""

    type: Literal["goAway"]
    reconnectAfterMs: int
    deadlineMs: int
    reason: str


class Degraded(TypedDict):
    """Something behind the gateway is away: requests may be refused for a while."""

    type: Literal["degraded"]
    reason: str


class Restored(TypedDict):
    """All is well again."""

    type: Literal["restored"]
    reason: NotRequired[str]


class Error(Numbered):
    """An error that answers no request of this SDK's."""

    type: Literal["error"]
    ref: NotRequired[str | None]
    code: str
    message: str
    retryAfterMs: NotRequired[int]


class Renewed(TypedDict):
    """Said by this SDK: the server had forgotten this connection, which is another one now."""

    type: Literal["renewed"]
    connectionId: str
    before: str
    """Its id until now."""


class Rejoined(TypedDict):
    """Said by this SDK: it has joined a room again; what was missed follows, or a gap."""

    type: Literal["rejoined"]
    room: str
    epoch: str
    position: int
    members: list[Member]
    recovered: bool
    """Whether all that was missed follows."""


class Gap(TypedDict):
    """Said by this SDK: more was missed in a room than the server keeps for those who come back."""

    type: Literal["gap"]
    room: str
    since: Since
    until: Since
    filled: bool
    """Whether its chat, which history keeps, follows."""


class Removed(TypedDict):
    """Said by this SDK: it could not join a room again, and is no member of it any more."""

    type: Literal["removed"]
    room: str
    code: str
    message: str


FromServer = (
    MemberJoined | MemberLeft | MemberChanged | Signal | Message | ChatPosted | GoAway | Degraded | Restored | Error
)
FromHere = Renewed | Rejoined | Gap | Removed
Frame = FromServer | FromHere
"""What a program reads from a client."""


class Done(Numbered):
    """It was done."""

    type: Literal["ok"]
    ref: str


class Joined(Numbered):
    """You are a member, and these are the others."""

    type: Literal["ok"]
    ref: str
    room: str
    epoch: str
    position: int
    members: list[Member]
    recovered: bool
    """Whether `missed` is all that passed since the position you named."""
    missed: list[MemberJoined | MemberLeft | ChatPosted]


class Posted(Numbered):
    """Your chat is durable."""

    type: Literal["ok"]
    ref: str
    room: str
    id: str
    position: int
    time: str


class Refreshed(Numbered):
    """The fresh token holds."""

    type: Literal["ok"]
    ref: str
    expiresAt: str | None


class Pong(Numbered):
    """The path is alive."""

    type: Literal["pong"]
    ref: str
    time: str
