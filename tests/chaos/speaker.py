"""
A client of parley.v1 that does what protocols.md section 0 tells clients to do, and writes down all of it.

It remembers the last ``n`` and resumes with it; after a resume it first repeats, in order, what was not answered; when
its connection is gone it begins anew and joins again from its last positions; it goes elsewhere when told to, and when
its path is dead. It is small and shares nothing with the SDKs: what it finds is not hidden by a mistake they have, too.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from chaos.history import Book, Broke, Came, Frame, Heard, Said, Went
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

APP: Final = "chaos"
WELCOME_SECONDS: Final = 6.0
PING_SECONDS: Final = 1.5
DEAD_SECONDS: Final = 5.0
"""Without a word for this long, though pinged, a path is dead."""
LONGEST_PAUSE: Final = 1.5
MOST_UNANSWERED: Final = 50
NO_RETURN: Final = 4500
CALM_SECONDS: Final = 1.0

_decode: Final = msgspec.json.Decoder(Frame).decode
_builtins: Final = msgspec.to_builtins


class Speaker:
    """One client, over any number of connections."""

    def __init__(self, name: str, doors: Sequence[str], rooms: Sequence[str], rng: Random, book: Book) -> None:
        self.name = name
        self._doors = doors
        self._rooms = rooms
        self._rng = rng
        self._book = book
        self._socket: ClientConnection | None = None
        self._live = False  # welcomed, and all that was unanswered is repeated
        self._token = ""
        self._id = ""
        self._n = 0
        self._refs = 0
        self._attempts = 0
        self._k = 0
        self._unanswered: dict[str, Frame] = {}
        self._here: dict[str, tuple[str, int]] = {}  # rooms, with epoch and position
        self._wanted: dict[str, None] = dict.fromkeys(rng.sample(rooms, 2))  # rooms to be in
        self._peers: dict[str, None] = {}
        self._heard_at = 0.0
        self._spoke_at = 0.0
        self._quiet = False
        self._ended = False

    # what the crowd asks of it

    def be_quiet(self) -> None:
        """Say nothing new."""
        self._quiet = True

    def talk(self) -> None:
        """Say new things again."""
        self._quiet = False

    @property
    def restless(self) -> str | None:
        """Why it is not at rest yet."""
        if not self._live:
            return f"{self.name} is not connected"
        if self._unanswered:
            return f"{self.name} waits for {len(self._unanswered)} answers: {next(iter(self._unanswered.values()))}"
        if self._here.keys() != self._wanted.keys():
            return f"{self.name} is in {set(self._here)} and wants {set(self._wanted)}"
        if time.time() - self._spoke_at < CALM_SECONDS:
            return f"{self.name} has just heard something"
        return None

    async def leave(self) -> None:
        """Say goodbye."""
        self._ended = True
        await self._goodbye()

    async def run(self) -> None:
        """Stay connected until told to leave."""
        pause = 0.0
        while not self._ended:
            if await self._session():
                pause = 0.05
            elif not self._ended:
                pause = min(LONGEST_PAUSE, max(0.1, pause * 2))
            await asyncio.sleep(self._rng.random() * pause)

    async def act(self) -> None:
        """Say one more thing, or do something foolish."""
        if not self._live or self._quiet or len(self._unanswered) >= MOST_UNANSWERED:
            return
        dice = self._rng.random()
        if dice < 0.002:
            self._cut()
        elif dice < 0.0026:
            await self._anew(vanish=dice < 0.0023)
        elif dice < 0.45:
            await self._send(ref=dice < 0.40)
        elif dice < 0.75:
            await self._signal()
        elif dice < 0.88:
            await self._chat()
        elif dice < 0.92:
            await self._join(self._rng.choice(self._rooms))
        elif dice < 0.94:
            await self._leave()
        else:
            await self._present()

    # one connection's session

    async def _session(self) -> bool:
        """Connect, listen to the end, and return whether we were welcomed."""
        query: dict[str, Any] = {"app": APP, "userId": self.name}
        if self._token:
            self._attempts += 1
            query |= {"resume": self._token, "n": self._n, "attempt": self._attempts}
        url = f"{self._rng.choice(self._doors)}/?{urlencode(query)}"
        try:
            async with asyncio.timeout(WELCOME_SECONDS):
                socket = await connect(
                    url,
                    subprotocols=[Subprotocol("parley.v1")],
                    proxy=None,
                    compression=None,
                    max_size=None,
                    open_timeout=None,
                    ping_interval=None,
                    close_timeout=1,
                )
                try:
                    welcome = json.loads(await socket.recv())
                except BaseException:
                    socket.transport.abort()
                    raise
        except (OSError, TimeoutError, WebSocketException):
            return False
        if welcome["type"] != "welcome":
            socket.transport.abort()
            return False
        await self._welcomed(socket, welcome)
        return True

    async def _welcomed(self, socket: ClientConnection, welcome: dict[str, Any]) -> None:
        resumed = bool(welcome["resumed"])
        self._write(Came(client=self.name, at=time.time(), connection=welcome["connectionId"], resumed=resumed))
        self._socket, self._token, self._id = socket, welcome["resumeToken"], welcome["connectionId"]
        self._heard_at = time.time()
        listening = asyncio.create_task(self._listen(socket))
        pinging = asyncio.create_task(self._ping(socket))
        try:
            if resumed:
                for frame in list(self._unanswered.values()):
                    await self._write_frame(frame)
            else:
                await self._begin()
            self._live = True
            await listening
        finally:
            self._live = False
            for task in (listening, pinging):
                task.cancel()

    async def _begin(self) -> None:
        """Begin with nothing but the rooms we were in."""
        self._n = 0
        self._unanswered.clear()
        self._peers.clear()
        last, self._here = self._here, {}
        for room in self._wanted:
            await self._join(room, last.get(room))

    async def _listen(self, socket: ClientConnection) -> None:
        how = "closed"
        try:
            while True:
                text = await socket.recv()
                frame = _decode(text)
                self._heard_at = time.time()
                self._write(Heard(client=self.name, at=self._heard_at, frame=frame))
                self._hear(frame)
        except ConnectionClosed as closed:
            how = closed.rcvd.reason if closed.rcvd else "cut"
        finally:
            if not self._ended and self._socket is socket:
                self._broke(socket.close_code, how)

    def _broke(self, code: int | None, how: str) -> None:
        self._live = False
        self._socket = None
        self._write(Broke(client=self.name, at=time.time(), code=code, how=how))
        if code is not None and code >= NO_RETURN:
            self._write(Went(client=self.name, at=time.time(), how="evicted"))
            self._token = ""

    async def _ping(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(PING_SECONDS)
                if time.time() - self._heard_at > DEAD_SECONDS:
                    socket.transport.abort()
                    return
                await socket.send('{"action":"ping"}')

    def _cut(self) -> None:
        if self._socket is not None:
            self._live = False
            self._socket.transport.abort()

    async def _anew(self, *, vanish: bool) -> None:
        """End this connection for good, with or without a word, and begin another."""
        socket, self._socket = self._socket, None
        if socket is None:
            return
        self._live = False
        self._token = ""
        self._write(Went(client=self.name, at=time.time(), how="vanished" if vanish else "left"))
        self._here.clear()
        if vanish:
            socket.transport.abort()
        else:
            await socket.close()

    async def _goodbye(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            self._write(Went(client=self.name, at=time.time(), how="left"))
            await socket.close()

    # what it hears

    def _hear(self, frame: Frame) -> None:  # noqa: C901, PLR0912 - one case for each type
        if frame.type == "pong":
            self._n = max(self._n, frame.n)
            return
        self._spoke_at = time.time()
        if frame.n:
            if frame.n <= self._n:
                return
            self._n = frame.n
        match frame.type:
            case "ok" | "error" if frame.ref is not None:
                asked = self._unanswered.pop(frame.ref, None)
                if asked is not None:
                    self._answered(asked, frame)
            case "member.joined" if frame.member is not None:
                self._stand(frame)
                if "life" not in frame.member.metadata:
                    self._peers[frame.member.connection_id] = None
            case "member.left":
                self._stand(frame)
                if frame.connection_id == self._id:
                    self._here.pop(frame.room, None)
                    if self._wanted.pop(frame.room, "") is None:
                        task = asyncio.ensure_future(self._join(frame.room))
                        task.add_done_callback(lambda done: done.cancelled() or done.exception())
            case "chat":
                self._stand(frame)
            case "goAway":
                asyncio.get_running_loop().call_later(0.2 + self._rng.random() * 0.3, self._cut)
            case _:
                pass

    def _answered(self, asked: Frame, answer: Frame) -> None:
        if asked.action == "join" and answer.type == "ok":
            self._here[asked.room] = (answer.epoch, answer.position)
            for member in answer.members:
                if "life" not in member.metadata:
                    self._peers[member.connection_id] = None
        elif asked.action == "join":
            if asked.room not in self._here and not self._joins(asked.room):
                self._wanted.pop(asked.room, None)
        elif asked.action == "leave" and answer.type == "ok":
            self._here.pop(asked.room, None)
            if not self._joins(asked.room):  # to join again was refused before it was this one's turn
                self._wanted.pop(asked.room, None)
        elif asked.action == "leave":
            self._wanted[asked.room] = None
        elif asked.action == "signal" and answer.type == "error":
            self._peers.pop(asked.to, None)

    def _joins(self, room: str) -> bool:
        return any(asked.action == "join" and asked.room == room for asked in self._unanswered.values())

    def _stand(self, frame: Frame) -> None:
        if frame.room in self._here:
            self._here[frame.room] = (self._here[frame.room][0], frame.position)

    # what it says

    async def _send(self, *, ref: bool) -> None:
        if (room := self._some_room()) is not None:
            await self._say(ref=ref, action="send", room=room, data=self._data())

    async def _chat(self) -> None:
        if (room := self._some_room()) is not None:
            data = self._data()
            text = json.dumps(data, separators=(",", ":"))
            await self._say(action="chat", room=room, id=f"m{data['k']}", text=text, data=data)

    async def _signal(self) -> None:
        peers = [peer for peer in self._peers if peer != self._id]
        if peers:
            await self._say(action="signal", to=self._rng.choice(peers), data=self._data())

    async def _join(self, room: str, since: tuple[str, int] | None = None) -> None:
        self._wanted[room] = None
        more: dict[str, Any] = {} if since is None else {"since": {"epoch": since[0], "position": since[1]}}
        await self._say(action="join", room=room, **more)

    async def _leave(self) -> None:
        room = self._some_room()
        if room is not None and len(self._wanted) > 1:
            del self._wanted[room]
            await self._say(action="leave", room=room)

    async def _present(self) -> None:
        availability = self._rng.choice(("available", "busy", "away"))
        self._k += 1
        await self._say(action="presence", availability=availability, metadata={"k": self._k})

    def _some_room(self) -> str | None:
        rooms = [room for room in self._wanted if room in self._here]
        return self._rng.choice(rooms) if rooms else None

    def _data(self) -> dict[str, Any]:
        self._k += 1
        return {"by": self.name, "k": self._k}

    async def _say(self, *, ref: bool = True, **fields: Any) -> None:
        self._spoke_at = time.time()
        if ref:
            self._refs += 1
            fields["ref"] = f"{self.name}.{self._refs}"
        frame = msgspec.convert(fields, Frame)
        if frame.ref is not None:
            self._unanswered[frame.ref] = frame
        await self._write_frame(frame)

    async def _write_frame(self, frame: Frame) -> None:
        self._write(Said(client=self.name, at=time.time(), frame=frame))
        if self._socket is not None:
            with suppress(ConnectionClosed):
                await self._socket.send(json.dumps(_builtins(frame)))

    def _write(self, record: Came | Said | Heard | Broke | Went) -> None:
        self._book.write(record)
