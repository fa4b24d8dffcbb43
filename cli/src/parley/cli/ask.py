"""A GET to a neighbour on loopback, without an HTTP library: it is asked once a second, and imports cost start time."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes

    @property
    def message(self) -> str:
        """The sentence in an error of ours, or at least the status."""
        try:
            said = msgspec.json.decode(self.body, type=dict[str, object])
        except msgspec.DecodeError:
            said = {}
        return str(said.get("message") or f"answers {self.status}")


async def get(address: str, path: str, within: float = 2.0, *, trusting: Path | None = None) -> Answer:
    """
    Ask ``host:port`` for *path*; raises OSError (TimeoutError is one) when there is no answer.

    With TLS if the certificate of an authority to trust is given.
    """
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(within):
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=_tls(trusting))
        try:
            writer.write(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
            answer = await reader.read()
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) < 2 or not words[1].isdigit():  # noqa: PLR2004 - version and status
        raise ConnectionResetError(f"{address} answered something that is not HTTP")
    return Answer(int(words[1]), body)


def _tls(trusting: Path | None) -> "ssl.SSLContext | None":
    if trusting is None:
        return None
    import ssl  # noqa: PLC0415 - only those who need it wait for it

    return ssl.create_default_context(cafile=trusting)
