"""
One open WebSocket: what RFC 6455 and our limits ask between picows' frames and our text messages.

picows parses frames and masks payloads. Ours: whole messages from fragments,
UTF-8, size, pings, the closing handshake, and a bound on what waits for a slow
reader. What the messages mean is the listener's business.
"""

import asyncio
from typing import Final, Protocol

import structlog
from msgspec import Struct
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport
from picows.picows import WSProtocol  # type: ignore[attr-defined] # its stub forgets the class

from parley.gateway.heartbeat import Heartbeat
from parley.gateway.wire import Lingering, Wire
from parley.protocol.codes import CloseCode

log = structlog.get_logger(__name__)

CONTINUATION: Final = WSMsgType.CONTINUATION
TEXT: Final = WSMsgType.TEXT
BINARY: Final = WSMsgType.BINARY
PING: Final = WSMsgType.PING
CLOSE: Final = WSMsgType.CLOSE

HEADROOM: Final = 14
"""Bytes that a prepared frame leaves free in front of its payload: picows writes the frame's header there."""

MAX_REASON: Final = 123
"""Bytes of a close frame's reason (RFC 6455, 5.5: 125 with the code)."""

MISSED: Final = 2

INTERNAL: Final = 1011

_NEVER_SENT: Final = (0, CloseCode.NO_STATUS, CloseCode.ABNORMAL, 1015)
_HIGHEST_CODE: Final = 4999


class Limits(Struct, frozen=True):
    """What a client may do to us. The defaults are protocols.md section 0."""

    message_bytes: int = 131_072
    frame_bytes: int | None = None
    """Of one frame of a message; None: as of a message."""
    outbound_bytes: int = 1_048_576
    head_bytes: int = 16_384
    handshake_seconds: float = 10
    decision_seconds: float = 60
    """For whoever is asked about a connection: an authorizer and then ``$connect`` have 29 s each."""
    close_seconds: float = 5
    """Time for a client to answer our close frame and hang up."""
    heartbeat_seconds: float = 25


class Listener(Protocol):
    """Whoever talks through a socket. Calls come in this order, none after ``closed``."""

    @property
    def binary(self) -> bool:
        """Whether a binary message is taken as if it were text; otherwise it closes the socket with 1003."""

    def connected(self, socket: "WebSocket") -> None:
        """The socket can be written. It reads nothing before ``socket.start()``."""

    def received(self, text: bytes) -> None:
        """A whole message, valid UTF-8, within the limit."""

    def pinged(self) -> None:
        """The client sent a control frame; it has been answered."""

    def looked_at(self) -> None:
        """An interval of the heartbeat has passed."""

    def closed(self, code: int, reason: str) -> None:
        """It is over, said once and as early as known: 1005 if the client named no code, 1006 if it fell silent."""


