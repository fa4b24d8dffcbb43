"""
Clients that come, are welcomed, and then only stay.

A general WebSocket client spends about as long on a handshake as a server; thousands of them at once would measure the
client. This one knows just enough: one request, and small unfragmented frames.
"""

import asyncio
from collections.abc import Callable

from benchmarks.wires import Wire, Wrong

CLOSE = b"\x88\x82\x00\x00\x00\x00\x03\xe8"  # 1000, masked with zeros
TEXT, GOODBYE, PING = 1, 8, 9
SMALL = 126


class Idler(asyncio.Protocol):
    """One connection. *welcomed* is done once it has an id, or fails with what went wrong."""

    def __init__(self, wire: Wire, host: str, token: str) -> None:
        self.welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.trouble: Exception | None = None
        self._wire = wire
        self._request = _request(wire, host, token)
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._upgraded = False

    def leave(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.write(CLOSE)
            transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as TCP's is
        self._transport = transport
        transport.write(self._request)
        self._request = b""

    def data_received(self, data: bytes) -> None:
        self._rest += data
        try:
            if not self._upgraded:
                head, found, rest = self._rest.partition(b"\r\n\r\n")
                if not found:
                    return
                if not head.startswith(b"HTTP/1.1 101"):
                    raise Wrong(f"The handshake was refused: {head[:200]!r}.")  # noqa: TRY301 - one end for all
                self._upgraded, self._rest = True, rest
            while self._frame():
                pass
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the measure and not only this callback
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._fail(exc or Wrong("A socket broke."))

    def _frame(self) -> bool:
        """Take the next frame, if it is there."""
        rest = self._rest
        if len(rest) < 2:
            return False
        kind, size, start = rest[0] & 15, rest[1], 2
        if size == SMALL:
            size, start = int.from_bytes(rest[2:4]), 4
        if len(rest) < start + size:
            return False
        text, self._rest = rest[start : start + size], rest[start + size :]
        if kind == TEXT:
            self._said(text)
        elif kind == PING:
            self._write(0x8A, text)
        elif kind == GOODBYE and self._transport is not None:
            raise Wrong(f"The server closed a socket: {text!r}.")
        return True

    def _said(self, text: bytes) -> None:
        if self.welcomed.done():
            answer = self._wire.housekeeping(text)
        else:
            found, answer = self._wire.opening(text)
            if found is not None:
                self.welcomed.set_result(None)
        if answer is not None:
            self._write(0x81, answer)

    def _write(self, first: int, payload: bytes) -> None:
        if self._transport is not None:
            self._transport.write(bytes((first, 0x80 | len(payload))) + bytes(4) + payload)  # masked with zeros

    def _fail(self, error: Exception) -> None:
        self.trouble = self.trouble or error
        if not self.welcomed.done():
            self.welcomed.set_exception(error)


def _request(wire: Wire, host: str, token: str) -> bytes:
    lines = [
        f"GET {wire.path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in wire.headers(token).items()),
    ]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


async def knock(address: str, wire: Wire, tokens: list[str], at_once: int = 64, within: float = 60) -> list[Idler]:
    """Return one connection for each token, once all have been welcomed."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    idlers: list[Idler] = []

    async def come() -> None:
        while tokens:
            idler = Idler(wire, address, tokens.pop())
            idlers.append(idler)
            await loop.create_connection(_given(idler), host, int(port))
            await idler.welcomed

    try:
        async with asyncio.timeout(within):
            await asyncio.gather(*(come() for _ in range(at_once)))
    except TimeoutError as error:
        welcome = sum(idler.welcomed.done() for idler in idlers)
        raise Wrong(f"{len(tokens) + len(idlers) - welcome} were not welcome after {within:g} seconds.") from error
    return idlers


def _given(idler: Idler) -> Callable[[], Idler]:
    return lambda: idler
