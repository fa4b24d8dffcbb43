"""AppRTC's signaling, as its server Collider speaks it: two clients in a room, and what one says is for the other.

The errors have Collider's words (webrtc/apprtc, `src/collider`), and but for an unknown command they end the
connection. Client ids tell nobody apart here: who comes back while its old socket lasts is one more.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.dialects import Frame, Personal, name
from parley.protocol.dialects.apigw import ApiGateway, Seat

FULL: Final = "Max room capacity reached"
UNREGISTERED: Final = "Client not registered"


class _Said(Struct):
    """A command; what is missing is empty, as it is to Collider."""

    cmd: str | None = None
    roomid: str | None = None
    clientid: str | None = None
    msg: str | None = None


_said: Final = msgspec.json.Decoder(_Said).decode
_encode: Final = msgspec.json.Encoder().encode


def _read(frame: bytes) -> _Said:
    try:
        return _said(frame)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise Refusal(ErrorCode.BAD_FRAME, f"websocket.JSON.Receive error: {error}") from None


def _register(seat: Seat, body: dict[str, Any], frame: bytes) -> Sequence[ask.ClientRequest]:  # noqa: ARG001 - a Handler
    said = _read(frame)
    if seat.room is not None:
        raise Refusal(ErrorCode.BAD_REQUEST, "Duplicated register request")
    if not said.roomid or not said.clientid:
        raise Refusal(ErrorCode.BAD_REQUEST, "Invalid register request: missing 'clientid' or 'roomid'")
    return (ask.Join(room=name(said.roomid), metadata={"clientId": name(said.clientid, "client")}),)


def _send(seat: Seat, body: dict[str, Any], frame: bytes) -> Sequence[ask.ClientRequest]:  # noqa: ARG001 - a Handler
    said = _read(frame)
    if seat.room is None:
        raise Refusal(ErrorCode.NOT_MEMBER, UNREGISTERED)
    if not said.msg:
        raise Refusal(ErrorCode.BAD_REQUEST, "Invalid send request: missing 'msg'")
    return (ask.Send(room=seat.room, data=Raw(_encode(said.msg)), waits=True),)


class AppRtc(ApiGateway):
    """The dialect."""

    expression = "$request.body.cmd"
    handlers = {"register": _register, "send": _send}  # noqa: RUF012 - nobody changes it
    members = 2
    final = frozenset({ErrorCode.BAD_FRAME, ErrorCode.BAD_REQUEST, ErrorCode.NOT_MEMBER, ErrorCode.ROOM_FULL})

    def requests(self, seat: Seat, frame: bytes) -> Sequence[ask.ClientRequest]:
        """Tell what is no command of Collider's as Collider does."""
        try:
            return super().requests(seat, frame)
        except Refusal as refusal:
            if refusal.code is ErrorCode.UNKNOWN_ACTION:
                _read(frame)
                raise Refusal(ErrorCode.UNKNOWN_ACTION, "Invalid message: unexpected 'cmd'") from None
            raise

    def encode(self, say: says.ToClient, n: int) -> Frame | Personal | None:
        """Find the words: what the other says, and errors. A backend's may be any JSON, `msg` is always text."""
        match say:
            case says.Message(data=data):
                written = bytes(data)
                return b'{"msg":%b,"error":""}' % (written if written.startswith(b'"') else _encode(written.decode()))
            case says.ChatPosted(text=text):
                return b'{"msg":%b,"error":""}' % _encode(text)
            case says.Error(code=code, message=message):
                return _error(FULL if code is ErrorCode.ROOM_FULL else message)
            case _:
                return super().encode(say, n)

    def refuse(self, refusal: Refusal, ref: str | None, connection: str, request: str) -> Frame:  # noqa: ARG002
        """Write the error of something that the gateway itself refuses."""
        return _error(refusal.message)


def _error(message: str) -> Frame:
    return b'{"msg":"","error":%b}' % _encode(message)
