"""
Transcripts: what clients write and what they see, as one can read it.

    name: a signal reaches one connection and nobody else
    steps:
      - ana: {send: {action: signal, ref: a, to: $bob, data: {sdp: x}}}
      - bob: {see: {type: signal, from: $ana, data: {sdp: x}}}
      - ana: {see: {type: ok, ref: a}}
      - cid: {see: nothing}

Clients connect in the order in which they are first named, to an app of the transcript's own. What one can do:

    send      write a frame: JSON, or text as it stands, or (with !!binary) bytes
    text      write these bytes as a text frame, whatever they are
    see       the next frame is this: JSON, or text as it stands; `nothing` for a moment of silence
    sees      the next frames are these, in any order
    connect   come now instead of at the beginning; takes `query`, and `path`
    refused   come now, and be answered this status instead of an upgrade; takes `status`, and what connect takes
    close     end the connection with this code
    vanish    end the connection without a word
    closed    the server has ended the connection with this code, or with `...` any

With the dialect `kvs` the transcript has a channel of its own, called `$channel`; clients are its viewers by their
names, but for `master`. `as` in `clients` names another peer of the channel to be.

With the dialect `peerjs` the clients are peers; `$ana` is the id of the client ana, and `as` is another's id to come
with. A `query` with `null` leaves a parameter out. With `y-webrtc`, `$topic` and `$other` are topics of the
transcript's own. With the dialect of another profile whose app is built in, clients come to its path, and `$room` and
`$other` are rooms of the transcript's own, also as a segment of a `path`. `differs` says in a sentence where that
system's own server does otherwise than is written.

`$word` stands for whatever is found there first, and for the same again later; a client's own name for its connection
id. `...` is anything. Of a number of bytes `x * 10` makes the text ten times as long. A frame that is seen has the
members written here and no others, but for `n`.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import yaml
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

PATIENCE_SECONDS = 60.0
SILENCE_SECONDS = 0.3
"""Long enough for a frame that should not come to come."""

PROFILES = frozenset({"workshop", "yown", "yjs-apigw", "broadcast", "broadcast-text", "apprtc"})
"""Profiles whose apps are built in, and whose clients speak of rooms."""

_REPEATED = re.compile(r"(.+) \* (\d+)", re.DOTALL)


class Difference(AssertionError):  # noqa: N818 - it says what was found
    """What was seen is not what is written."""


class Transcript:
    """One conversation, read from YAML."""

    def __init__(self, written: Mapping[str, Any]) -> None:
        unknown = set(written) - {"name", "dialect", "steps", "clients", "differs"}
        if unknown:
            raise ValueError(f"a transcript has no {', '.join(sorted(unknown))}")
        self.name: str = written["name"]
        self.dialect: str = written.get("dialect", "parley.v1")
        self.differs: str | None = written.get("differs")
        """How a reference server differs, if on purpose."""
        self.clients: Mapping[str, Mapping[str, Any]] = written.get("clients", {})
        """How those connect that say more than their app."""
        self.steps: list[tuple[str, str, Any]] = [
            (client, verb, content)
            for step in written["steps"]
            for client, doing in step.items()
            for verb, content in doing.items()
        ]

    async def play(self, url: str) -> None:
        """Play it against the Parley at *url*; raise Difference where that says something else."""
        stage = Stage(self, url)
        late = {client for client, verb, _ in self.steps if verb in {"connect", "refused"}}
        try:
            if self.dialect == "kvs":
                await stage.make_channel()
            for client in dict.fromkeys(client for client, _, _ in self.steps):
                if client not in late:
                    await stage.connect(client, {})
            for number, (client, verb, content) in enumerate(self.steps, 1):
                try:
                    await getattr(stage, verb)(client, content)
                except Difference as difference:
                    raise Difference(f"step {number}, {client} {verb}: {difference}") from None
        finally:
            await stage.leave()


def transcripts(text: str) -> list[Transcript]:
    """Return the transcripts in a file."""
    return [Transcript(written) for written in yaml.safe_load_all(text)]


class Stage:
    """The clients of one transcript, and what they have learned."""

    def __init__(self, transcript: Transcript, url: str) -> None:
        self._transcript = transcript
        self._url = url.replace("http", "ws", 1)
        self._app = f"conformance-{uuid4().hex}"
        self._sockets: dict[str, ClientConnection] = {}
        self._known: dict[str, Any] = {}
        if transcript.dialect in {"peerjs", "y-webrtc"}:
            own = {client for client, _, _ in transcript.steps} | {"topic", "other"}
            self._known = {f"${name}": f"{name} of {self._app}" for name in own}

        if transcript.dialect in PROFILES:
            self._known = {f"${name}": f"{name}-{uuid4().hex}" for name in ("room", "other")}

    async def connect(self, client: str, how: Mapping[str, Any] | None) -> None:
        self._sockets[client] = socket = await self._open(client, how or {})
        if self._transcript.dialect == "parley.v1":
            async with asyncio.timeout(PATIENCE_SECONDS):
                welcome = json.loads(await socket.recv())
            if welcome.get("type") != "welcome":
                raise Difference(f"the first frame is {welcome}")
            self._known |= {f"${client}": welcome["connectionId"], f"${client}.resume": welcome["resumeToken"]}

    async def refused(self, client: str, how: Mapping[str, Any]) -> None:
        try:
            socket = await self._open(client, how)
        except InvalidStatus as refusal:
            if refusal.response.status_code != how["status"]:
                raise Difference(f"answered {refusal.response.status_code}, not {how['status']}") from None
        else:
            await socket.close()
            raise Difference("let in")

    async def _open(self, client: str, how: Mapping[str, Any]) -> ClientConnection:
        how = {**self._transcript.clients.get(client, {}), **how}
        usual = {"app": self._app}
        path = "/"
        if self._transcript.dialect == "kvs":
            peer = how.get("as", client)
            viewer = {} if peer == "master" else {"X-Amz-ClientId": peer}
            usual = {"X-Amz-ChannelARN": self._known["$channel"], **viewer}
        elif self._transcript.dialect == "peerjs":
            path, peer = "/peerjs", self._known[f"${how.get('as', client)}"]
            usual = {"key": "peerjs", "id": peer, "token": f"{client}'s"}
        elif self._transcript.dialect == "y-webrtc":
            path, usual = "/y-webrtc", {}
        elif self._transcript.dialect in PROFILES:
            path, usual = f"/{self._transcript.dialect}", {}
        said = {**usual, **self._filled(how.get("query", {}))}
        query = urlencode({name: value for name, value in said.items() if value is not None})
        return await connect(
            f"{self._url}{'/'.join(self._filled(how.get('path', path).split('/')))}?{query}",
            subprotocols=[Subprotocol("parley.v1")] if self._transcript.dialect == "parley.v1" else None,
            compression=None,
            max_size=None,
            proxy=None,
        )

    async def make_channel(self) -> None:
        """Make the channel of this transcript."""
        async with httpx.AsyncClient() as http:
            url = self._url.replace("ws", "http", 1)
            answer = await http.post(f"{url}/createSignalingChannel", json={"ChannelName": self._app})
        self._known["$channel"] = answer.json()["ChannelARN"]

    async def send(self, client: str, frame: Any) -> None:
        filled = self._filled(frame)
        await self._sockets[client].send(filled if isinstance(filled, (str, bytes)) else json.dumps(filled))

    async def text(self, client: str, raw: bytes) -> None:
        await self._sockets[client].send(raw, text=True)

    async def see(self, client: str, expected: Any) -> None:
        if expected == "nothing":
            await self._silence(client)
        else:
            self._compare(expected, await self._next(client))

    async def sees(self, client: str, expected: list[Any]) -> None:
        left = list(expected)
        while left:
            seen = await self._next(client)
            for each in left:
                try:
                    self._compare(each, seen)
                except Difference:
                    continue
                left.remove(each)
                break
            else:
                raise Difference(f"saw {seen}, and waits for {left}")

    async def close(self, client: str, code: int) -> None:
        await self._sockets[client].close(code)

    async def vanish(self, client: str, _: Any) -> None:
        self._sockets[client].transport.abort()

    async def closed(self, client: str, code: int | str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                frame = await self._sockets[client].recv()
        except ConnectionClosed as end:
            found = end.rcvd.code if end.rcvd else None
            if code not in (found, "..."):
                raise Difference(f"closed with {found}, not {code}") from None
        except TimeoutError:
            raise Difference("the connection is still open") from None
        else:
            raise Difference(f"saw {frame!r} instead of the end")

    async def leave(self) -> None:
        """Close what is open."""
        await asyncio.gather(*(socket.close() for socket in self._sockets.values()))

    async def _next(self, client: str) -> str:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                frame = await self._sockets[client].recv()
        except TimeoutError:
            raise Difference("nothing came") from None
        except ConnectionClosed as end:
            raise Difference(f"the connection ended: {end}") from None
        if not isinstance(frame, str):
            raise Difference(f"a binary frame: {frame!r}")
        return frame

    async def _silence(self, client: str) -> None:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                frame = await self._sockets[client].recv()
        except TimeoutError:
            return
        except ConnectionClosed as end:
            raise Difference(f"the connection ended: {end}") from None
        raise Difference(f"saw {frame!r}")

    def _compare(self, expected: Any, seen: str) -> None:
        if isinstance(expected, str):
            found: Any = seen
        else:
            try:
                found = json.loads(seen)
            except ValueError:
                raise Difference(f"saw {seen!r}, which is no JSON") from None
            if isinstance(found, dict) and "n" not in expected:
                found.pop("n", None)
        learned = dict(self._known)
        if not _fits(expected, found, learned):
            raise Difference(f"saw {seen}, not {self._filled(expected)}")
        self._known = learned

    def _filled(self, value: Any) -> Any:
        """Return *value* with what is known put in for its placeholders."""
        match value:
            case dict():
                return {key: self._filled(item) for key, item in value.items()}
            case list():
                return [self._filled(item) for item in value]
            case str() if repeated := _REPEATED.fullmatch(value):
                return repeated[1] * int(repeated[2])
            case str():
                return self._known.get(value, value)
            case _:
                return value


def _fits(expected: Any, found: Any, known: dict[str, Any]) -> bool:
    match expected:
        case "...":
            return True
        case str() if expected.startswith("$"):
            return bool(known.setdefault(expected, found) == found)
        case dict():
            return (
                isinstance(found, dict)
                and expected.keys() == found.keys()
                and all(_fits(item, found[key], known) for key, item in expected.items())
            )
        case list():
            return (
                isinstance(found, list)
                and len(expected) == len(found)
                and all(_fits(one, other, known) for one, other in zip(expected, found, strict=True))
            )
        case _:
            return type(expected) is type(found) and bool(expected == found)
