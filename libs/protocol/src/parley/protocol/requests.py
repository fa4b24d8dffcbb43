"""What a client can ask for, whatever dialect it says it in.

A dialect turns a frame into these; the gateway checks the client's grants and
its limits, and sends what remains on as a command (`commands.Asked`). ``data`` is
opaque: it is kept as the bytes that the client wrote.
"""

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Raw, Struct

from parley.protocol import ids

Availability = Literal["online", "available", "busy", "away", "inCall"]
"""`online` until the client says another; rooms says `inCall` while a call lasts."""

Metadata = dict[str, Any]


MAX_NUMBER: Final = 2**53 - 1
"""What JavaScript counts to without leaving one out; history's columns hold it."""

NULL: Final = Raw(b"null")
"""Data that was not given. (Never `Raw | None`: msgspec then takes nothing but null.)"""


class Since(Struct, frozen=True):
    """Where in a room's stream a client has been."""

    epoch: str
    position: int


class Request(Struct, tag_field="ask", kw_only=True, frozen=True, omit_defaults=True):
    """What all requests share. Exactly one answer carries `ref`; without it only errors answer."""

    ref: str | None = None
    traceparent: str | None = None
    """The client's own trace, valid. It goes into the envelope, and with that it is gone from here."""


class Join(Request, kw_only=True, frozen=True, tag="join"):
    """Become a member of a room."""

    room: str
    since: Since | None = None
    metadata: Metadata | None = None
    """Of this membership; it lies over the connection's own."""
    announce_again: bool = False
    """Tell the others also when already a member, as the workshop's `joinRoom` does (protocols.md 2.3)."""


class Leave(Request, kw_only=True, frozen=True, tag="leave"):
    """Stop being a member of a room."""

    room: str


class Send(Request, kw_only=True, frozen=True, tag="send"):
    """Say something to the other members; it is ordered and not stored."""

    room: str
    data: Raw
    waits: bool = False
    """While nobody else is there it is kept for who comes next, as long as its sender stays."""


class Chat(Request, kw_only=True, frozen=True, tag="chat"):
    """Say something to all members; it is stored, and answered once it is durable."""

    room: str
    id: str
    """The client's own, unique per sender."""
    text: str
    data: Raw = NULL


class Relay(Request, kw_only=True, frozen=True, tag="relay"):
    """The workshop's `sendMsgToRoom`: a text to the others in a room, also from outside it.

    What the text says decides what it is: an offer, answer or candidate passes
    like `Send`; anything else is chat.
    """

    room: str
    text: str
    echo: bool = False
    """Its sender hears it as everybody does."""


class Publish(Request, kw_only=True, frozen=True, tag="publish"):
    """Say something to every member of a room, the sender with them if it is one; it need not be. A topic is a room."""

    room: str
    data: Raw


class Register(Request, kw_only=True, frozen=True, tag="register"):
    """Take an address: letters to it come here from now on. Whoever held it is displaced, and stays connected.

    An address is a name in a box, and the box is the key: a channel with its peers, or a peer of its own.
    """

    box: str
    name: str
    secret: str | None = None
    """If given, who holds the address with another secret keeps it, and this connection is closed."""


class Release(Request, kw_only=True, frozen=True, tag="release"):
    """Hold an address no longer; nothing if it is somebody else's."""

    box: str
    name: str


Step = Literal["offer", "answer", "candidate"]


class Letter(Request, kw_only=True, frozen=True, tag="letter"):
    """Say something to whoever holds an address; it may wait until somebody does."""

    box: str
    name: str
    sender: str
    """The sender's own name in that box, as the receiver is told."""
    kind: str
    """The dialect's word for what this is."""
    data: Raw = NULL
    """The dialect's own."""
    step: Step | None = None
    """Which step of a negotiation this is, as far as the dialect can tell."""
    keep_ms: int = 0
    """How long it waits for somebody to take the address; 0: it is dropped."""
    replaces: bool = False
    """It takes the place of what waits there from the same sender and of the same kind."""
    notify: bool = False
    """Tell the sender when it has waited in vain; once, however many of its letters waited there."""


class Signal(Request, kw_only=True, frozen=True, tag="signal"):
    """Say something to one connection of the same app."""

    to: str
    data: Raw


Count = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
Milliseconds = Annotated[float, Meta(ge=0, le=MAX_NUMBER)]
ConnectionState = Literal["new", "connecting", "connected", "disconnected", "failed", "closed"]
"""Of an RTCPeerConnection."""

Candidate = Literal["host", "srflx", "prflx", "relay"]
"""What kind of address a side of the path has: an RTCIceCandidateType."""


class PeerQuality(Struct, kw_only=True, frozen=True, rename="camel"):
    """How media goes between whoever reports and one peer; what is not known is None."""

    connection_id: Annotated[str, Meta(pattern=f"^{ids.PATTERN}$", max_length=ids.LENGTH)]
    """The peer's."""
    state: ConnectionState
    bytes_sent: Count
    """This and the other counts are since the last report."""
    bytes_received: Count
    packets_received: Count
    packets_lost: Count
    jitter_ms: Milliseconds | None = None
    round_trip_ms: Milliseconds | None = None
    local_candidate: Candidate | None = None
    remote_candidate: Candidate | None = None
    setup_ms: Milliseconds | None = None
    """From the beginning of the negotiation until it was connected."""
    first_media_ms: Milliseconds | None = None
    """From the same beginning to the first media that was decoded."""


class Report(Request, kw_only=True, frozen=True, tag="report"):
    """Tell how media goes with the peers in a room. Backends and history learn it, and no other member."""

    room: str
    peers: tuple[PeerQuality, ...]


class SetPresence(Request, kw_only=True, frozen=True, tag="presence"):
    """Say how available this connection is; metadata is merged."""

    availability: Availability | None = None
    metadata: Metadata | None = None


class RefreshToken(Request, kw_only=True, frozen=True, tag="token"):
    """Present a fresh token; answered by the gateway itself."""

    token: str


class Ping(Request, kw_only=True, frozen=True, tag="ping"):
    """Is anybody there? Answered by the gateway itself."""


class Invoke(Request, kw_only=True, frozen=True, tag="invoke"):
    """A frame for a route of the app's own: the gateway calls what is behind it."""

    route: str
    """The route's key, as the app declares it."""
    body: str
    """The frame as it came."""


RoomRequest = Join | Leave | Send | Chat | Relay | Publish | Report
"""Requests whose key is the room."""

BoxRequest = Register | Release | Letter
"""Requests whose key is the box of an address."""

AnyRequest = RoomRequest | BoxRequest | Signal | SetPresence
"""Requests that go through the log."""

ClientRequest = AnyRequest | RefreshToken | Ping | Invoke
"""What a dialect may yield."""
