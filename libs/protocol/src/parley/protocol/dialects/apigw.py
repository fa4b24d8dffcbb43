"""AWS API Gateway's WebSocket API with its built-in routes: protocols.md sections 1, 2 and 3.3.

`joinRoom` and `sendMsgToRoom` behave as the video-chat workshop's handlers do,
quirks included, because those quirks are what its clients see (2.3).
`NEGOTIATE` passes a whole object on to one connection.
"""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.dialects import Dialect, Frame, Hello, Misunderstood, Personal, js, name
from parley.protocol.nesting import too_deep

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_TARGETS: Final = ("connectionId", "to", "recipientConnectionId", "targetConnectionId")

MAX_TEXT: Final = 131_072
"""Characters of what was no text and is relayed as one: numbers can be far longer so than they were in JSON."""

_MESSAGES: Final = {
    ErrorCode.GONE: "Gone",
    ErrorCode.NOT_FOUND: "Gone",
    ErrorCode.INTERNAL: "Internal server error",
    ErrorCode.DEGRADED: "Internal server error",
    ErrorCode.BAD_REQUEST: "Bad request body",
    ErrorCode.RATE_LIMITED: "Too Many Requests",
    ErrorCode.TOO_LARGE: "Message too long",
}
"""The words of 1.6; whatever else is refused is `Forbidden`."""


class ApiGateway(Dialect):
    """The dialect."""

    name = "apigw"
    own = frozenset({"token", "app"})

    def conversation(self, hello: Hello) -> "Workshop":  # noqa: ARG002 - the dialects' signature
        """Return the codec for a new connection."""
        return Workshop()

    def encode(self, say: says.ToClient, n: int) -> Frame | Personal | None:
        """Find the words; there are none for leaving, for answers and for presence."""
        match say:
            case says.Message():
                return _bare(say.data)
            case says.SignalFrom():
                return _from(say.from_, say.data)
            case says.ChatPosted():
                text = say.text.encode()
                return lambda receiver: None if receiver == say.from_ else text
            case says.MemberJoined():
                return _new_participant
            case says.Error():
                request = urlsafe_b64encode(n.to_bytes(11)).decode()
                return lambda receiver: _error(say.code, receiver, request)
            case _:
                return None

    def refuse(self, refusal: Refusal, ref: str | None, connection: str, request: str) -> Frame:  # noqa: ARG002
        """Write the error frame of something that the gateway itself refuses."""
        return _error(refusal.code, connection, request)


class Workshop:
    """A connection's codec. It remembers the one room that a connection is in."""

    __slots__ = ("room",)

    def __init__(self) -> None:
        self.room: str | None = None

    def opening(self) -> Sequence[ask.ClientRequest]:
        """Until `joinRoom` a connection is in no room."""
        return ()

    def decode(self, frame: bytes) -> Sequence[ask.ClientRequest]:
        """Select the route by ``$request.body.action`` and return what its handler does."""
        try:
            body: Any = None if too_deep(frame) else _decode(frame)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            body = None
        route = body.get("action") if isinstance(body, dict) else None
        try:
            match route:
                case "joinRoom":
                    return self._join(name(_member(body, "roomId")))
                case "sendMsgToRoom":
                    return (ask.Relay(room=name(_member(body, "roomId")), text=_message(body)),)
                case "NEGOTIATE" | "negotiate":
                    return (ask.Signal(to=_target(body), data=Raw(frame)),)
        except Refusal as refusal:
            raise Misunderstood(refusal.code, refusal.message) from None
        raise Misunderstood(ErrorCode.UNKNOWN_ACTION, "No route of this app matches the frame, and it has no $default.")

    def accepted(self, request: ask.AnyRequest) -> None:
        """Remember the room: the next join leaves it."""
        if isinstance(request, ask.Join):
            self.room = request.room

    def _join(self, room: str) -> Sequence[ask.ClientRequest]:
        join = ask.Join(room=room, announce_again=True)
        if self.room is None or self.room == room:
            return (join,)
        return (ask.Leave(room=self.room), join)


def _member(body: dict[str, Any], key: str) -> str:
    return js.string(body.get(key, js.ABSENT))


def _message(body: dict[str, Any]) -> str:
    text = _member(body, "message")
    if len(text) > MAX_TEXT and not isinstance(body["message"], str):
        raise Refusal(ErrorCode.TOO_LARGE, f"The message may have {MAX_TEXT:,} characters as text.")
    return text


def _target(body: dict[str, Any]) -> str:
    for key in _TARGETS:
        value = body.get(key)
        if isinstance(value, str):
            return value
    raise Refusal(ErrorCode.BAD_REQUEST, f"Name the connection that this is for in one of {', '.join(_TARGETS)}.")


def _new_participant(receiver: str) -> Frame:
    """Announce a member with the *receiver's* id, as the workshop's handler does (2.3)."""
    return b'{"type":"newParticipant","participantConnectionId":"%b"}' % receiver.encode()


def _bare(data: Raw) -> Frame:
    """Write a string as the frame itself, anything else as its JSON."""
    written = bytes(data)
    return str(_decode(written)).encode() if written.startswith(b'"') else written


def _from(sender: str, data: Raw) -> Frame:
    """Write the object as it came, with the sender's id put in before its end.

    Nothing in it is read or written anew, so numbers keep their digits; should it
    have members of these names already, the last ones count.
    """
    written = bytes(data).strip()
    names = f'"from":"{sender}","senderConnectionId":"{sender}"}}'.encode()
    if not written.startswith(b"{"):
        return b'{"data":%b,%b' % (written, names)
    inside = written[1:-1].strip()
    return b"{%b%b%b" % (inside, b"," if inside else b"", names)


def _error(code: ErrorCode, connection: str, request: str) -> Frame:
    message = _MESSAGES.get(code, "Forbidden")
    last = "messageId" if code is ErrorCode.BAD_REQUEST else "requestId"
    return _encode({"message": message, "connectionId": connection, last: request})
