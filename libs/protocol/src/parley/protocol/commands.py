"""What is written to INGRESS: commands, each with a key, in batches of one writer.

Commands of class ``c`` are about the life of connections and their presence:
presence and rooms both read them. Commands of class ``m`` are messages and
are read by rooms alone.
"""

from typing import Final, Literal, get_args

from msgspec import Struct

from parley.protocol.envelope import CloudEvent
from parley.protocol.requests import AnyRequest, Availability, Metadata, SetPresence
from parley.protocol.subjects import Class

Reason = Literal["left", "disconnected", "replaced", "removed", "expired"]
"""Why a member left or a connection closed, in the words of protocols.md section 0."""


class Profile(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What others may know of a connection, as its gateway knows it now."""

    user_id: str | None = None
    device_id: str | None = None
    metadata: Metadata = {}
    availability: Availability = "online"


class Command(Struct, tag_field="command", kw_only=True, frozen=True, omit_defaults=True):
    """What all commands share."""

    app: str


class FromConnection(Command, kw_only=True, frozen=True):
    """A command of a client's own: void where a newer session of the connection is known."""

    connection: str
    session: int = 1


class Opened(FromConnection, kw_only=True, frozen=True, tag="opened"):
    """A socket was accepted. Goes to the home partition; the client is welcomed once it is stored."""

    profile: Profile
    subject: str | None = None
    """Whom the token names; None for all who need no token. Device replacement goes by it, and not by `userId`."""
    dialect: str
    resumable: bool
    """Whether the dialect can resume: if so a lost gateway costs it nothing until the grace is over."""
    address: str = ""
    """The client's address as the front door reports it."""
    agent: str = ""


class Resume(FromConnection, kw_only=True, frozen=True, tag="resume"):
    """A client presented a resume token here. Goes to the home partition, which answers `Attached` or `Gone`.

    Its `session` says nothing: the home partition numbers sessions.
    """

    attempt: str
    """The gateway's name for this try; the answer carries it back."""
    count: int | None = None
    """The client's own number of this try: one that is below another's was given up. None: it is the latest."""


class Moved(FromConnection, kw_only=True, frozen=True, tag="moved"):
    """A connection was resumed here. Goes to all partitions but its home; each answers `Attached`."""

    resumable: bool = True
    profile: Profile | None = None
    """As its home knows it: a change that its last gateway had no time to tell this partition is made up for."""


class Closed(FromConnection, kw_only=True, frozen=True, tag="closed"):
    """A session is over. Goes to every partition that the connection touched."""

    reason: Reason
    code: int
    """The WebSocket close code, as the gateway saw it."""
    frames_in: int = 0
    frames_out: int = 0


class PresenceSet(FromConnection, kw_only=True, frozen=True, tag="presence"):
    """A client set its presence. Goes to every partition that the connection touched; its home answers."""

    request: SetPresence
    profile: Profile
    """As it is with this request done."""


class Asked(FromConnection, kw_only=True, frozen=True, tag="asked"):
    """A client's request, with what its gateway knows and the rules need."""

    request: AnyRequest
    profile: Profile | None = None
    """With `Join`: how the member presents itself; with `Chat` and `Relay` its user."""
    capacity: int = 0
    """With `Join`: how many members the room may have; 0: any number."""
    resumable: bool = False
    """As in `Opened`: a room's partition may never have seen that."""
    touched: int = 0
    """With `Signal`: bit p is set if the sender has touched partition p, so where rooms that hold both may be."""
    answer_ms: int = 30_000
    """With what may be an offer: how long the other side has to answer."""


class Remove(Command, kw_only=True, frozen=True, tag="remove"):
    """A backend closes a connection."""

    connection: str
    reply: str = ""


class Describe(Command, kw_only=True, frozen=True, tag="describe"):
    """A backend asks about a connection; presence answers, at the connection's home."""

    connection: str
    reply: str = ""


class Calling(Command, kw_only=True, frozen=True, tag="calling"):
    """A call began or ended for a connection; rooms tells the connection's home, for presence."""

    connection: str
    call: str
    lasting: bool


class InRoom(Command, kw_only=True, frozen=True, tag="inRoom"):
    """A connection is in a room, or is there no longer; rooms tells the connection's home, for discovery.

    Not needed when the connection itself is over: its home knows.
    """

    connection: str
    room: str
    member: bool


class GatewayLost(Command, kw_only=True, frozen=True, tag="gateway.lost"):
    """A gateway has held no lease for a TTL; its connections that can't resume are closed."""

    gateway: str


class GatewayBack(Command, kw_only=True, frozen=True, tag="gateway.back"):
    """The lease is there again: the gateway was only asleep."""

    gateway: str


class Tick(Command, kw_only=True, frozen=True, tag="tick"):
    """Time has passed; an owner writes these to itself while it waits for something."""


class PostToConnection(Command, kw_only=True, frozen=True, tag="post"):
    """A backend says something to one connection."""

    connection: str
    data: str
    """JSON text, as the backend wrote it."""
    reply: str = ""


class PostToRoom(Command, kw_only=True, frozen=True, tag="postToRoom"):
    """A backend speaks in a room; it is chat like any other."""

    room: str
    id: str
    text: str
    data: str = "null"
    """JSON text, as the backend wrote it."""
    user: str | None = None
    reply: str = ""


class WriteLetter(Command, kw_only=True, frozen=True, tag="writeLetter"):
    """A backend writes a letter, as if by a connection, and waits for the one that comes back."""

    box: str
    name: str
    """To whom."""
    sender: str
    """In whose name; the answer is a letter to it."""
    kind: str
    data: str
    """JSON text: the dialect's own."""
    answer: str
    """The kind of letter that answers it."""
    keep_ms: int
    """For how long it waits for its receiver, and its answer is waited for."""
    reply: str = ""


class RemoveMember(Command, kw_only=True, frozen=True, tag="removeMember"):
    """A backend takes a member out of a room; its socket stays open."""

    room: str
    connection: str
    reply: str = ""


class Negotiated(Command, kw_only=True, frozen=True, tag="negotiated"):
    """An answer has passed from one connection directly to another.

    The home owner of the offerer tells the partitions that the answerer touched: a room there
    that holds both has a call.
    """

    pair: tuple[str, str]
    time: int
    """When the answer was stored, in milliseconds: members who joined later did not negotiate with it."""


LifeCommand = (
    Opened
    | Resume
    | Moved
    | Closed
    | PresenceSet
    | Remove
    | Describe
    | Calling
    | InRoom
    | GatewayLost
    | GatewayBack
    | Tick
)
"""Class ``c``."""

MessageCommand = Asked | PostToConnection | PostToRoom | WriteLetter | RemoveMember | Negotiated
"""Class ``m``."""

AnyCommand = LifeCommand | MessageCommand

_LIFE: Final = get_args(LifeCommand)


def class_of(command: AnyCommand) -> Class:
    """Which class of the partition's subject a command belongs to."""
    return "c" if isinstance(command, _LIFE) else "m"


def type_of(command: AnyCommand) -> str:
    """Return the CloudEvents type of a command."""
    return f"parley.{command.__struct_config__.tag}"


class Batch(Struct, frozen=True):
    """What one writer had for one partition while its last batch was on its way.

    An owner ignores a number that is not above the last of that writer, so a
    batch may be published until it is acknowledged.
    """

    gateway: str
    """The writer's bus name: a gateway's, or a service's."""
    number: int
    events: list[CloudEvent[AnyCommand]]
