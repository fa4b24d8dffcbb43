"""
The door: one TCP connection from its first byte to the answer of its handshake.

picows decides about a handshake synchronously; we must ask a token's issuer or
a bus. So we read the request's head ourselves, stop reading, await the
decision, and hand the connection over to picows only when it is a yes.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct
from picows import WSAutoPingStrategy, WSUpgradeResponse
from picows.common import WSUpgradeResponseWithListener
from picows.picows import WSProtocol  # type: ignore[attr-defined] # its stub forgets the class

from parley.gateway.head import BadHead, Request, parse
from parley.gateway.heartbeat import Heartbeat
from parley.gateway.websocket import Limits, Listener, WebSocket
from parley.gateway.wire import Lingering

log = structlog.get_logger(__name__)

PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
"""What each status is called; an app may refuse with any."""

END: Final = b"\r\n\r\n"
READ_BUFFER: Final = 2048
"""picows' buffer at the start; it grows with what is received. 2048 is its smallest."""


class Accept(Struct, frozen=True):
    """Yes: from here on *listener* talks to the client."""

    listener: Listener
    subprotocol: str | None = None
    limits: Limits | None = None
    """What this client may do to us, unless it may what all may."""


class Refuse(Struct, frozen=True):
    """No: the client gets this instead of an upgrade."""

    status: int
    message: str
    headers: dict[str, str] = {}


Decide = Callable[[Request], Awaitable[Accept | Refuse]]


class Silence:
    """picows' log: it says per connection what we say ourselves, and makes a Logger for each if given one."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: ARG002, N802 - logging's name
        """Nothing is."""
        return False

    def log(self, *_: Any) -> None:
        """Say nothing."""

    debug = info = warning = error = log

    def exception(self, message: str, *_: Any) -> None:
        """Pass on what is a bug: ours or its own."""
        log.exception("picows", hint=message)  # noqa: LOG004 - it is in one of picows


SILENCE: Final = Silence()


class Door(asyncio.Protocol):
    """Reads one request's head, awaits the decision and acts on it."""

    def __init__(self, decide: Decide, limits: Limits, heartbeat: Heartbeat, doors: "set[Door]") -> None:
        self._decide = decide
        self._limits = limits
        self._heartbeat = heartbeat
        self._doors = doors  # the open ones, so that a server can shut them
        self._tcp: Any = None  # asyncio.Transport from connection_made on
        self._read = b""
        self._timer: asyncio.TimerHandle | None = None
        self._deciding: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody knocks."""
        self._tcp = transport
        self._doors.add(self)
        self._wait(self._limits.handshake_seconds)

    def data_received(self, data: bytes) -> None:
        """Collect the head; when it is whole, stop reading and have it decided."""
        if self._deciding is not None:
            return
        self._read += data
        end = self._read.find(END)
        if end > self._limits.head_bytes or (end < 0 and len(self._read) > self._limits.head_bytes):
            self._answer(Refuse(431, f"The head of a request has at most {self._limits.head_bytes} bytes."))
            return
        if end < 0:
            return
        head, self._read = self._read[:end], self._read[end + len(END) :]
        try:
            peer = self._tcp.get_extra_info("peername")
            request = parse(head, str(peer[0]) if peer else "")
        except BadHead as bad:
            self._answer(_with_upgrade(Refuse(bad.status, bad.message)))
            return
        self._tcp.pause_reading()
        self._wait(self._limits.decision_seconds)
        self._deciding = asyncio.get_running_loop().create_task(self._await_decision(request))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """They have gone, or been answered."""
        self._shut()
        if self._deciding is not None:
            self._deciding.cancel()

    def abort(self) -> None:
        """Open to nobody: the server stops."""
        if self._deciding is not None:
            self._deciding.cancel()
        self._tcp.abort()

    async def _await_decision(self, request: Request) -> None:
        try:
            decision = await self._decide(request)
        except Exception:
            log.exception("A handshake could not be decided.")
            decision = Refuse(500, "Something of ours went wrong.")
        self._deciding = None  # it is this task; what follows must not cancel it
        if self._tcp.is_closing():
            return
        if isinstance(decision, Refuse):
            self._answer(decision)
        else:
            self._hand_over(request, decision)

    def _hand_over(self, request: Request, accept: Accept) -> None:
        self._shut()
        limits = accept.limits or self._limits
        socket = WebSocket(self._tcp, accept.listener, limits, self._heartbeat)
        extra = {"Sec-WebSocket-Protocol": accept.subprotocol} if accept.subprotocol else None
        answer = WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(extra), socket)
        protocol = WSProtocol(
            host_port=None,
            ws_path=None,
            is_client_side=False,
            ws_listener_factory=lambda _: answer,
            logger=SILENCE,
            disconnect_on_exception=True,
            websocket_handshake_timeout=None,
            enable_auto_ping=False,
            auto_ping_idle_timeout=0,
            auto_ping_reply_timeout=0,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            enable_auto_pong=False,
            max_frame_size=limits.frame_bytes or limits.message_bytes,
            extra_headers=None,
            read_buffer_init_size=READ_BUFFER,
        )
        rest, self._read = self._read, b""
        socket.open(protocol, _plain_head(request.key), rest)

    def _answer(self, refuse: Refuse) -> None:
        """Say no and hang up, without a reset overtaking the answer."""
        self._tcp.write(_response(refuse))
        self._tcp.set_protocol(Lingering(self))
        self._tcp.resume_reading()
        self._tcp.write_eof()

    def _too_slow(self) -> None:
        if isinstance(self._tcp.get_protocol(), Lingering):
            self._tcp.abort()
        elif self._deciding is not None:
            self._deciding.cancel()
            self._deciding = None
            self._answer(Refuse(503, "The decision about this connection takes too long. Try again."))
            self._wait(self._limits.close_seconds)
        else:
            self._answer(Refuse(408, "The request did not arrive in time."))
            self._wait(self._limits.close_seconds)

    def _wait(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._too_slow)

    def _shut(self) -> None:
        self._doors.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _plain_head(key: str) -> bytes:
    """Return the shortest request that picows accepts: it keeps what it is given as long as the socket lives.

    It also insists on ``Connection: Upgrade`` alone, where Firefox says ``keep-alive, Upgrade``.
    """
    return (
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()


def _with_upgrade(refuse: Refuse) -> Refuse:
    if refuse.status != HTTPStatus.UPGRADE_REQUIRED:
        return refuse
    return Refuse(refuse.status, refuse.message, {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"})


def _response(refuse: Refuse) -> bytes:
    body = msgspec.json.encode({"message": refuse.message}) + b"\n"
    lines = [
        f"HTTP/1.1 {refuse.status} {PHRASES.get(refuse.status, 'Refused')}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"Connection: {'close, upgrade' if 'Upgrade' in refuse.headers else 'close'}",
        *(f"{name}: {value}" for name, value in refuse.headers.items()),
    ]
    return "\r\n".join(lines).encode() + END + body
