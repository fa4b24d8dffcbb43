"""A client of parley.v1 that says what a test tells it to, and keeps all that it hears."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Any, Self

from support.eventually import eventually
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

Frame = dict[str, Any]


class Voice:
    """One client on one socket; it does not come back by itself."""

    def __init__(self, door: str, query: str = "?app=chaos") -> None:
        self.heard: list[Frame] = []
        self._url = f"{door}/{query}"
        self._refs = count(1)
        self._socket: ClientConnection
        self._listening: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._socket = await connect(self._url, subprotocols=[Subprotocol("parley.v1")], proxy=None, ping_interval=None)
        self._listening = asyncio.create_task(self._listen())
        await self.hears("welcome")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.cancel()
        await self._socket.close()

    @property
    def id(self) -> str:
        return str(self.heard[0]["connectionId"])

    @property
    def open(self) -> bool:
        return not self._listening.done()

    async def say(self, **frame: Any) -> str:
        """Ask something, and return its ref."""
        ref = f"r{next(self._refs)}"
        await self._socket.send(json.dumps({"ref": ref, **frame}))
        return ref

    async def ask(self, **frame: Any) -> Frame:
        """Ask something, and return the answer."""
        ref = await self.say(**frame)
        await self.until(lambda: self.answer(ref), f"an answer to {frame}")
        answer = self.answer(ref)
        assert answer is not None
        return answer

    def answer(self, ref: str) -> Frame | None:
        """Return what a request was answered, None if it was not yet."""
        return next((frame for frame in self.heard if frame.get("ref") == ref), None)

    def of(self, kind: str) -> list[Frame]:
        """Return the frames of a type that it has heard."""
        return [frame for frame in self.heard if frame["type"] == kind]

    async def hears(self, kind: str, times: int = 1, within: float = 15) -> None:
        """Wait until it has heard so many frames of a type."""
        await self.until(lambda: len(self.of(kind)) >= times, f"{times} times {kind}", within)

    async def until(self, fact: Callable[[], object], what: str, within: float = 15) -> None:
        """Wait for a fact."""
        await eventually(lambda: None if fact() else f"no {what} among the last frames: {self.heard[-5:]}", within)

    async def _listen(self) -> None:
        with suppress(ConnectionClosed):
            async for text in self._socket:
                self.heard.append(json.loads(text))
