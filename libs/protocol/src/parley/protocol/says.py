"""What a delivery tells a client.

The names and fields are those of protocols.md section 0, so parley.v1 writes them
nearly as they stand; other dialects say the same in their own way, or nothing.
"""

from typing import Literal

from msgspec import Raw, Struct, field

from parley.protocol.codes import ErrorCode
from parley.protocol.commands import Profile, Reason
from parley.protocol.requests import Availability, Metadata


class Say(Struct, tag_field="type", kw_only=True, frozen=True, omit_defaults=True, rename="camel"):
    """What all of them share."""


class Member(Struct, frozen=True, kw_only=True, rename="camel"):
    """A member as others see it; `polite` is the receiver's own role towards it."""

    connection_id: str
    user_id: str | None
    device_id: str | None
    metadata: Metadata
    availability: Availability
    polite: bool


class MemberJoined(Say, kw_only=True, frozen=True, tag="member.joined"):
    """Somebody came. The receiver was there before and so is impolite."""

    room: str
    position: int
    member: Member
    again: bool = False
    """It was a member already; only the workshop's clients are told (protocols.md 2.3)."""


class MemberLeft(Say, kw_only=True, frozen=True, tag="member.left"):
    """Somebody went; or the receiver itself was removed."""

    room: str
    position: int
    connection_id: str
    reason: Reason


class MemberChanged(Say, kw_only=True, frozen=True, tag="member.changed"):
    """A member is otherwise available, or presents itself otherwise."""

    room: str
    connection_id: str
    availability: Availability
    metadata: Metadata


class SignalFrom(Say, kw_only=True, frozen=True, tag="signal"):
    """A connection says something to the receiver alone."""

    from_: str = field(name="from")
    data: Raw


class Message(Say, kw_only=True, frozen=True, tag="message"):
    """A member says something to the others; or, without room and sender, a backend to the receiver."""

    room: str | None = None
    from_: str | None = field(default=None, name="from")
    data: Raw


class Published(Say, kw_only=True, frozen=True, tag="published"):
    """Somebody says something to all members of a topic, itself with them."""

    room: str
    from_: str = field(name="from")
    data: Raw
    members: int
    """How many hear it."""


Outcome = Literal["new", "again", "taken"]


class Registered(Say, kw_only=True, frozen=True, tag="registered"):
    """What became of taking an address."""

    box: str
    name: str
    outcome: Outcome
    """`again`: the same secret has it already, on the same gateway; `new` follows when that connection is closed.

    `taken`: another secret has it.
    """


class LetterCame(Say, kw_only=True, frozen=True, tag="letter"):
    """Something for an address that the receiver holds."""

    box: str
    name: str
    sender: str
    kind: str
    data: Raw


class LetterExpired(Say, kw_only=True, frozen=True, tag="letter.expired"):
    """Nobody took an address in time; to the sender of what waited there."""

    box: str
    name: str
    sender: str


class ChatPosted(Say, kw_only=True, frozen=True, tag="chat"):
    """Chat, to all members with the sender among them. `from_` is None when a backend speaks."""

    room: str
    position: int
    id: str
    from_: str | None = field(name="from")
    user_id: str | None
    text: str
    data: Raw
    time: str


Missed = MemberJoined | MemberLeft | ChatPosted
"""What a room's position counts."""


class Ok(Say, kw_only=True, frozen=True, tag="ok"):
    """It was done."""

    ref: str


class JoinOk(Say, kw_only=True, frozen=True, tag="ok.join"):
    """You are a member."""

    ref: str
    room: str
    epoch: str
    position: int
    members: list[Member]
    recovered: bool
    missed: list[Missed]


class ChatOk(Say, kw_only=True, frozen=True, tag="ok.chat"):
    """Your chat is durable."""

    ref: str
    room: str
    id: str
    position: int
    time: str


class Error(Say, kw_only=True, frozen=True, tag="error"):
    """It was refused."""

    ref: str | None = None
    code: ErrorCode
    message: str
    room: str | None = None
    """With `room_full`: which one. The receiver is no member of it."""


class Close(Say, kw_only=True, frozen=True, tag="close"):
    """Not for the client's eyes: its gateway closes the socket, if it is of this session."""

    session: int
    code: int
    reason: Reason


class Attached(Say, kw_only=True, frozen=True, tag="attached"):
    """Not for the client: a partition knows the connection's new session, and speaks to this gateway from here on."""

    partition: int
    session: int
    attempt: str | None = None
    """From the home partition: which try it answers."""
    gateways: tuple[str, ...] = ()
    """From the home partition: where the connection lived before; what it missed was written there."""
    profile: Profile | None = None
    """From the home partition: how the connection presents itself."""
    rooms: tuple[str, ...] = ()
    """The rooms of this partition that it is in: its new gateway counts them."""


class Gone(Say, kw_only=True, frozen=True, tag="gone"):
    """Not for the client: the home partition knows no connection that could be resumed."""

    attempt: str


class Overtaken(Say, kw_only=True, frozen=True, tag="overtaken"):
    """Not for the client: a later attempt has the connection, so the gateway closes the socket that waits for it."""

    attempt: str


class Superseded(Say, kw_only=True, frozen=True, tag="superseded"):
    """Not for the client: the connection was resumed elsewhere, so its gateway closes the socket of this session."""

    session: int


ToAnybody = MemberJoined | MemberLeft | MemberChanged | SignalFrom | Message | ChatPosted | Ok | JoinOk | ChatOk | Error
"""What parley.v1 has words for."""

ToClient = ToAnybody | Published | Registered | LetterCame | LetterExpired

ToGateway = Close | Attached | Gone | Overtaken | Superseded
"""What is said to a gateway about a connection, and no client hears."""

AnySay = ToClient | ToGateway
