"""Our own dialect, ``parley.v1``: protocols.md section 0.

The server's words are the says themselves, with ``n`` put in: see `encode`.
"""

import json
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta, Raw, Struct
from msgspec.structs import replace

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.codes import CloseCode, ErrorCode, Refusal
from parley.protocol.dialects import Dialect, Farewell, Frame, Hello, Misunderstood, name
from parley.protocol.envelope import traceparent
from parley.protocol.nesting import MAX_NESTING, too_deep

SUBPROTOCOL: Final = "parley.v1"
BEARER: Final = "bearer."
"""A token may travel as a second subprotocol: ``bearer.<jwt>``."""

MAX_METADATA_BYTES: Final = 4096

MAX_REF: Final = 64

MAX_PEERS: Final = 64
"""Of a report."""

Ref = Annotated[str, Meta(max_length=MAX_REF)]


class ClientFrame(Struct, tag_field="action", kw_only=True, frozen=True):
    """What a client sends. A request with a ref is answered exactly once, with that ref."""

    ref: Ref | None = None
    traceparent: Annotated[
        Any,
        Meta(
            description="W3C trace context of what this request is part of; what is none is ignored.",
            extra_json_schema={"anyOf": [{"type": "string"}, {"type": "null"}]},
        ),
    ] = None


class JoinFrame(ClientFrame, kw_only=True, frozen=True, tag="join"):
    """Become a member; the answer has the members, the position and who is polite."""

    room: str
    since: ask.Since | None = None
    metadata: dict[str, Any] | None = None


class LeaveFrame(ClientFrame, kw_only=True, frozen=True, tag="leave"):
    """Stop being a member."""

    room: str


class SignalFrame(ClientFrame, kw_only=True, frozen=True, tag="signal"):
    """Say something to one connection."""

    to: str
    data: Raw


class SendFrame(ClientFrame, kw_only=True, frozen=True, tag="send"):
    """Say something to the other members."""

    room: str
    data: Raw


class ChatFrame(ClientFrame, kw_only=True, frozen=True, tag="chat"):
    """Say something to all members, durably."""

    room: str
    id: Annotated[str, Meta(min_length=1, max_length=128)]
    text: Annotated[str, Meta(description="Anything but the character U+0000, which history cannot hold.")]
    data: Raw = ask.NULL


class ReportFrame(ClientFrame, kw_only=True, frozen=True, tag="report"):
    """Tell how media goes between you and your peers in a room, each of them once. No other member hears it."""

    room: str
    peers: Annotated[tuple[ask.PeerQuality, ...], Meta(max_length=MAX_PEERS)]


class PresenceFrame(ClientFrame, kw_only=True, frozen=True, tag="presence"):
    """Say how available you are."""

    availability: Literal["available", "busy", "away"] | None = None
    metadata: dict[str, Any] | None = None


class TokenFrame(ClientFrame, kw_only=True, frozen=True, tag="token"):
    """Present a fresh token."""

    token: str


class PingFrame(ClientFrame, kw_only=True, frozen=True, tag="ping"):
    """Ask for a pong."""


AnyClientFrame = (
    JoinFrame | LeaveFrame | SignalFrame | SendFrame | ChatFrame | ReportFrame | PresenceFrame | TokenFrame | PingFrame
)


class GatewayFrame(Struct, tag_field="type", kw_only=True, frozen=True, omit_defaults=True, rename="camel"):
    """What a gateway says by itself; not in the log, so without ``n``."""


class Welcome(GatewayFrame, kw_only=True, frozen=True, tag="welcome"):
    """The first frame."""

    connection_id: str
    app: str
    resume_token: str
    resumed: bool
    heartbeat_seconds: int
    time: str


class Error(GatewayFrame, kw_only=True, frozen=True, tag="error"):
    """It was refused."""

    ref: str | None = None
    code: ErrorCode
    message: str
    retry_after_ms: int | None = None


class Renewed(GatewayFrame, kw_only=True, frozen=True, tag="ok"):
    """The answer to ``token``."""

    ref: str
    expires_at: str | None


class Pong(GatewayFrame, kw_only=True, frozen=True, tag="pong"):
    """The answer to ``ping``; ``n`` keeps an idle client from being too late to resume."""

    ref: str | None = None
    time: str
    n: int


class GoAway(GatewayFrame, kw_only=True, frozen=True, tag="goAway"):
    """Reconnect after a moment; this gateway is about to end."""

    reconnect_after_ms: int
    deadline_ms: int
    reason: str


class Degraded(GatewayFrame, kw_only=True, frozen=True, tag="degraded"):
    """A part that requests need is away."""

    reason: str


