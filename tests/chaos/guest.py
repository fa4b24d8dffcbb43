"""A client of the workshop's dialect: it joins one room, talks and listens, and when its socket breaks comes as new."""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Final
from urllib.parse import urlencode

from chaos.history import Book, Broke, Came, Frame, Read, Said, Went
from chaos.speaker import APP, CALM_SECONDS, LONGEST_PAUSE, WELCOME_SECONDS
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

LISTENING_SECONDS: Final = 2.0
"""It is told nothing when it has joined, so it is not at rest before this is over."""


class Guest:
    """One client, over any number of connections."""

    def __init__(self, name: str, doors: Sequence[str], rooms: Sequence[str], rng: Random, book: Book) -> None:
        self.name = name
        self._doors = doors
        self._room = rng.choice(rooms)
        self._rng = rng
        self._book = book
        self._socket: ClientConnection | None = None
        self._lives = 0
        self._k = 0
        self._came_at = 0.0
        self._spoke_at = 0.0
        self._quiet = False
        self._ended = False

    def be_quiet(self) -> None:
        """Say nothing new."""
        self._quiet = True

    def talk(self) -> None:
        """Say new things again."""
        self._quiet = False

    @property
    def restless(self) -> str | None:
        """Why it is not at rest yet."""
        now = time.time()
        if self._socket is None:
            return f"{self.name} is not connected"
        if now - self._came_at < LISTENING_SECONDS or now - self._spoke_at < CALM_SECONDS:
            return f"{self.name} has just come, or heard something"
        return None

    async def leave(self) -> None:
        """Close the socket."""
        self._ended = True
        socket, self._socket = self._socket, None
        if socket is not None:
            self._book.write(Went(client=self.name, at=time.time(), how="left"))
            await socket.close()

    async def run(self) -> None:
        """Stay connected until told to leave."""
        while not self._ended:
            await self._session()
            await asyncio.sleep(self._rng.random() * LONGEST_PAUSE)

    async def act(self) -> None:
        """Say one more thing."""
        if self._socket is None or self._quiet:
            return
        dice = self._rng.random()
        if dice < 0.003:
            self._socket.transport.abort()
        elif dice < 0.05:
            await self._join()
        else:
            self._k += 1
            data = {"by": self.name, "k": self._k}
            text = json.dumps(data, separators=(",", ":"))
            frame = Frame(action="sendMsgToRoom", room=self._room, data=data)
            await self._say(frame, {"action": "sendMsgToRoom", "roomId": self._room, "message": text})

    async def _session(self) -> None:
        self._lives += 1
        life = f"{self.name}#{self._lives}"
        query = urlencode({"app": APP, "userId": self.name, "life": life})
        try:
            async with asyncio.timeout(WELCOME_SECONDS):
                socket = await connect(
                    f"{self._rng.choice(self._doors)}/production?{query}",
                    proxy=None,
                    compression=None,
                    open_timeout=None,
                    ping_interval=2,
                    ping_timeout=4,
                    close_timeout=1,
                )
        except (OSError, TimeoutError, WebSocketException):
            return
        now = time.time()
        came = Came(client=self.name, at=now, connection=life, dialect="apigw", room=self._room)
        self._book.write(came)
        self._socket, self._came_at = socket, now
        await self._join()
        await self._listen(socket)

    async def _listen(self, socket: ClientConnection) -> None:
        how = "closed"
        try:
            while True:
                text = await socket.recv()
                assert isinstance(text, str)
                self._spoke_at = time.time()
                self._book.write(Read(client=self.name, at=self._spoke_at, text=text))
                if "requestId" in text or "messageId" in text:
                    socket.transport.abort()  # whatever was refused, it is easier to come again
        except ConnectionClosed as closed:
            how = closed.rcvd.reason if closed.rcvd else "cut"
        finally:
            if not self._ended:
                self._socket = None
                self._book.write(Broke(client=self.name, at=time.time(), code=socket.close_code, how=how))

    async def _join(self) -> None:
        frame = Frame(action="joinRoom", room=self._room)
        await self._say(frame, {"action": "joinRoom", "roomId": self._room})

    async def _say(self, frame: Frame, words: dict[str, str]) -> None:
        self._spoke_at = time.time()
        self._book.write(Said(client=self.name, at=self._spoke_at, frame=frame))
        if self._socket is not None:
            with suppress(ConnectionClosed):
                await self._socket.send(json.dumps(words))
