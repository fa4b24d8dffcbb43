"""The supervisor's own HTTP: ``/livez``, and ``/readyz`` with a line for every part."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import msgspec

HEAD_BYTES = 16 * 1024
PATIENCE_SECONDS = 5.0


class PartReport(msgspec.Struct, frozen=True):
    """What is said of one part, here and by ``parley status``."""

    name: str
    replica: int
    pid: int | None
    """None while it does not run."""
    address: str | None
    """``host:port`` of its socket listener."""
    http: str | None
    """``host:port`` of its HTTP."""
    ready: bool
    status: str
    """``ready``, or what is missing."""
    restarts: int


class Readiness(msgspec.Struct, frozen=True):
    """The answer when all is well."""

    ready: bool
    parts: list[PartReport]


class NotReady(msgspec.Struct, frozen=True):
    """The answer when something is missing, in the form of every other error."""

    code: str
    message: str
    parts: list[PartReport]


Look = Callable[[], Awaitable[list[PartReport]]]


@asynccontextmanager
async def control(host: str, port: int, look: Look) -> AsyncIterator[None]:
    """Answer for the length of the block."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                status, body = await _answer(head, look)
                writer.write(
                    f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                    "Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode()
                    + (b"" if head.startswith(b"HEAD ") else body)
                )
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, host, port, limit=HEAD_BYTES)
    try:
        yield
    finally:
        server.close()


async def _answer(head: bytes, look: Look) -> tuple[str, bytes]:
    words = head.split(None, 2)
    path = words[1].partition(b"?")[0] if len(words) > 1 else b""
    if path == b"/livez":
        return "200 OK", b'{"live":true}'
    if path != b"/readyz":
        return "404 Not Found", b'{"code":"not_found","message":"There is nothing at this path."}'
    parts = await look()
    missing = [part for part in parts if not part.ready]
    if not missing:
        return "200 OK", msgspec.json.encode(Readiness(ready=True, parts=parts))
    message = "; ".join(f"{part.name}-{part.replica}: {part.status}" for part in missing)
    return "503 Service Unavailable", msgspec.json.encode(NotReady(code="degraded", message=message, parts=parts))
