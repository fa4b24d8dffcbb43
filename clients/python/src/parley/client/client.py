"""The client that a program holds: requests that await their answers, and frames to iterate over."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, Final, cast
from uuid import uuid4

from parley.client.arrival import Arrival, Door, final
from parley.client.backoff import wait_before
from parley.client.errors import Disconnected, Interrupted, ParleyError, Refused
from parley.client.frames import (
    Availability,
    Done,
    Frame,
    Gap,
    GoAway,
    Joined,
    Json,
    Metadata,
    PeerQuality,
    Pong,
    Posted,
    Refreshed,
    Since,
    Welcome,
)
from parley.client.gaps import History
from parley.client.line import Line
from parley.client.session import Answered, Happening, Heard, Later, Session, Unsure, answered

UNREAD_LIMIT = 10_000
"""Frames that a program may leave unread before the client gives up on it."""

UNANSWERED_LIMIT: Final = 10_000
"""Requests that may wait for an answer; more than that no program means to make."""

ANSWER_SECONDS: Final = 10.0
"""How long a ping may stay unanswered on a path that has gone quiet."""

_SLOW: Final = 4008

_log = logging.getLogger("parley.client")

TraceSource = Callable[[], str | None]
"""Says which trace a request belongs to, as a W3C ``traceparent``; None where there is none."""

OMITTED: Any = object()
"""Stands where None would be a value."""


class Client:
    """
    One connection to Parley, whichever sockets it takes.

    Each request returns its answer or raises Refused; it survives the loss of a socket, and raises Interrupted
    where the server has forgotten the connection and nobody knows whether it was done. ``async for frame in
    client`` yields everything else in the order the server sent it, ends when either side closed in the ordinary
    way, and raises Disconnected when there is no coming back. A program has to read its frames: 10,000 left
    unread end the connection.
    """

    def __init__(
        self,
        session: Session,
        door: Door,
        line: Line,
        history: History,
        *,
        reconnect: bool,
        traceparent: TraceSource | None = None,
    ) -> None:
        self._session = session
        self._traceparent = traceparent
        self._door = door
        self._history = history
        self._reconnect = reconnect
        self._line: Line | None = line
        """None while there is none."""
        self._to_write = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._unread: asyncio.Queue[Frame | None] = asyncio.Queue()
        """None stands for the end."""
        self._returning: asyncio.Task[Arrival] | None = None
        """While another line is sought; the present one may still serve."""
        self._timers: set[asyncio.TimerHandle] = set()
        self._closing = False
        self._end: Disconnected | None = None
        """Set once it is over."""

    @property
    def welcome(self) -> Welcome:
        """What the server said first on the present socket, or on the last."""
        welcome = self._session.welcome
        assert welcome, "a client is made once it is welcome"
        return welcome

    @property
    def connection_id(self) -> str:
        """The name of this connection for everybody in the app; another one after it was renewed."""
        return self.welcome["connectionId"]

    @property
    def app(self) -> str:
        """The app that this connection belongs to."""
        return self.welcome["app"]

    @property
    def resume_token(self) -> str:
        """What proves to any gateway that a new socket continues this connection."""
        return self.welcome["resumeToken"]

    @property
    def resumed(self) -> bool:
        """Whether the last socket continued an earlier one."""
        return self.welcome["resumed"]

    @property
    def heartbeat_seconds(self) -> float:
        """How often the server pings."""
        return self.welcome["heartbeatSeconds"]

    @property
    def n(self) -> int:
        """Place of the last frame received; a resume continues behind it."""
        return self._session.n

    @property
    def rooms(self) -> Mapping[str, Since]:
        """The rooms that this client is in, and how far it has come in their streams."""
        return self._session.rooms

    @property
    def connected(self) -> bool:
        """Whether there is a socket now; requests made without one wait for the next."""
        return self._line is not None

    @property
    def closed(self) -> Disconnected | None:
        """How it ended; None while it lasts."""
        return self._end

    async def join(self, room: str, *, since: Since | None = None, metadata: Metadata | None = None) -> Joined:
        """Become a member of a room. With *since* the answer holds what was missed."""
        return cast("Joined", await self.request("join", **_given(room=room, since=since, metadata=metadata)))

    async def leave(self, room: str) -> Done:
        """Stop being a member of a room."""
        return cast("Done", await self.request("leave", room=room))

    async def send(self, room: str, data: Json) -> Done:
        """Say something to the other members; it is ordered and not stored."""
        return cast("Done", await self.request("send", room=room, data=data))

    async def signal(self, to: str, data: Json) -> Done:
        """Say something to one connection."""
        return cast("Done", await self.request("signal", to=to, data=data))

    async def chat(self, room: str, text: str, *, data: Json = OMITTED, id: str | None = None) -> Posted:  # noqa: A002 - the word of the wire
        """Say something to all members that is stored; it is durable once this returns."""
        fields = {"room": room, "id": id or uuid4().hex, "text": text}
        if data is not OMITTED:
            fields["data"] = data
        return cast("Posted", await self.request("chat", **fields))

    async def report(self, room: str, peers: Sequence[PeerQuality]) -> Done:
        """Tell backends and history how media goes with the peers in a room. Refused as `not_allowed`: stop it."""
        return cast("Done", await self.request("report", room=room, peers=list(peers)))

    async def presence(self, availability: Availability | None = None, *, metadata: Metadata | None = None) -> Done:
        """Say how available this connection is; *metadata* is merged into what was said before."""
        return cast("Done", await self.request("presence", **_given(availability=availability, metadata=metadata)))

    async def refresh(self, token: str) -> Refreshed:
        """Present a fresh token before the old one expires; the next sockets present it, too."""
        answer = await self.request("token", token=token)
        if not callable(self._door.token):
            self._door.token = token
        return cast("Refreshed", answer)

    async def ping(self) -> Pong:
        """Ask whether the path is alive."""
        return cast("Pong", await self.request("ping"))

    async def request(self, action: str, **fields: Json) -> dict[str, Any]:
        """Make any request, also one that this SDK does not know, and return its answer."""
        if self._end:
            raise self._end.again()
        if len(self._waiting) >= UNANSWERED_LIMIT:
            raise ParleyError(f"{UNANSWERED_LIMIT} requests wait for an answer already: wait for some of them first")
        ref = self._session.request(action, fields, self._trace())
        self._waiting[ref] = answer = asyncio.get_running_loop().create_future()
        self._to_write.set()
        try:
            return cast("dict[str, Any]", answered(await answer))
        finally:
            del self._waiting[ref]
            self._session.forget(ref)

    def _trace(self) -> str | None:
        """Return what the program's tracing says; where that fails, the request is made all the same."""
        if self._traceparent is None:
            return None
        try:
            said = self._traceparent()
        except Exception:  # noqa: BLE001 - the program's own, whatever it is
            _log.warning("no trace could be had for a request, which is made all the same", exc_info=True)
            return None
        return said if isinstance(said, str) else None

    async def write(self, frame: str | bytes | Mapping[str, Json]) -> None:
        """Write a frame as it is to the present socket; nobody waits for an answer or repeats it."""
        if self._line is None:
            raise self._end.again() if self._end else Disconnected(1006, "there is no socket at the moment")
        await self._line.send(frame if isinstance(frame, (str, bytes)) else json.dumps(frame, allow_nan=False))

    async def receive(self) -> Frame:
        """Return the next frame; raise Disconnected when there will be none."""
        frame = None if self._end and self._unread.empty() else await self._unread.get()
        if frame is None:
            self._unread.put_nowait(None)  # for whoever asks again
            assert self._end, "the end is known before it is queued"
            raise self._end.again()
        return frame

    async def __aiter__(self) -> AsyncIterator[Frame]:
        while True:
            try:
                frame = await self.receive()
            except Disconnected as end:
                if end.ordinary:
                    return
                raise
            yield frame

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye, for good: the members of our rooms are told at once."""
        self._closing = True
        if self._returning:
            self._returning.cancel()
        if self._line:
            await self._line.close(code, reason)

    def abort(self) -> None:
        """Cut the socket without a goodbye, as a lost network would."""
        if self._line:
            self._line.abort()

    async def run(self) -> None:
        """Read, write and come back until it is over. `connect` keeps this going."""
        writing = asyncio.create_task(self._write())
        try:
            while True:
                end = await self._read()
                self._session.lost()
                self._line = None
                await self._come_back(end)
        except Disconnected as end:
            self._ended(end)
        except ParleyError as error:
            if self._line:
                await self._line.close(1002, "not parley.v1")
            self._ended(Disconnected(1002, str(error)))
        finally:
            writing.cancel()
            if self._returning:
                _drop(self._returning)
            if not self._end:
                self._ended(Disconnected(1006, "nobody reads from the socket any more"))

    # one line

    async def _read(self) -> Disconnected:
        """Read the present line, and return how it ended."""
        line = self._line
        assert line
        try:
            while True:
                await self._take(await self._hear(line))
                if self._unread.qsize() > UNREAD_LIMIT:
                    self._closing = True
                    await line.close(_SLOW, "the program does not read its frames")
        except Disconnected as end:
            return end

    async def _hear(self, line: Line) -> str:
        """Return the next text; where nothing comes for a heartbeat, ask whether anybody is there."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.heartbeat_seconds):
                return await line.receive()
        self._session.request("ping", {})
        self._to_write.set()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await line.receive()
        except TimeoutError:
            line.abort()
            raise Disconnected(1006, "nobody answers") from None

    async def _write(self) -> None:
        """Write what the session wants written, on whichever line there is."""
        while True:
            await self._to_write.wait()
            self._to_write.clear()
            while self._line and (text := self._session.next()) is not None:
                with suppress(Disconnected):  # the reader hears of it, too
                    await self._line.send(text)

    async def _take(self, text: str) -> None:
        for happening in self._session.receive(text):
            await self._do(happening)
        self._to_write.set()

    async def _do(self, happening: Happening) -> None:
        match happening:
            case Answered(ref, answer):
                self._settle(ref, answer)
            case Unsure(ref):
                self._settle(ref, Interrupted())
            case Later(ref, seconds):
                self._after(seconds, self._again, ref)
            case Heard(frame):
                if frame["type"] == "goAway":
                    self._obey(frame)
                if frame["type"] == "gap":
                    await self._fill(frame)
                else:
                    self._unread.put_nowait(frame)

    def _settle(self, ref: str, answer: dict[str, Any] | Exception) -> None:
        waiting = self._waiting.get(ref)
        if waiting is None or waiting.done():
            return
        if isinstance(answer, Exception):
            waiting.set_exception(answer)
        else:
            waiting.set_result(answer)

    def _again(self, ref: str) -> None:
        self._session.again(ref)
        self._to_write.set()

    async def _fill(self, gap: Gap) -> None:
        """Hand over what history knows of a gap, before anything newer."""
        chats = await self._history.between(gap["room"], gap["since"], gap["until"])
        gap["filled"] = chats is not None
        for frame in (gap, *(chats or ())):
            self._unread.put_nowait(frame)

    # from one line to the next

    def _obey(self, frame: GoAway) -> None:
        """Seek another line when we are asked to; the present one serves until then."""
        if self._reconnect:
            self._after(frame["reconnectAfterMs"] / 1000, self._move, self._line)

    def _move(self, line: Line | None) -> None:
        if line is None or line is not self._line or self._returning or self._closing:
            return  # it has ended meanwhile
        self._returning = asyncio.create_task(self._seek(at_once=True))
        self._returning.add_done_callback(lambda seek: None if seek.cancelled() else line.abort())

    async def _come_back(self, end: Disconnected) -> None:
        """Take the next line, which may be sought already; raise Disconnected if there is to be none."""
        if self._returning is None:
            if self._closing or not self._reconnect or not end.reconnect:
                raise end
            self._returning = asyncio.create_task(self._seek())
        await asyncio.wait({self._returning})  # not the task itself: to be cancelled is one thing, to close another
        returning, self._returning = self._returning, None
        if returning.cancelled():
            raise Disconnected(1000, "closed while there was no socket")
        arrival = returning.result()
        self._line = arrival.line
        if self._closing:
            await arrival.line.close(1000)
            raise Disconnected(1000)
        await self._take(arrival.welcome)

    async def _seek(self, *, at_once: bool = False) -> Arrival:
        """Knock until somebody opens; raise Disconnected when there is no use in it."""
        patience = 0.0
        for attempt in count():
            if attempt or not at_once:
                await asyncio.sleep(patience + wait_before(attempt))
            try:
                return await self._door.enter(self._session.resume)
            except (OSError, ParleyError) as error:
                if final(error):
                    code = error.__cause__.code if isinstance(error.__cause__, Disconnected) else 1008
                    raise Disconnected(code, str(error)) from error
                patience = (error.retry_after_ms or 0) / 1000 if isinstance(error, Refused) else 0.0
        raise AssertionError("counting never ends")

    def _after(self, seconds: float, call: Any, *arguments: Any) -> None:
        loop = asyncio.get_running_loop()
        self._timers = {timer for timer in self._timers if timer.when() > loop.time() and not timer.cancelled()}
        self._timers.add(loop.call_later(seconds, call, *arguments))

    def _ended(self, end: Disconnected) -> None:
        self._end = end
        self._line = None
        for timer in self._timers:
            timer.cancel()
        self._unread.put_nowait(None)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(end.again())


def _drop(returning: asyncio.Task[Arrival]) -> None:
    """Seek no longer, and hang up what was found."""
    if not returning.cancel() and not returning.cancelled() and returning.exception() is None:
        returning.result().line.abort()


def _given(**fields: Json) -> dict[str, Json]:
    return {name: value for name, value in fields.items() if value is not None}
