"""The listening socket, and all that came through it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from parley.gateway.accepting import Accepting
from parley.gateway.door import Decide, Door
from parley.gateway.heartbeat import Heartbeat
from parley.gateway.websocket import Limits
from parley.kit.http import listen

BACKLOG: Final = 4096
"""Connections that the kernel may hold for us: a gateway that has ended sends all its clients at once."""


class Server:
    """Where clients knock. ``stop`` turns new ones away; the accepted ones live on."""

    def __init__(self, listener: socket.socket, accepting: Accepting, doors: set[Door], heartbeat: Heartbeat) -> None:
        self._accepting = accepting
        self._doors = doors
        self._heartbeat = heartbeat
        self.host, self.port = listener.getsockname()[:2]

    @property
    def address(self) -> str:
        """``host:port`` on which it listens."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def stop(self) -> None:
        """Let nobody in any more."""
        self._accepting.close()
        for door in tuple(self._doors):
            door.abort()

    async def empty(self, within: float) -> None:
        """Return once the last client has hung up, or after a while."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._heartbeat.quiet.wait(), within)


@asynccontextmanager
async def websocket_server(host: str, port: int, decide: Decide, limits: Limits) -> AsyncIterator[Server]:
    """Listen on *host* and *port* (0: a free one); ask *decide* about each handshake."""
    heartbeat = Heartbeat(limits.heartbeat_seconds, limits.close_seconds)
    doors: set[Door] = set()
    listener = listen(host, port)
    accepting = Accepting(listener, lambda: Door(decide, limits, heartbeat, doors), BACKLOG)
    server = Server(listener, accepting, doors, heartbeat)
    async with asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(heartbeat.run())
        try:
            yield server
        finally:
            server.stop()
            beating.cancel()