class Restored(GatewayFrame, kw_only=True, frozen=True, tag="restored"):
    """It is back."""

    reason: str


AnyGatewayFrame = Welcome | Error | Renewed | Pong | GoAway | Degraded | Restored


class _Loose(Struct):
    """What can be read of a frame that is wrong."""

    action: Any = None
    ref: Any = None


_frames: Final = msgspec.json.Decoder(AnyClientFrame)
_loose: Final = msgspec.json.Decoder(_Loose)
_encode: Final = msgspec.json.Encoder().encode
_NUL: Final = re.compile(rb"(?<!\\)(\\\\)*\\u0000")
"""U+0000 in JSON as we write it; not a backslash and then ``u0000``."""
_HALF: Final = re.compile("[\ud800-\udfff]")
_ACTIONS: Final = frozenset(str(frame.__struct_config__.tag) for frame in get_args(AnyClientFrame))


_FAREWELL: Final = {
    ErrorCode.UNAUTHORIZED: CloseCode.UNAUTHORIZED,
    ErrorCode.TOKEN_EXPIRED: CloseCode.TOKEN_EXPIRED,
    ErrorCode.NOT_ALLOWED: CloseCode.UNAUTHORIZED,
    ErrorCode.NOT_FOUND: CloseCode.UNAUTHORIZED,
    ErrorCode.RATE_LIMITED: CloseCode.RATE,
    ErrorCode.DEGRADED: CloseCode.RESTART,
}
"""What a client that may not come in is closed with; else 1008."""


def _head(kind: type[says.Say]) -> tuple[bytes, int]:
    tag = str(kind.__struct_config__.tag)
    word = "ok" if tag.startswith("ok.") else tag
    return f'{{"type":"{word}","n":'.encode(), len(f'{{"type":"{tag}"')


_HEADS: Final = {kind: _head(kind) for kind in get_args(says.ToAnybody)}
"""By type of say: how its frame begins, and how many bytes of the written say that replaces."""


def metadata(value: ask.Metadata | None) -> ask.Metadata | None:
    """Return metadata if it is small enough and can be stored; raise `Refusal` if not."""
    if value is None:
        return None
    written = _encode(value)
    if len(written) > MAX_METADATA_BYTES:
        raise Refusal(ErrorCode.TOO_LARGE, f"Metadata may have {MAX_METADATA_BYTES:,} bytes as JSON; send less.")
    if _NUL.search(written):
        raise Refusal(ErrorCode.BAD_REQUEST, "Metadata must not contain the character U+0000.")
    return value


def removal(dialect: str) -> CloseCode:
    """Return what a backend's word closes a socket with: clients of other dialects than ours know no 4504."""
    return CloseCode.REMOVED if dialect == SUBPROTOCOL else CloseCode.NORMAL


class ParleyV1(Dialect):
    """The dialect; its conversation remembers nothing, so one serves all connections."""

    name = SUBPROTOCOL
    resumable = True
    own = frozenset({"token", "app", "resume", "n", "attempt"})

    def conversation(self, hello: Hello) -> "ParleyV1":  # noqa: ARG002 - the dialects' signature
        """Return the codec for a new connection."""
        return self

    def opening(self) -> Sequence[ask.ClientRequest]:
        """Our clients ask for themselves."""
        return ()

    def decode(self, frame: bytes) -> Sequence[ask.ClientRequest]:
        """Return the one request of a frame."""
        try:
            if too_deep(frame):
                raise ValueError(f"it is nested more than {MAX_NESTING} levels deep")  # noqa: TRY301 - one way out
            said = _frames.decode(frame)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise _misunderstood(frame, error) from None
        try:
            request = _request(said)
        except Refusal as refusal:
            raise Misunderstood(refusal.code, refusal.message, said.ref) from None
        if said.traceparent is not None and (trace := traceparent(said.traceparent)):
            return (replace(request, traceparent=trace),)  # of the few that say it
        return (request,)

    def accepted(self, request: ask.AnyRequest) -> None:
        """Nothing to remember."""

    def encode(self, say: says.ToClient, n: int) -> Frame | None:
        """Write a say as it stands, with ``n`` behind its type, and every kind of ok as ``ok``."""
        if isinstance(say, says.MemberJoined) and say.again:
            return None  # of the workshop's clients; ours know that member, and its position is taken
        if isinstance(say, says.Published):
            say = says.Message(room=say.room, from_=say.from_, data=say.data)
        if (found := _HEADS.get(type(say))) is None:
            return None  # an address' business, and ours have none
        head, start = found
        return b"%b%d%b" % (head, n, _encode(say)[start:])

    def pong(self, ref: str | None, time: str, n: int) -> Frame:
        """Answer a ping, with the place that an idle client may resume from."""
        return self.write(Pong(ref=ref, time=time, n=n))

    def refuse(self, refusal: Refusal, ref: str | None, connection: str, request: str) -> Frame:  # noqa: ARG002
        """Write the error frame of something that the gateway itself refuses."""
        return self.write(
            Error(ref=ref, code=refusal.code, message=refusal.message, retry_after_ms=refusal.retry_after_ms)
        )

    def dismiss(self, refusal: Refusal) -> Farewell:
        """Say it in an error: a browser cannot read a status."""
        code = _FAREWELL.get(refusal.code, CloseCode.POLICY)
        return Farewell(self.refuse(refusal, None, "", ""), code)

    def go_away(self, reconnect_after_ms: int, deadline_ms: int) -> Frame:
        """Ask a client to resume elsewhere."""
        reason = "This gateway is restarting."
        return self.write(GoAway(reconnect_after_ms=reconnect_after_ms, deadline_ms=deadline_ms, reason=reason))

    def write(self, frame: AnyGatewayFrame) -> Frame:
        """Write a frame of the gateway's own."""
        return _encode(frame)


