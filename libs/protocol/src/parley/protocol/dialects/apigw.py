"""AWS API Gateway's WebSocket API, and the routes that need no backend: protocols.md sections 1, 2 and 3.3.

`joinRoom` and `sendMsgToRoom` behave as the video-chat workshop's handlers do,
quirks included, because those quirks are what its clients see (2.3).
`NEGOTIATE` passes a whole object on to one connection.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.apps import App
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.dialects import Dialect, Frame, Hello, Misunderstood, Personal, js, name
from parley.protocol.dialects.selection import Selection
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


Handler = Callable[["Seat", dict[str, Any], bytes], Sequence[ask.ClientRequest]]
"""What a built-in route does with a frame: given what its connection remembers, its body, and its bytes."""

DEFAULT_ROUTE: Final = "$default"
CONNECT: Final = "$connect"
DISCONNECT: Final = "$disconnect"
UNREACHABLE: Final = frozenset({CONNECT, DISCONNECT})
"""Routes that no message selects, whatever it says."""

_NO_JSON: Final = object()


class ApiGateway(Dialect):
    """The dialect of an app with routes of its own, and no others. Its descendants have built-in ones."""

    name = "apigw"
    own = frozenset({"token", "app"})
    expression = "$request.body.action"
    """Which route a frame selects, unless the app says otherwise."""
    handlers: Mapping[str, Handler] = {}
    """The built-in routes by key."""

    def __init__(self, app: App) -> None:
        """*app* declares its own routes."""
        self._selection = Selection(app.route_selection_expression or self.expression)
        self._routes = frozenset(app.routes)

    def conversation(self, hello: Hello) -> "Seat":
        """Return the codec for a new connection."""
        return Seat(self, hello)

    def opening(self, hello: Hello) -> Sequence[ask.ClientRequest]:  # noqa: ARG002 - see Conversation
        """Ask for nothing: an API Gateway's client says what it wants."""
        return ()

    def requests(self, seat: "Seat", frame: bytes) -> Sequence[ask.ClientRequest]:
        """Select the route of a frame and return what is behind it (protocols.md 1.3)."""
        try:
            body: Any = _NO_JSON if too_deep(frame) else _decode(frame)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            body = _NO_JSON
        key = DEFAULT_ROUTE if body is _NO_JSON else self._selection.select(body)
        if key in self._routes and key not in UNREACHABLE:
            return (ask.Invoke(route=key, body=frame.decode()),)
        handler = self.handlers.get(key)
        if handler is not None:
            return handler(seat, body if isinstance(body, dict) else {}, frame)
        if DEFAULT_ROUTE in self._routes:
            return (ask.Invoke(route=DEFAULT_ROUTE, body=frame.decode()),)
        raise Refusal(ErrorCode.UNKNOWN_ACTION, "No route of this app matches the frame, and it has no $default.")

    def encode(self, say: says.ToClient, n: int) -> Frame | Personal | None:
        """Find the words; there are none for leaving, for answers and for presence."""
        match say:
            case says.Message() | says.Published():
                return _bare(say.data)
            case says.SignalFrom():
                return _from(say.from_, say.data)
            case says.ChatPosted():
                text = say.text.encode()
                return lambda receiver: None if receiver == say.from_ else text
            case says.Error():
                request = urlsafe_b64encode(n.to_bytes(11)).decode()
                return lambda receiver: error_frame(say.code, receiver, request)
            case _:
                return None

    def refuse(self, refusal: Refusal, ref: str | None, connection: str, request: str) -> Frame:  # noqa: ARG002
        """Write the error frame of something that the gateway itself refuses."""
        return error_frame(refusal.code, connection, request)


class Seat:
    """A connection's codec. It remembers the one room that a connection is in, for handlers that know one."""

    __slots__ = ("_dialect", "hello", "room")

    def __init__(self, dialect: ApiGateway, hello: Hello) -> None:
        self._dialect = dialect
        self.hello = hello
        self.room: str | None = None

    def opening(self) -> Sequence[ask.ClientRequest]:
        """Return what the profile asks for."""
        return self._dialect.opening(self.hello)

    def decode(self, frame: bytes) -> Sequence[ask.ClientRequest]:
        """Return what the route of a frame asks for."""
        try:
            return self._dialect.requests(self, frame)
        except Refusal as refusal:
            raise Misunderstood(refusal.code, refusal.message) from None

    def accepted(self, request: ask.AnyRequest) -> None:
        """Remember the room: the next join leaves it."""
        if isinstance(request, ask.Join):
            self.room = request.room


def _join_room(seat: Seat, body: dict[str, Any], frame: bytes) -> Sequence[ask.ClientRequest]:  # noqa: ARG001 - a Handler
    room = name(_member(body, "roomId"))
    join = ask.Join(room=room, announce_again=True)
    return (join,) if seat.room in (None, room) else (ask.Leave(room=seat.room), join)


def _send_to_room(seat: Seat, body: dict[str, Any], frame: bytes) -> Sequence[ask.ClientRequest]:  # noqa: ARG001 - a Handler
    return (ask.Relay(room=name(_member(body, "roomId")), text=_message(body)),)


def _negotiate(seat: Seat, body: dict[str, Any], frame: bytes) -> Sequence[ask.ClientRequest]:  # noqa: ARG001 - a Handler
    return (ask.Signal(to=_target(body), data=Raw(frame)),)


class Workshop(ApiGateway):
    """The video-chat workshop's routes, and `NEGOTIATE`: what an app has that declares none."""

    handlers = {  # noqa: RUF012 - nobody changes it
        "joinRoom": _join_room,
        "sendMsgToRoom": _send_to_room,
        "NEGOTIATE": _negotiate,
        "negotiate": _negotiate,
    }

    def encode(self, say: says.ToClient, n: int) -> Frame | Personal | None:
        """Announce who joins."""
        return _new_participant if isinstance(say, says.MemberJoined) else super().encode(say, n)


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


def error_frame(code: ErrorCode, connection: str, request: str) -> Frame:
    """Write an error as API Gateway does (protocols.md 1.6): exactly these members."""
    message = _MESSAGES.get(code, "Forbidden")
    last = "messageId" if code is ErrorCode.BAD_REQUEST else "requestId"
    return _encode({"message": message, "connectionId": connection, last: request})


def failure_frame(connection: str, request: str, *, late: bool) -> Frame:
    """Write the error of a frame whose integration has failed, or was too late (protocols.md 1.5)."""
    message = "Endpoint request timed out" if late else "Internal server error"
    return _encode({"message": message, "connectionId": connection, "requestId": request})