class WebSocket(WSListener):
    """One open WebSocket."""

    __slots__ = (
        "_congested",
        "_heard",
        "_heartbeat",
        "_limits",
        "_listener",
        "_missed",
        "_parts",
        "_picows",
        "_rest",
        "_size",
        "_tcp",
        "_transport",
        "slot",
    )

    def __init__(self, tcp: asyncio.Transport, listener: Listener, limits: Limits, heartbeat: Heartbeat) -> None:
        self._tcp = tcp
        self._listener: Listener | None = listener  # None once it was told that it is over
        self._limits = limits
        self._heartbeat = heartbeat
        self._picows: WSProtocol | None = None  # set by open()
        self._transport: WSTransport | None = None  # set when the handshake is answered
        self._rest = b""  # what the client sent before it was answered
        self._parts: list[bytes] | None = None  # of an unfinished message
        self._size = 0  # sum of the parts
        self._heard = True  # since it was last examined
        self._missed = 0
        self._congested = False  # the kernel's buffer is full and the transport's is filling
        self.slot = 0  # the heartbeat's

    def open(self, protocol: WSProtocol, head: bytes, rest: bytes) -> None:
        """Speak WebSocket from here on: answer the handshake *head*, keep *rest* for start()."""
        self._picows = protocol
        self._rest = rest
        self._tcp.set_protocol(protocol)
        protocol.connection_made(Wire(self._tcp, self.linger))
        _feed(protocol, head)

    def start(self) -> None:
        """Begin to read what the client says."""
        rest, self._rest = self._rest, b""
        if rest:
            _feed(self._picows, rest)
        self._tcp.resume_reading()

    # what we say

    def send(self, text: bytes) -> None:
        """Say one thing to this client."""
        self.write(bytearray(HEADROOM) + text)

    def write(self, frame: bytearray) -> None:
        """Say a prepared frame (HEADROOM bytes, then UTF-8 text); the same bytes serve any number of sockets.

        A client that does not read is closed as slow when too much waits for it.
        """
        transport = self._transport
        if transport is None:
            return
        try:
            transport.send_reuse_external_bytearray(TEXT, frame, HEADROOM)
        except Exception:  # the others that this frame is for must still get it
            log.exception("A socket could not be written.", connection=self._whose)
            self.abort()
        if self._congested:
            self._bound()

    def _bound(self) -> None:
        if self._tcp.get_write_buffer_size() > self._limits.outbound_bytes:
            self.close(CloseCode.SLOW_READER, "You read more slowly than you are sent to.")

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye; what the client still sends is ignored, and it has close_seconds to hang up."""
        transport = self._transport
        if transport is None or transport.is_close_frame_sent:
            return
        shortened = reason.encode()[:MAX_REASON].decode(errors="ignore")
        transport.send_close(WSCloseCode(code), shortened)
        self._parts = None
        self._heartbeat.leaving(self, asyncio.get_running_loop().time())
        self._over(code, shortened)

    def abort(self) -> None:
        """Hang up without a word."""
        self._tcp.abort()

    def pause(self) -> None:
        """Leave what the client says in the kernel's buffer for now."""
        self._tcp.pause_reading()

    def resume(self) -> None:
        """Go on reading."""
        self._tcp.resume_reading()

    @property
    def ended_by_us(self) -> bool:
        """Whether we have said goodbye: until the listener knows, nobody else has."""
        return self._transport is not None and self._transport.is_close_frame_sent

    # the heartbeat

    def examine(self) -> None:
        """Ping, or close if nothing at all was heard after two pings."""
        self._missed = 0 if self._heard else self._missed + 1
        self._heard = False
        if self._missed >= MISSED:
            self.close(CloseCode.HEARTBEAT_MISSED, "No sign of life from you after two pings.")
        elif self._transport is not None and self._listener is not None:
            self._transport.send_ping()
            self._listener.looked_at()

    # what picows tells us

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is answered."""
        self._transport = transport
        self._heartbeat.watch(self)
        if self._listener is None:
            return
        try:
            self._listener.connected(self)
        except Exception:
            log.exception("A listener could not begin.", connection=self._whose)
            self.close(INTERNAL, "Something of ours went wrong.")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Do what one frame asks. After our close frame only the client's own is of interest."""
        kind = frame.msg_type
        if transport.is_close_frame_sent:
            if kind == CLOSE:
                self.linger()
            return
        self._heard = True
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.close(CloseCode.PROTOCOL_ERROR, "A reserved bit is set, and no extension was negotiated.")
        elif kind == TEXT and frame.fin and self._parts is None:
            self._message(frame.get_payload_as_bytes())
        elif kind in (TEXT, CONTINUATION) or (kind == BINARY and self._reads_binary()):
            self._fragment(frame)
        elif kind == PING:
            transport.send_pong(frame.get_payload_as_bytes())
            if self._congested:
                self._bound()
            self._control()
        elif kind == CLOSE:
            self._goodbye(frame)
        elif kind == BINARY:
            self.close(CloseCode.BINARY, "Send text frames.")
        else:
            self._control()

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows' signature
        """The TCP connection is gone."""
        self._heartbeat.forget(self)
        self._over(*self._verdict())
        self._transport = self._picows = None
        self._parts = None

    def pause_writing(self) -> None:
        """More than the kernel takes is waiting: from here on each write looks at the sum."""
        self._congested = True

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._congested = False

    # how a message comes together

    def _reads_binary(self) -> bool:
        return self._listener is not None and self._listener.binary

    def _message(self, text: bytes) -> None:
        if not text.isascii():
            try:
                text.decode()
            except UnicodeDecodeError:
                self.close(CloseCode.INVALID_TEXT, "That is not UTF-8.")
                return
        listener = self._listener
        if listener is None:
            return
        try:
            listener.received(text)
        except Exception:
            log.exception("A frame was too much for its listener.", connection=self._whose)
            self.close(INTERNAL, "Something of ours went wrong.")

    def _fragment(self, frame: WSFrame) -> None:
        if (self._parts is None) == (frame.msg_type == CONTINUATION):
            self.close(CloseCode.PROTOCOL_ERROR, "Fragments of messages are mixed up.")
            return
        if self._parts is None:
            self._parts, self._size = [], 0
        self._size += frame.payload_size
        if self._size > self._limits.message_bytes or len(self._parts) > self._limits.message_bytes // 64:
            self.close(CloseCode.TOO_BIG, f"A message has at most {self._limits.message_bytes} bytes.")
            return
        self._parts.append(frame.get_payload_as_bytes())
        if not frame.fin:
            self._control()  # a stream of tiny fragments is a flood as well
            return
        whole, self._parts = b"".join(self._parts), None
        self._message(whole)

    def _control(self) -> None:
        if self._listener is not None:
            self._listener.pinged()

    # how it ends

    def _goodbye(self, frame: WSFrame) -> None:
        """Answer the client's close frame with its own code."""
        if frame.payload_size == 0:
            code, reason = int(CloseCode.NO_STATUS), ""
            self._over(code, reason)
            self.close(CloseCode.NORMAL)  # picows cannot send an empty close frame
        else:
            code, reason = frame.get_close_code().value, frame.get_close_reason() or ""
            if code in _NEVER_SENT or code > _HIGHEST_CODE:
                self.close(CloseCode.PROTOCOL_ERROR, f"{code} is no close code to send.")
            else:
                self._over(code, reason)
                self.close(code)
        self.linger()

    def linger(self) -> None:
        """Both have said goodbye, or picows could not go on: send what waits, then FIN, and await the client's."""
        if self._picows is None or self._tcp.is_closing() or isinstance(self._tcp.get_protocol(), Lingering):
            return
        self._heartbeat.leaving(self, asyncio.get_running_loop().time())
        self._over(*self._verdict())
        self._tcp.set_protocol(Lingering(self._picows))
        self._tcp.resume_reading()
        self._tcp.write_eof()

    @property
    def _whose(self) -> str | None:
        """The connection's id, for the log."""
        return getattr(self._listener, "id", None)

    def _over(self, code: int, reason: str) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.closed(code, reason)

    def _verdict(self) -> tuple[int, str]:
        """Why it ended, if nobody has said so: picows closed for a violation, or TCP broke."""
        handshake = None if self._transport is None else self._transport.close_handshake
        if handshake is None or handshake.sent is None:
            return CloseCode.ABNORMAL, ""
        return handshake.sent.code.value, handshake.sent.reason


def _feed(protocol: WSProtocol, data: bytes) -> None:
    """Hand picows bytes that somebody else has read; its buffer may be smaller than they are."""
    view = memoryview(data)
    while view:
        room = protocol.get_buffer(len(view))
        count = min(len(room), len(view))
        room[:count] = view[:count]
        protocol.buffer_updated(count)
        view = view[count:]
