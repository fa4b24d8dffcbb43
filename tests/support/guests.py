"""Guests of a real Parley: sockets of both dialects and REST, in an app of the test's own."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
from support.eventually import eventually
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

PATIENCE_SECONDS = 30.0


class Guest:
    """A socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.id = ""  # known once parley.v1 has said welcome
        self.resume = ""  # the token that it said
        self._asked = 0

    async def says(self, frame: str | bytes | Mapping[str, Any]) -> None:
        """Send a frame: text, bytes, or what becomes JSON."""
        await self.socket.send(json.dumps(frame) if isinstance(frame, Mapping) else frame)

    async def asks(self, action: str, **fields: Any) -> dict[str, Any]:
        """Send a request and return its answer; what comes before it is dropped."""
        self._asked += 1
        ref = f"ask-{self._asked}"
        await self.says({"action": action, "ref": ref, **fields})
        return await self.hears(ref=ref)

    async def hears(self, **members: Any) -> dict[str, Any]:
        """Return the next frame that has *members*; what comes before it is dropped."""
        while True:
            frame: dict[str, Any] = json.loads(await self.hears_text())
            if all(frame.get(name) == value for name, value in members.items()):
                return frame

    async def hears_text(self) -> str:
        """Return the next frame."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            frame = await self.socket.recv()
        assert isinstance(frame, str), "the server sends text"
        return frame

    async def close_code(self) -> int:
        """Wait until the server closes the socket, and return its code."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            with suppress(ConnectionClosed):
                async for _ in self.socket:
                    pass
        assert self.socket.close_code is not None
        return self.socket.close_code


class Guests:
    """Who comes to one Parley, for one app; all leave at the end of the block."""

    def __init__(self, url: str, app: str, rest: httpx.AsyncClient, stack: AsyncExitStack) -> None:
        self.app = app
        self.rest = rest
        self._url = url.replace("http", "ws", 1)
        self._stack = stack

    async def parley(self, path: str = "/", *, token: str | None = None, **query: str) -> Guest:
        """Connect with parley.v1, and take the first frame if it is a welcome."""
        offered = ["parley.v1", *([f"bearer.{token}"] if token else [])]
        guest = await self._connect(path, query, subprotocols=[Subprotocol(name) for name in offered])
        welcome = json.loads(await guest.hears_text())
        assert welcome["type"] == "welcome", welcome
        guest.id, guest.resume = welcome["connectionId"], welcome["resumeToken"]
        return guest

    async def workshop(self, path: str = "/production", **query: str) -> Guest:
        """Connect as a client of API Gateway."""
        return await self._connect(path, query)

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask the front door about this app."""
        params = {"app": self.app, **options.pop("query", {})}
        return await self.rest.request(method, path, params=params, **options)

    async def joins(self, guest: Guest, room: str) -> None:
        """Let a client of the workshop join, and wait until it is a member: its protocol tells it nothing."""

        async def members() -> int:
            answer = await self.ask("GET", f"/v1/rooms/{room}")
            return len(answer.json()["members"]) if answer.is_success else 0

        before = await members()
        await guest.says({"action": "joinRoom", "roomId": room})

        async def absent() -> bool:
            return await members() <= before

        await eventually(absent)

    async def _connect(self, path: str, query: Mapping[str, str], **options: Any) -> Guest:
        url = f"{self._url}{path}?{urlencode({'app': self.app, **query})}"
        socket = connect(url, ping_interval=None, max_size=None, proxy=None, **options)
        return Guest(await self._stack.enter_async_context(socket))


@asynccontextmanager
async def guests(url: str) -> AsyncIterator[Guests]:
    """Give guests of the Parley at *url*."""
    async with AsyncExitStack() as stack:
        rest = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS))
        yield Guests(url, f"test-{uuid4().hex[:8]}", rest, stack)