def _request(said: AnyClientFrame) -> ask.ClientRequest:  # noqa: PLR0911 - one answer per frame
    match said:
        case SignalFrame():
            return ask.Signal(ref=said.ref, to=said.to, data=said.data)
        case SendFrame():
            return ask.Send(ref=said.ref, room=name(said.room), data=said.data)
        case ChatFrame():
            id_ = name(said.id, "message")
            return ask.Chat(ref=said.ref, room=name(said.room), id=id_, text=_storable(said.text), data=said.data)
        case JoinFrame():
            return ask.Join(ref=said.ref, room=name(said.room), since=said.since, metadata=metadata(said.metadata))
        case LeaveFrame():
            return ask.Leave(ref=said.ref, room=name(said.room))
        case ReportFrame():
            return ask.Report(ref=said.ref, room=name(said.room), peers=_once_each(said.peers))
        case PresenceFrame():
            return ask.SetPresence(ref=said.ref, availability=said.availability, metadata=metadata(said.metadata))
        case TokenFrame():
            return ask.RefreshToken(ref=said.ref, token=said.token)
        case PingFrame():
            return ask.Ping(ref=said.ref)


def _storable(text: str) -> str:
    """Return the text of chat. What PostgreSQL cannot hold is refused now, or history would say something else."""
    if "\0" in text:
        raise Refusal(ErrorCode.BAD_REQUEST, "The text must not contain the character U+0000; put it into `data`.")
    return text


def _once_each(peers: tuple[ask.PeerQuality, ...]) -> tuple[ask.PeerQuality, ...]:
    if len({peer.connection_id for peer in peers}) < len(peers):
        raise Refusal(ErrorCode.BAD_REQUEST, "A report names each peer once; put what you know of it into one entry.")
    return peers


def _misunderstood(frame: bytes, error: Exception) -> Misunderstood:
    try:
        seen = _loose.decode(frame)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return _unreadable(frame)
    ref = seen.ref if isinstance(seen.ref, str) and len(seen.ref) <= MAX_REF else None
    if not isinstance(seen.action, str):
        return Misunderstood(ErrorCode.BAD_REQUEST, 'A frame needs an "action" that is a string.', ref)
    if seen.action not in _ACTIONS:
        known = ", ".join(sorted(_ACTIONS))
        return Misunderstood(ErrorCode.UNKNOWN_ACTION, f"No such action here; there are {known}.", ref)
    return Misunderstood(ErrorCode.BAD_REQUEST, f"The frame is not a right {seen.action}: {error}.", ref)


def _unreadable(frame: bytes) -> Misunderstood:
    """Say so, to the request that it was if that much can be seen.

    JavaScript writes a text that was cut within an emoji with half of a surrogate pair, which is JSON and no text: who
    sends it still waits for the answer to its ref.
    """
    message = "A frame must be one JSON object in UTF-8; this one could not be read."
    try:
        seen = None if too_deep(frame) else json.loads(frame)
    except (RecursionError, ValueError):
        seen = None
    if not isinstance(seen, dict):
        return Misunderstood(ErrorCode.BAD_FRAME, message)
    ref = seen.get("ref")
    sound = isinstance(ref, str) and len(ref) <= MAX_REF and not _HALF.search(ref)
    return Misunderstood(
        ErrorCode.BAD_FRAME,
        "A text in the frame holds half of a surrogate pair, or a number is none of JSON's.",
        ref if sound else None,
    )
