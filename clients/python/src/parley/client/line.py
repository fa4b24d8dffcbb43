"""One WebSocket, from dialling to its end."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from parley.client.errors import Disconnected, ParleyError, Refused

SUBPROTOCOL: Final = Subprotocol("parley.v1")

LARGEST_FRAME: Final = 64 * 1024 * 1024
"""What a server may send at once: the answer to joining a large room is large."""

_CODES: Final = {400: "bad_request", 401: "unauthorized", 403: "not_allowed", 404: "not_found", 429: "rate_limited"}


class Line:
    """An open socket. Reading and writing raise Disconnected once it is over."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def receive(self) -> str:
        """Return the next text; cancelling loses nothing."""
        try:
            return await self._socket.recv(decode=True)
        except ConnectionClosed as error:
            raise _disconnected(error) from error

    async def send(self, frame: str | bytes) -> None:
        """Write a frame."""
        try:
            await self._socket.send(frame)
        except ConnectionClosed as error:
            raise _disconnected(error) from error

    async def close(self, code: int, reason: str = "") -> None:
        """Say goodbye, and wait until the other side has."""
        await self._socket.close(code, reason)

    def abort(self) -> None:
        """Hang up without a word."""
        self._socket.transport.abort()


async def dial(url: str, query: Mapping[str, str], token: str | None, timeout: float) -> Line:  # noqa: ASYNC109 - passed on
    """Open a socket; Refused, ParleyError and OSError say why not."""
    try:
        socket = await connect(
            with_query(url, query),
            subprotocols=[SUBPROTOCOL],
            additional_headers={"Authorization": f"Bearer {token}"} if token else None,
            compression=None,
            max_size=LARGEST_FRAME,
            open_timeout=timeout,
            close_timeout=timeout,
            ping_interval=None,  # the client's own ping says more: how far the log has been written to us
        )
    except InvalidStatus as error:
        status = error.response.status_code
        code = _CODES.get(status, "internal")
        raise Refused(code, f"the handshake was answered with status {status}") from error
    except InvalidHandshake as error:
        raise ParleyError(f"{url.partition('?')[0]} does not speak parley.v1: {error}") from error
    return Line(socket)


def with_query(url: str, query: Mapping[str, str]) -> str:
    """Return *url* as a socket's, with these parameters added."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    together = [*parse_qsl(parts.query, keep_blank_values=True), *query.items()]
    return urlunsplit((scheme, parts.netloc, parts.path or "/", urlencode(together), ""))


def _disconnected(error: ConnectionClosed) -> Disconnected:
    if error.rcvd and (error.rcvd_then_sent or not error.sent):
        return Disconnected(error.rcvd.code, error.rcvd.reason)
    if error.sent:
        return Disconnected(error.sent.code, error.sent.reason)
    return Disconnected(1006, "the connection was lost")
