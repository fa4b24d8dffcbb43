"""
``GET /v1/events``: the public events of an app as they happen, as server-sent events.

Each viewer reads EVENTS with a consumer of its own that NATS forgets with it, so what one reads costs no other.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Annotated, Any, Final, Self

import msgspec
import nats.errors
import structlog
from fastapi import FastAPI, Header, Query
from msgspec import Struct
from nats.js.errors import APIError
from pydantic import BeforeValidator
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from parley.history.parameters import MAX_NAME, in_room, moment
from parley.kit.bus import Bus
from parley.kit.identity import Identity
from parley.kit.reader import Entry, Reader, StreamReplacedError, reading
from parley.kit.rest import Caller, require
from parley.protocol import clock, subjects
from parley.protocol.codes import ErrorCode, Refusal

COMMENT_SECONDS: Final = 15.0
"""A viewer that hears nothing for longer has lost us."""
STALL_SECONDS: Final = 10.0
"""How long a viewer may take to read what it was sent."""
LOOK_SECONDS: Final = 0.5
MAX_BYTES: Final = 4 << 20
"""What may wait for one viewer."""
AT_ONCE: Final = 64
WRITE_BYTES: Final = 64 * 1024
MOST_TYPES: Final = 32
LAST_SEQUENCE: Final = 2**53

_AWAY: Final = Refusal(ErrorCode.DEGRADED, "NATS, which has the events, does not answer; try again.")
_EXPIRED: Final = Refusal(ErrorCode.TOKEN_EXPIRED, "Your token has expired; read on with a fresh one.")
_SLOW: Final = Refusal(ErrorCode.RATE_LIMITED, "You read more slowly than events happen; read on behind the last one.")
_STOPPING: Final = Refusal(ErrorCode.DEGRADED, "This part of Parley is stopping; read on behind the last event.")

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_AGO: Final = re.compile(r"([0-9]{1,6})([smhd])")

_log = structlog.get_logger("parley.history")


def _since(value: Any) -> int:
    """Return the time, in milliseconds, that a query means by a time or by how long ago."""
    if found := _AGO.fullmatch(str(value)):
        return max(0, int(time.time() - int(found[1]) * _SECONDS[found[2]])) * 1000
    try:
        return max(0, clock.milliseconds(str(value).replace(" ", "+")))  # a plus sign that was not encoded
    except (ValueError, OverflowError):
        raise ValueError("must be a time such as 2026-01-31T12:00:00Z, or how long ago, such as 10m") from None


def _type(value: Any) -> str:
    if not subjects.type_token.fullmatch(str(value).removesuffix(".*")):
        raise ValueError("must be a type such as call.ended, or the beginning of some, such as call.*")
    return str(value)


Type = Annotated[str, BeforeValidator(_type)]
Name = Annotated[str | None, Query(min_length=1, max_length=MAX_NAME)]


class Somebody(Struct, frozen=True, rename="camel"):
    """A part of an event that names a connection."""

    connection_id: str | None = None


class Naming(Struct, frozen=True, rename="camel"):
    """What the data of events name."""

    room: str | None = None
    connection_id: str | None = None
    to: str | None = None
    call_id: str | None = None
    participants: tuple[Somebody, ...] = ()
    peers: tuple[Somebody, ...] = ()


class Named(Struct, frozen=True):
    """What an event is looked through for."""

    data: Naming
    subject: str | None = None

    def names(self, connection: str) -> bool:
        """Whether the event has to do with a connection."""
        data = self.data
        if connection in (self.subject, data.connection_id, data.to):
            return True
        return any(one.connection_id == connection for one in (*data.participants, *data.peers))


_named: Final = msgspec.json.Decoder(Named).decode


class Wanted(Struct, frozen=True, kw_only=True):
    """Which events of an app; all that is not None must hold."""

    app: str
    types: Sequence[str] = ()
    """Those of these types; without any, all."""
    room: str | None = None
    connection: str | None = None
    call: str | None = None

    @property
    def subjects(self) -> list[str]:
        """What to read: no two may overlap, NATS would refuse them."""
        stems = {kind.removesuffix("*") for kind in self.types if kind.endswith("*")}
        kinds = {kind for kind in self.types if not any(kind.startswith(stem) and kind != f"{stem}*" for stem in stems)}
        return [subjects.events_like(self.app, kind) for kind in sorted(kinds)] or [subjects.events_of(self.app)]

    def fits(self, event: bytes) -> bool:
        """Whether an event of the app is meant."""
        if self.room is None and self.connection is None and self.call is None:
            return True
        try:
            named = _named(event)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False  # nobody can say what it is about
        return (
            (self.room is None or named.data.room == self.room)
            and (self.connection is None or named.names(self.connection))
            and (self.call is None or named.data.call_id == self.call)
        )


class Start(Struct, frozen=True, kw_only=True):
    """Where to begin to read."""

    sequence: int
    since: datetime | None = None
    """If set, at this time instead."""
    created: str | None = None
    """Which stream the sequence is one of; None if that is not known."""


class Viewers:
    """Who reads just now: so many and no more. The block ends them all."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seats: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._seats)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Tell all that it is over; who has no time for that finds out by the end of the connection."""
        self._most = 0
        for seat in self._seats:
            if not seat.done():
                seat.set_result(None)

    @contextmanager
    def seat(self) -> Iterator[asyncio.Future[None]]:
        """Give a future that is done when the viewer must go; raise Refusal if there is no room for one."""
        if len(self._seats) >= self._most:
            message = f"{len(self._seats)} streams of events are open here, and no more are served; close one, or wait."
            raise Refusal(ErrorCode.RATE_LIMITED, message)
        seat = asyncio.get_running_loop().create_future()
        self._seats.add(seat)
        try:
            yield seat
        finally:
            self._seats.discard(seat)


