"""
A client that comes back.

It is the session and the patience of the Python SDK on lean sockets: two thousand of the SDK's own would keep a core
busy with handshakes, and measure themselves.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any
from urllib.parse import urlencode

import msgspec
from picows import WSCloseCode, WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.faults.ledger import Ledger, Path
from benchmarks.wires import MARK, Wire, Wrong
from parley.client.backoff import wait_before
from parley.client.session import Answered, Heard, Session

HANDSHAKE_SECONDS = 10.0
FINAL = (1008, *range(4500, 5000))
"""Close codes after which there is no coming back."""

Fail = Callable[[Exception], None]


class _Unwelcome(Exception):  # noqa: N818 - it is an answer
    """A gateway did not say welcome."""

    def __init__(self, patience: float) -> None:
        super().__init__()
        self.patience = patience
        """Seconds after which to come again."""


class Guest:
    """One connection, whichever sockets it takes. *doors* are tried one after the other."""

    def __init__(self, doors: Sequence[str], wire: Wire, token: str, ledger: Ledger, fail: Fail) -> None:
        self.back_at = 0.0
        """When the server last answered after a loss: the connection is whole again. Monotonic seconds."""
        self.fail = fail
        self._doors = doors
        self._door = 0
        self._wire = wire
        self._headers = wire.headers(token)
        self._ledger = ledger
        self._session = Session()
        self._socket: _Socket | None = None
        self._seeking: asyncio.Task[None] | None = None
        self._hears: dict[int, int] = {}  # by path: which of its listeners we are
        self._said: dict[str, tuple[Path, int]] = {}  # by ref, of what is not answered
        self._asked: dict[str, asyncio.Future[None]] = {}
        self._ping = ""
        self._leaving = False
        self._attempts = 0  # the number of the last one to resume

    @property
    def id(self) -> str:
        assert self._session.welcome
        return self._session.welcome["connectionId"]

    def listen(self, path: Path, listener: int) -> None:
        """Expect what is said there."""
        self._hears[path.index] = listener

    def signal(self, path: Path, to: str) -> None:
        number, mark = self._ledger.say(path)
        self._say(path, number, "signal", to=to, data=mark)

    def chat(self, path: Path, room: str) -> None:
        number, mark = self._ledger.say(path)
        self._say(path, number, "chat", room=room, id=str(number), text=mark)

    async def join(self, room: str) -> None:
        ref = self._session.request("join", {"room": room})
        answer = self._asked[ref] = asyncio.get_running_loop().create_future()
        self._write()
        await answer

    async def come(self) -> None:
        """Arrive for the first time."""
        await self._knock()

    def leave(self) -> None:
        self._leaving = True
        if self._seeking is not None:
            self._seeking.cancel()
        if self._socket is not None:
            self._socket.goodbye()

    # what sockets tell

    def heard(self, socket: "_Socket", text: bytes) -> None:
        if text.startswith(b'{"type":"welcome"'):
            self._take(socket)
        elif socket is not self._socket:
            socket.refused(text)
            return
        for happening in self._session.receive(text.decode()):
            match happening:
                case Answered(ref, answer):
                    self._answered(ref, answer)
                case Heard(frame):
                    self._told(dict(frame), text)
                case _:
                    raise Wrong(f"A request was given up: {happening}.")
        self._write()

    def ended(self, socket: "_Socket", code: int) -> None:
        if self._leaving or socket is not self._socket:
            return
        if code in FINAL and not self._is_seeking:  # who moves is told 4503 by the gateway of before: no news
            raise Wrong(f"The server closed a socket for good: {code}.")
        self._session.lost()
        self._socket = None
        self._seek()

    # coming back

    def _take(self, socket: "_Socket") -> None:
        """Go on with another socket; whoever comes back asks a question, to hear when it is whole again."""
        before, self._socket = self._socket, socket
        self._session.lost()
        if before is not None:
            before.abort()
        if self._session.welcome is not None:
            self._ping = self._ping or self._session.request("ping", {})
        socket.welcomed.set_result(None)

    @property
    def _is_seeking(self) -> bool:
        return self._seeking is not None and not self._seeking.done()

    def _seek(self, *, at_once: bool = False) -> None:
        if not self._is_seeking:
            self._seeking = asyncio.get_running_loop().create_task(self._come_back(at_once=at_once))
            self._seeking.add_done_callback(self._sought)

    async def _come_back(self, *, at_once: bool) -> None:
        """Knock at one door after the other until one opens, as patient as the SDK."""
        patience = 0.0
        for attempt in count():
            if attempt or not at_once:
                await asyncio.sleep(patience + wait_before(attempt))
            self._door += 1
            try:
                await self._knock()
            except (OSError, WSError):
                patience = 0.0
            except _Unwelcome as error:
                patience = error.patience
            else:
                return

    def _sought(self, seeking: "asyncio.Task[None]") -> None:
        if not seeking.cancelled() and (error := seeking.exception()) is not None:
            self.fail(Wrong(f"A client could not come back: {error!r}."))

    async def _knock(self) -> None:
        address = self._doors[self._door % len(self._doors)]
        socket = _Socket(self)
        query = dict(self._session.resume)
        if query:
            self._attempts = max(self._attempts + 1, int(time.time() * 1000))
            query["attempt"] = str(self._attempts)
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await ws_connect(
                    lambda: socket,
                    f"ws://{address}{self._wire.path}?{urlencode(query)}",
                    extra_headers=self._headers,
                    websocket_handshake_timeout=None,
                    read_buffer_init_size=2048,
                )
                patience = await socket.welcomed
        except BaseException:
            socket.abort()
            raise
        if patience is not None:
            raise _Unwelcome(patience)

    # what is said

    def _told(self, frame: dict[str, Any], text: bytes) -> None:
        kind = frame["type"]
        if kind in ("signal", "chat"):
            at = text.find(MARK)
            index = int(text[at + 23 : at + 29])
            if index not in self._hears:
                raise Wrong(f"A message came to somebody for whom it was not: {text[:200]!r}.")
            self._ledger.hear(text, at, self._hears[index])
        elif kind == "goAway":
            asyncio.get_running_loop().call_later(frame["reconnectAfterMs"] / 1000, self._move, self._socket)
        elif kind in ("renewed", "gap", "removed", "error"):
            raise Wrong(f"A client was told {text[:300]!r}, and it was {kind}.")

    def _move(self, socket: "_Socket | None") -> None:
        if socket is not None and socket is self._socket and not self._leaving:
            self._seek(at_once=True)

    def _answered(self, ref: str, answer: dict[str, Any]) -> None:
        if ref in self._said:
            path, number = self._said.pop(ref)
            if answer["type"] == "error" and answer.get("code") != "degraded":
                raise Wrong(f"A message was refused: {answer}.")
            self._ledger.answer(path, number, accepted=answer["type"] != "error")
        elif ref == self._ping:
            self._ping, self.back_at = "", time.monotonic()
        elif ref in self._asked:
            if answer["type"] == "error":
                raise Wrong(f"A room let nobody in: {answer}.")
            self._asked.pop(ref).set_result(None)

    def _say(self, path: Path, number: int, action: str, **fields: str) -> None:
        self._said[self._session.request(action, fields)] = path, number
        self._write()

    def _write(self) -> None:
        if self._socket is None:
            return
        while (text := self._session.next()) is not None:
            self._socket.say(text)


class _Socket(WSListener):
    """One socket of a guest."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self.welcomed: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
        """Done with the seconds after which to come again, where we are not welcome."""
        self._transport: WSTransport | None = None
        self._code = 1006
        self._given_up = False

    def say(self, text: str) -> None:
        assert self._transport is not None
        self._transport.send(WSMsgType.TEXT, text.encode())

    def goodbye(self) -> None:
        if self._transport is not None:
            self._transport.send_close(WSCloseCode.OK)
            self._transport.disconnect()

    def abort(self) -> None:
        """Hang up without a word, also if it is not open yet; nothing more is heard from it."""
        self._given_up = True
        if self._transport is not None:
            self._transport.disconnect()

    def refused(self, text: bytes) -> None:
        """Take in what is said instead of a welcome; what comes after the socket was given up is said again anyway."""
        if not self.welcomed.done():
            wait = msgspec.json.decode(text).get("retryAfterMs") or 0
            self.welcomed.set_result(wait / 1000)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        if self._given_up:
            transport.disconnect()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._given_up:
            return
        try:
            if frame.msg_type == WSMsgType.TEXT:
                self._guest.heard(self, frame.get_payload_as_bytes())
            elif frame.msg_type == WSMsgType.CLOSE:
                self._code = frame.get_close_code().value
                transport.disconnect()
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends the measure and not only this callback
            self._guest.fail(error)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - picows' signature
        if not self.welcomed.done():
            self.welcomed.set_result(0.0)
        try:
            self._guest.ended(self, self._code)
        except Wrong as error:
            self._guest.fail(error)
