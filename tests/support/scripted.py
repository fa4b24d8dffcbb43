"""A server of parley.v1 that says what a test wants, and writes down what it hears: for the protocol's corners."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol


class Visit:
    """One socket, from the server's side."""

    def __init__(self, socket: ServerConnection) -> None:
        assert socket.request
        self.query = dict(parse_qsl(urlsplit(socket.request.path).query))
        self.authorization = socket.request.headers.get("Authorization")
        self.over: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        """The close code."""
        self._socket = socket
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def listen(self) -> None:
        try:
            async for text in self._socket:
                self._heard.put_nowait(json.loads(text))
        except ConnectionClosed:
            pass  # the code says it
        self.over.set_result(self._socket.close_code)

    async def hear(self) -> dict[str, Any]:
        """Return the next frame that the client sends."""
        async with asyncio.timeout(30):
            return await self._heard.get()

    async def say(self, **frame: Any) -> None:
        await self._socket.send(json.dumps(frame))

    async def say_text(self, text: str) -> None:
        await self._socket.send(text)

    async def welcome(self, connection: str = "c1", **more: Any) -> None:
        about: dict[str, Any] = {"connectionId": connection, "app": "default", "resumeToken": f"token of {connection}"}
        about |= {"resumed": False, "heartbeatSeconds": 25, "time": "2026-01-01T00:00:00.000Z"}
        await self.say(type="welcome", **about | more)

    async def grant(self, action: str, **answer: Any) -> dict[str, Any]:
        """Hear a request with this action, and say yes to it."""
        frame = await self.hear()
        assert frame["action"] == action, f"expected {action}, heard {frame}"
        await self.say(**{"type": "ok", "ref": frame["ref"]} | answer)
        return frame

    async def admit(self, room: str, position: int, **more: Any) -> dict[str, Any]:
        """Hear a request to join, and say yes to it."""
        answer = {"room": room, "epoch": "e1", "position": position, "members": [], "recovered": False, "missed": []}
        return await self.grant("join", **answer | more)

    async def close(self, code: int, reason: str = "") -> None:
        await self._socket.close(code, reason)

    def cut(self) -> None:
        """End it as when a cable is pulled."""
        self._socket.transport.abort()


class Scripted:
    """The server: whoever comes is a visit."""

    def __init__(self) -> None:
        self.url = ""
        self._visits: asyncio.Queue[Visit] = asyncio.Queue()

    async def visit(self) -> Visit:
        """Return the next socket that comes."""
        async with asyncio.timeout(30):
            return await self._visits.get()

    async def handle(self, socket: ServerConnection) -> None:
        visit = Visit(socket)
        self._visits.put_nowait(visit)
        await visit.listen()


@asynccontextmanager
async def scripted_server(port: int = 0) -> AsyncIterator[Scripted]:
    """Run one for the length of the block."""
    script = Scripted()
    protocols = [Subprotocol("parley.v1")]
    async with serve(script.handle, "127.0.0.1", port, subprotocols=protocols) as server:
        script.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        yield script
