"""A TCP connection that is closed without losing the last words said on it.

Closing a socket on which the client is still sending makes the kernel answer
with a reset, which can overtake our close frame: the client would see 1006
where we said 1009. So we say that we are done, drop what still comes, and let
the client hang up.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

SCRAP: Final = bytearray(65536)
"""Where what nobody will read is written."""


class Wire:
    """The transport as picows sees it. Writing goes straight through; closing is ours to do."""

    __slots__ = ("_close", "_tcp")

    def __init__(self, tcp: asyncio.Transport, close: Callable[[], None]) -> None:
        self._tcp = tcp
        self._close = close

    @property
    def write(self) -> Callable[[bytes], None]:
        """Picows keeps what this returns, so the hot path does not pass through here."""
        return self._tcp.write

    @property
    def writelines(self) -> Callable[[list[bytes]], None]:
        """As write."""
        return self._tcp.writelines

    @property
    def get_write_buffer_size(self) -> Callable[[], int]:
        """As write."""
        return self._tcp.get_write_buffer_size

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Say what picows cannot do without. It would log the rest, at the price of a dozen system calls."""
        return Descriptor(self._tcp.get_extra_info("socket").fileno()) if name == "socket" else default

    def close(self) -> None:
        """Picows has said its last word."""
        self._close()

    def abort(self) -> None:
        """Hang up at once."""
        self._tcp.abort()


class Descriptor:
    """A socket, as far as picows writes to it; uvloop has set its options already."""

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        """Where to write."""
        return self._number

    def setsockopt(self, *_: int) -> None:
        """Leave it as it is."""

    def getsockopt(self, *_: int) -> int:
        """Nobody reads that log."""
        return 0


class Lingering(asyncio.BufferedProtocol):
    """What a connection speaks after our last word: it listens to nothing and waits for the client to hang up."""

    def __init__(self, before: asyncio.BaseProtocol) -> None:
        self._before = before

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Say where to put what comes."""
        return memoryview(SCRAP)

    def buffer_updated(self, nbytes: int) -> None:
        """Drop it."""

    def eof_received(self) -> None:
        """Let the transport close: the client has hung up."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever spoke before that it is over."""
        self._before.connection_lost(exc)
