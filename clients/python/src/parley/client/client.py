"""The client that a program holds: requests that await their answers, and frames to iterate over."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self, cast
from uuid import uuid4

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from parley.client.errors import Disconnected, ParleyError
from parley.client.frames import (
    Availability,
    Done,
    Frame,
    Joined,
    Json,
    Metadata,
    Pong,
    Posted,
    Refreshed,
    Since,
    Welcome,
)
from parley.client.session import Meaning, Session, answered, refusal

UNREAD_LIMIT = 10_000
"""Frames that a program may leave unread before the client gives up on it."""

_SLOW = 4008

OMITTED: Any = object()
"""Stands where None would be a value."""


class Client:
    """
    One connection to Parley.

    Each request returns its answer or raises Refused. ``async for frame in client`` yields everything
    else in the order the server sent it, ends when either side closed in the ordinary way, and raises
    Disconnected otherwise. A program has to read its frames: 10,000 left unread end the connection.
    """

    def __init__(self, session: Session, socket: ClientConnection) -> None:
        self._session = session
        self._socket = socket
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._unread: asyncio.Queue[Frame | None] = asyncio.Queue()
        """None stands for the end."""
        self._end: Disconnected | None = None
        """Set once the socket is gone."""

    @property
    def welcome(self) -> Welcome:
        """What the server said first."""
        welcome = self._session.welcome
        assert welcome, "a client is made once it is welcome"
        return welcome

    @property
    def connection_id(self) -> str:
        """The name of this connection for everybody in the app."""
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
    def closed(self) -> Disconnected | None:
        """How the connection ended; None while it lasts."""
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

    async def presence(self, availability: Availability | None = None, *, metadata: Metadata | None = None) -> Done:
        """Say how available this connection is; *metadata* is merged into what was said before."""
        return cast("Done", await self.request("presence", **_given(availability=availability, metadata=metadata)))

    async def refresh(self, token: str) -> Refreshed:
        """Present a fresh token before the old one expires."""
        return cast("Refreshed", await self.request("token", token=token))

    async def ping(self) -> Pong:
        """Ask whether the path is alive."""
        return cast("Pong", await self.request("ping"))

    async def request(self, action: str, **fields: Json) -> dict[str, Any]:
        """Make any request, also one that this SDK does not know, and return its answer."""
        if self._end:
            raise self._end.again()
        ref, text = self._session.request(action, fields)
        self._waiting[ref] = answer = asyncio.get_running_loop().create_future()
        try:
            await self.write(text)
            return cast("dict[str, Any]", answered(await answer))
        finally:
            del self._waiting[ref]
            self._session.forget(ref)

    async def write(self, frame: str | bytes | Mapping[str, Json]) -> None:
        """Write a frame as it is, and wait for no answer."""
        raw = frame if isinstance(frame, (str, bytes)) else json.dumps(frame, allow_nan=False)
        try:
            await self._socket.send(raw)
        except ConnectionClosed as error:
            raise _disconnected(error) from error

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
        """Say goodbye: the members of our rooms are told at once."""
        await self._socket.close(code, reason)

    def abort(self) -> None:
        """Cut the connection without a goodbye, as a lost network would."""
        self._socket.transport.abort()

    async def run(self) -> None:
        """Read until the socket ends. `connect` keeps this going."""
        try:
            while True:
                self._take(await self._read())
                if self._unread.qsize() > UNREAD_LIMIT:
                    await self._socket.close(_SLOW, "the program does not read its frames")
        except Disconnected as end:
            self._ended(end)
        except ParleyError as error:
            await self._socket.close(1002, "not parley.v1")
            self._ended(Disconnected(1002, str(error)))
        finally:
            if not self._end:
                self._ended(Disconnected(1006, "nobody reads from the socket any more"))

    async def welcomed(self) -> Self:
        """Read the first frame. `connect` does this."""
        meaning, frame = self._session.receive(await self._read())
        if meaning is Meaning.WELCOME:
            return self
        await self._socket.close()
        if frame["type"] == "error":
            raise refusal(frame)
        raise ParleyError(f"the server did not say welcome first, but {frame['type']}")

    async def _read(self) -> str:
        try:
            return await self._socket.recv(decode=True)
        except ConnectionClosed as error:
            raise _disconnected(error) from error

    def _take(self, text: str) -> None:
        match self._session.receive(text):
            case Meaning.ANSWER, frame:
                answer = self._waiting.get(frame["ref"])
                if answer and not answer.done():
                    answer.set_result(frame)
            case Meaning.FRAME, frame:
                self._unread.put_nowait(cast("Frame", frame))
            case _:
                pass

    def _ended(self, end: Disconnected) -> None:
        self._end = end
        self._unread.put_nowait(None)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(end.again())


def _given(**fields: Json) -> dict[str, Json]:
    return {name: value for name, value in fields.items() if value is not None}


def _disconnected(error: ConnectionClosed) -> Disconnected:
    if error.rcvd and (error.rcvd_then_sent or not error.sent):
        return Disconnected(error.rcvd.code, error.rcvd.reason)
    if error.sent:
        return Disconnected(error.sent.code, error.sent.reason)
    return Disconnected(1006, "the connection was lost")