class EventStream(Response):
    """The answer: it goes on until somebody ends it."""

    media_type = "text/event-stream"

    def __init__(self, bus: Bus, viewers: Viewers, caller: Identity, wanted: Wanted, start: Start) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})
        self._bus = bus
        self._viewers = viewers
        self._caller = caller
        self._wanted = wanted
        self._start = start

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, for as long as there is somebody to hear it."""
        with self._viewers.seat() as over:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            viewer = _Viewer(self._bus, self._wanted, self._caller.expires_at, send)
            gone = asyncio.ensure_future(_gone(receive))
            try:
                last = await viewer.tell(self._start, over, gone)
                # Who reads nothing at all is left to the kernel, that breaks the connection (`http`).
                await send({"type": "http.response.body", "body": last, "more_body": False})
            finally:
                gone.cancel()


class _Viewer:
    """One who reads."""

    def __init__(self, bus: Bus, wanted: Wanted, expires_at: int | None, send: Send) -> None:
        self._bus = bus
        self._wanted = wanted
        self._expires_at = expires_at
        self._send = send
        self._place = 0
        """How far it has come, whether that was for it or not; 0: not known."""
        self._wrote = 0.0
        self._degraded = False

    async def tell(self, start: Start, over: asyncio.Future[None], gone: asyncio.Future[None]) -> bytes:
        """Write what happens until it has to end, and return what there is to say then."""
        try:
            if start.since is None:
                self._place = max(0, start.sequence - 1)
                await self._write(b"id: %d\n\n" % self._place)
            while True:
                try:
                    async with self._reading(start) as reader:
                        return await self._follow(reader, over, gone)
                except StreamReplacedError as replaced:  # what it holds has all happened meanwhile
                    start = Start(sequence=1, created=replaced.created)
                    self._place = 0
        except TimeoutError:
            _log.info("a viewer of events is too slow", app=self._wanted.app)
            return _ending(_SLOW)

    @asynccontextmanager
    async def _reading(self, start: Start) -> AsyncIterator[Reader]:
        async with reading(
            self._bus,
            subjects.EVENTS,
            self._wanted.subjects,
            start.sequence,
            created=start.created,
            since=start.since,
            max_bytes=MAX_BYTES,
        ) as reader:
            yield reader

    async def _follow(self, reader: Reader, over: asyncio.Future[None], gone: asyncio.Future[None]) -> bytes:
        news = asyncio.ensure_future(reader.next(AT_ONCE))
        try:
            while True:
                awaited: set[asyncio.Future[Any]] = {news, over, gone}
                await asyncio.wait(awaited, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    return b""
                if over.done():
                    return _ending(_STOPPING)
                if self._expires_at is not None and self._expires_at <= time.time() * 1000:
                    return _ending(_EXPIRED)
                if news.done():
                    entries = news.result()
                    news = asyncio.ensure_future(reader.next(AT_ONCE))
                    await self._show(entries)
                await self._look()
        finally:
            news.cancel()

    async def _show(self, entries: Sequence[Entry]) -> None:
        if self._bus.connected.is_set():
            await self._recover()
        waiting = bytearray()
        for entry in entries:
            if self._wanted.fits(entry.payload):
                waiting += _message(entry)
                if len(waiting) > WRITE_BYTES:
                    await self._write(bytes(waiting))
                    waiting.clear()
            self._place = entry.sequence
        if waiting:
            await self._write(bytes(waiting))

    async def _look(self) -> None:
        """Say how things are, when that has changed or nothing was said for long."""
        if self._bus.connected.is_set():
            await self._recover()
        elif not self._degraded:
            self._degraded = True
            await self._write(_saying("degraded", _AWAY.code, "NATS is away; what happens meanwhile comes later."))
        if time.monotonic() - self._wrote >= COMMENT_SECONDS:
            await self._write(b": .\nid: %d\n\n" % self._place if self._place else b": .\n\n")

    async def _recover(self) -> None:
        if self._degraded:
            self._degraded = False
            await self._write(_saying("restored", "restored", "NATS is back; nothing was missed."))

    async def _write(self, text: bytes) -> None:
        """Raise TimeoutError if it is not read."""
        async with asyncio.timeout(STALL_SECONDS):
            await self._send({"type": "http.response.body", "body": text, "more_body": True})
        self._wrote = time.monotonic()


def streaming(app: FastAPI, bus: Bus, viewers: Viewers) -> FastAPI:
    """Return *app* with the route."""

    @app.get("/v1/events", response_class=EventStream, status_code=200)
    async def follow_events(
        caller: Caller,
        room: Name = None,
        connection: Name = None,
        call: Name = None,
        types: Annotated[
            list[Type] | None, Query(alias="type", max_length=MOST_TYPES, description="May be given several times.")
        ] = None,
        since: Annotated[
            Annotated[int, BeforeValidator(_since, json_schema_input_type=str)] | None,
            Query(description="From this time on, or from so long ago on (`10m`); else what is new."),
        ] = None,
        after: Annotated[
            int | None,
            Query(ge=0, le=LAST_SEQUENCE, description="Behind the event with this id; `since` is void then."),
        ] = None,
        last_event_id: Annotated[
            int | None,
            Header(ge=0, le=LAST_SEQUENCE, description="The same, as browsers say it; counts before `after`."),
        ] = None,
    ) -> EventStream:
        """Follow public events. Without `room` the app's `admin` is needed, with it `history` there."""
        if room is None:
            require(caller.admin, "`admin`, which following the events of all rooms needs")
        else:
            in_room(caller.may(room, "history"))
        wanted = Wanted(app=caller.app, types=types or (), room=room, connection=connection, call=call)
        if last_event_id is None:
            last_event_id = after
        return EventStream(bus, viewers, caller, wanted, await _start(bus, last_event_id, since))

    return app


async def _start(bus: Bus, after: int | None, since: int | None) -> Start:
    if trouble := bus.check():
        raise Refusal(ErrorCode.DEGRADED, trouble)
    if after is not None:
        return Start(sequence=after + 1)
    if since is not None:
        return Start(sequence=1, since=moment(since))
    try:
        info = await bus.js.stream_info(subjects.EVENTS)
    except (nats.errors.Error, APIError, TimeoutError):
        raise _AWAY from None
    return Start(sequence=info.state.last_seq + 1, created=info.created.isoformat() if info.created else None)


async def _gone(receive: Callable[[], Awaitable[Any]]) -> None:
    """Return when nobody listens any more."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _message(entry: Entry) -> bytes:
    data = entry.payload
    if b"\n" in data or b"\r" in data:  # between values, where any white space will do: text has them escaped
        data = data.replace(b"\r", b" ").replace(b"\n", b" ")
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (entry.sequence, subjects.type_in(entry.subject).encode(), data)


def _saying(event: str, code: str, message: str) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event.encode(), msgspec.json.encode({"code": code, "message": message}))


def _ending(why: Refusal) -> bytes:
    return _saying("end", why.code.value, why.message)
