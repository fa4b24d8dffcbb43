"""The load generator's side of the sockets."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Self

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.wires import MARK, Wire, Wrong

TEXT = WSMsgType.TEXT
AT_ONCE = 64
"""Handshakes on their way at the same time."""

Heard = Callable[[bytes, int], None]
"""Told a message and where in it the stamp begins."""

Answered = Callable[[int], None]
"""Told the number of the request that was answered."""


class Client(WSListener):
    """One connection. A measure sets what it does with messages and answers."""

    def __init__(self, crowd: "Crowd", index: int) -> None:
        self.index = index
        self.id = ""
        self.heard: Heard = _unexpected
        self.answered: Answered = _unasked
        self.welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._crowd = crowd
        self._wire = crowd.wire
        self._transport: WSTransport | None = None
        self._leaving = False

    def say(self, text: bytes) -> None:
        assert self._transport is not None
        self._transport.send(TEXT, text)

    def leave(self) -> None:
        self._leaving = True
        if self._transport is not None:
            self._transport.send_close(WSCloseCode.OK)
            self._transport.disconnect()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002 - picows' signature
        if self._leaving:
            return
        try:
            if frame.msg_type == TEXT:
                text = frame.get_payload_as_bytes()
                at = text.find(MARK)
                if at >= 0:
                    self.heard(text, at)
                else:
                    self._other(text)
            elif frame.msg_type == WSMsgType.CLOSE:
                why = f"{frame.get_close_code()} {frame.get_close_message()!r}"
                self._crowd.fail(Wrong(f"The server closed a socket: {why}."))
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the measure and not only this callback
            self._crowd.fail(error)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows' signature
        if not self._leaving:
            self._crowd.fail(Wrong("A socket broke."))

    def _other(self, text: bytes) -> None:
        if not self.welcomed.done():
            found, answer = self._wire.opening(text)
            if found is not None:
                self.id = found
                self.welcomed.set_result(None)
        else:
            number = self._wire.answered(text)
            if number is not None:
                self.answered(number)
                return
            answer = self._wire.housekeeping(text)
        if answer is not None:
            self.say(answer)


class Crowd:
    """The clients of one system, and the first thing that went wrong with any of them."""

    def __init__(self, address: str, wire: Wire, tokens: Iterator[str]) -> None:
        self.wire = wire
        self.clients: list[Client] = []
        self._url = f"ws://{address}{wire.path}"
        self._tokens = tokens
        self._trouble: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self.clients:
            client.leave()
        if self._trouble.done():
            self._trouble.exception()  # it was raised where somebody waited for it

    def fail(self, error: Exception) -> None:
        """End whatever waits."""
        if not self._trouble.done():
            self._trouble.set_exception(error)

    def look(self) -> None:
        """Raise what has gone wrong."""
        if self._trouble.done():
            self._trouble.result()

    async def until(self, done: "asyncio.Future[Any]", within: float, what: Callable[[], str]) -> None:
        """Wait for *done*; raise what went wrong first, or Wrong with *what* is missing after a while."""
        await asyncio.wait((done, self._trouble), timeout=within, return_when=asyncio.FIRST_COMPLETED)
        self.look()
        if not done.done():
            raise Wrong(f"{what()} after {within:g} seconds.")

    async def during(self, seconds: float) -> None:
        """Let time pass; raise what goes wrong."""
        await asyncio.wait((self._trouble,), timeout=seconds)
        self.look()

    async def connect(self, number: int, within: float = 60) -> Sequence[Client]:
        """Return *number* more clients once all have been welcomed."""
        waiting = list(islice(self._tokens, number))
        fresh: list[Client] = []

        async def knock() -> None:
            while waiting:
                client = Client(self, len(self.clients))
                self.clients.append(client)
                fresh.append(client)
                await ws_connect(
                    _factory(client),
                    self._url,
                    extra_headers=self.wire.headers(waiting.pop()),
                    websocket_handshake_timeout=within,
                    read_buffer_init_size=2048,
                )
                await client.welcomed

        knocking = asyncio.gather(*(knock() for _ in range(AT_ONCE)))
        try:
            await self.until(knocking, within, lambda: f"{sum(not c.welcomed.done() for c in fresh)} were not welcome")
            knocking.result()
        finally:
            knocking.cancel()
        return fresh

    async def join(self, members: dict[Client, str], within: float = 30) -> None:
        """Let each client join its room, so many at a time; return when all have been answered."""
        todo = iter(list(members.items()))
        left = len(members)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def next_one(_ref: int = 0) -> None:
            client, room = next(todo, (None, ""))
            if client is not None:
                client.answered = joined
                client.say(self.wire.join(room, 1))

        def joined(_ref: int) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                done.set_result(None)
            next_one()

        for _ in range(AT_ONCE):
            next_one()
        await self.until(done, within, lambda: f"{left} of {len(members)} have not joined")


def _factory(client: Client) -> Callable[[], Client]:
    return lambda: client


def _unexpected(text: bytes, _at: int) -> None:
    raise Wrong(f"A message came to somebody for whom it was not: {text[:200]!r}.")


def _unasked(ref: int) -> None:
    raise Wrong(f"Request {ref} was answered, and nobody had asked.")
