"""
Signaling of Kinesis Video Streams: protocols.md section 6.

A channel is a box of addresses and a room, both called by its ARN: the master's address is the empty name, a viewer's
its client id. Who takes an address displaces whoever had it; what is for one that nobody holds waits for as long as
the channel says.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.dialects import Dialect, Frame, Hello, Misunderstood
from parley.protocol.nesting import too_deep

CHANNEL: Final = "X-Amz-ChannelARN"
"""The query parameter that says which channel, and so that this is spoken."""
CLIENT: Final = "X-Amz-ClientId"
"""The query parameter in which a viewer says who it is; a master has none."""

MASTER: Final = ""
"""The master's name among its channel's addresses."""

STEPS: Final[dict[str, ask.Step]] = {"SDP_OFFER": "offer", "SDP_ANSWER": "answer", "ICE_CANDIDATE": "candidate"}
"""What can be sent."""

AWS_PACES: Final = {"SDP_OFFER": 5, "SDP_ANSWER": 5, "ICE_CANDIDATE": 20}
"""How many of each a client of a strict app may send in a second."""

AWS_LONGEST: Final = 60 * 60
"""Seconds for which it may be connected."""

MAX_PAYLOAD: Final = 10_000
"""Characters of a message's payload."""
MAX_FRAME: Final = 10_240
"""Bytes of a frame: the C SDK drops what is longer."""

_ID: Final = re.compile(r"[a-zA-Z0-9_.-]{1,256}")
_RESERVED: Final = "aws_"
_PAYLOAD: Final = re.compile(rf"[a-zA-Z0-9+/=]{{1,{MAX_PAYLOAD}}}")

_GO_AWAY: Final = b'{"messageType":"GO_AWAY"}'

_LIMITS: Final = frozenset({ErrorCode.RATE_LIMITED, ErrorCode.DEGRADED})
"""What waiting cures."""


class _IceServer(Struct, omit_defaults=True, rename="pascal"):
    """A server that a C client has credentials for, and shares with its master."""

    uris: list[str]
    username: str | UnsetType = UNSET
    password: str | UnsetType = UNSET
    ttl: int | UnsetType = UNSET


class _Content(Struct, omit_defaults=True):
    """What a letter carries."""

    payload: str
    """Base64 of the clients' own; never looked into."""
    ice: list[_IceServer] | UnsetType = UNSET
    """What a C client has put into its offer."""


class _Forwarded(Struct, omit_defaults=True):
    """What the receiver is told. Members without a value must be absent: AWS's client for small devices insists."""

    sender: str | UnsetType = msgspec.field(default=UNSET, name="senderClientId")
    """Towards the master only."""
    kind: str = msgspec.field(default="", name="messageType")
    payload: str = msgspec.field(default="", name="messagePayload")
    ice: list[_IceServer] | UnsetType = msgspec.field(default=UNSET, name="IceServerList")


class _Status(Struct, rename="camel"):
    """Why a message was not forwarded."""

    correlation_id: str
    error_type: str
    status_code: str
    description: str


_object: Final = msgspec.json.Decoder(dict[str, Any]).decode
_content: Final = msgspec.json.Decoder(_Content).decode
_encode: Final = msgspec.json.Encoder().encode


def content(payload: str) -> str:
    """Return what a letter with this payload carries, for those who write it without a connection."""
    return _encode(_Content(payload)).decode()


def is_client_id(text: str) -> bool:
    """Whether *text* can be a viewer's id."""
    return bool(_ID.fullmatch(text)) and not text.lower().startswith(_RESERVED)


class Kinesis(Dialect):
    """The dialect, of all channels whose messages wait equally long."""

    name = "kvs"
    rooms = 1
    own = frozenset(
        {
            CHANNEL,
            CLIENT,
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Date",
            "X-Amz-Expires",
            "X-Amz-Security-Token",
            "X-Amz-Signature",
            "X-Amz-SignedHeaders",
        }
    )
    user = CLIENT

    def __init__(self, ttl: int, *, strict: bool = False) -> None:
        """*ttl*: for how many seconds a message waits for its receiver; *strict*: clients send no more than on AWS."""
        self.ttl = ttl
        if strict:
            self.paces, self.longest = AWS_PACES, AWS_LONGEST

    def conversation(self, hello: Hello) -> "Peer":
        """Return the codec for a new connection."""
        return Peer(hello.query.get(CHANNEL, ""), hello.query.get(CLIENT, MASTER), self.ttl)

    def encode(self, say: says.ToClient, n: int) -> Frame | None:  # noqa: ARG002 - the dialects' signature
        """Forward letters and tell errors; of who comes and goes nobody hears."""
        match say:
            case says.LetterCame():
                content = _content(say.data)
                sender = say.sender if say.name == MASTER else UNSET
                frame = _encode(_Forwarded(sender, say.kind, content.payload, content.ice))
                if len(frame) > MAX_FRAME and content.ice is not UNSET:
                    frame = _encode(_Forwarded(sender, say.kind, content.payload))
                return frame
            case says.Error(ref=ref, code=code, message=message):
                return _status(ref, code, message)
            case _:
                return None

    def refuse(self, refusal: Refusal, ref: str | None, connection: str, request: str) -> Frame | None:  # noqa: ARG002
        """Tell those who can tell which message it was."""
        return _status(ref, refusal.code, refusal.message)

    def go_away(self, reconnect_after_ms: int, deadline_ms: int) -> Frame:  # noqa: ARG002 - the dialects' signature
        """Ask a client to connect anew, which it does at once. JavaScript's does not listen."""
        return _GO_AWAY


class Peer:
    """A connection's codec: it knows whose it is."""

    __slots__ = ("_channel", "_client", "_ttl")

    def __init__(self, channel: str, client: str, ttl: int) -> None:
        self._channel = channel
        self._client = client
        self._ttl = ttl

    def opening(self) -> Sequence[ask.ClientRequest]:
        """Come into the channel, and take one's address there."""
        return ask.Join(room=self._channel), ask.Register(box=self._channel, name=self._client)

    def decode(self, frame: bytes) -> Sequence[ask.ClientRequest]:
        """Return the letter that a frame is. Names of members are in any case: the C SDK has its own."""
        try:
            if too_deep(frame):
                raise ValueError  # noqa: TRY301 - one way out
            members = {name.lower(): value for name, value in _object(frame).items()}
        except (msgspec.MsgspecError, RecursionError, ValueError):
            raise Misunderstood(ErrorCode.BAD_FRAME, "A message must be one JSON object.") from None
        ref = _string(members.get("correlationid"))
        ref = ref if ref is not None and _ID.fullmatch(ref) else None
        kind = _string(members.get("action")) or ""
        if kind not in STEPS:
            raise Misunderstood(ErrorCode.UNKNOWN_ACTION, f"action must be one of {', '.join(STEPS)}.", ref)
        payload = _string(members.get("messagepayload")) or ""
        if not _PAYLOAD.fullmatch(payload):
            raise Misunderstood(
                ErrorCode.BAD_REQUEST, f"messagePayload must be 1 to {MAX_PAYLOAD:,} characters of base64.", ref
            )
        letter = ask.Letter(
            ref=ref,
            box=self._channel,
            name=self._receiver(_string(members.get("recipientclientid")), ref),
            sender=self._client,
            kind=kind,
            data=Raw(_encode(_Content(payload, _ice(members.get("iceserverlist"))))),
            step=STEPS[kind],
            keep_ms=self._ttl * 1000,
            replaces=kind != "ICE_CANDIDATE",
        )
        return (letter,)

    def accepted(self, request: ask.AnyRequest) -> None:
        """Nothing to remember."""

    def _receiver(self, recipient: str | None, ref: str | None) -> str:
        """Return whom it is for: a viewer's is always for the master."""
        if self._client != MASTER:
            return MASTER
        if recipient is None or not is_client_id(recipient):
            raise Misunderstood(ErrorCode.BAD_REQUEST, "A master must name a viewer in recipientClientId.", ref)
        return recipient


def _string(member: Any) -> str | None:
    """Return what a member says, if it is text."""
    return member if isinstance(member, str) else None


def _ice(member: Any) -> list[_IceServer] | UnsetType:
    """Return the servers, if that is what they are."""
    try:
        return UNSET if member is None else msgspec.convert(member, list[_IceServer])
    except msgspec.ValidationError:
        return UNSET


def _status(ref: str | None, code: ErrorCode, message: str) -> Frame | None:
    if ref is None:
        return None
    kind = "ClientLimitExceededException" if code in _LIMITS else "InvalidArgumentException"
    said: dict[str, Any] = {"messageType": "STATUS_RESPONSE", "statusResponse": _Status(ref, kind, "400", message)}
    return _encode(said)
