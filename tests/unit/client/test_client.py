"""The client against a server that says what the test wrote down."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from parley.client import Disconnected, Refused, connect
from parley.client import client as module
from parley.client.frames import PeerQuality

Answer = Callable[[ServerConnection, dict[str, Any]], Awaitable[None]]

PEER: PeerQuality = {
    "connectionId": "c2",
    "state": "connected",
    "bytesSent": 1,
    "bytesReceived": 2,
    "packetsReceived": 3,
    "packetsLost": 0,
}


class Scripted:
    """A server of one answer function; it remembers who came."""

    def __init__(self, answer: Answer) -> None:
        self.url = ""
        self.path = ""
        self.authorization: str | None = None
        self._answer = answer

    async def handle(self, socket: ServerConnection) -> None:
        assert socket.request
        self.path = socket.request.path
        self.authorization = socket.request.headers.get("Authorization")
        welcome = {"connectionId": "c1", "app": "default", "resumeToken": "t", "resumed": False}
        await tell(socket, type="welcome", heartbeatSeconds=25, time="2026-01-01T00:00:00.000Z", **welcome)
        async for text in socket:
            await self._answer(socket, json.loads(text))


async def tell(socket: ServerConnection, **frame: Any) -> None:
    await socket.send(json.dumps(frame))


@asynccontextmanager
async def scripted(answer: Answer) -> AsyncIterator[Scripted]:
    script = Scripted(answer)
    async with serve(script.handle, "127.0.0.1", 0, subprotocols=[Subprotocol("parley.v1")]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        script.url = f"ws://127.0.0.1:{port}"
        yield script


async def echo(socket: ServerConnection, frame: dict[str, Any]) -> None:
    await tell(socket, type="ok", ref=frame["ref"], asked=frame)


async def test_the_welcome_becomes_attributes() -> None:
    async with scripted(echo) as server, connect(server.url) as client:
        assert (client.connection_id, client.app, client.resume_token) == ("c1", "default", "t")
        assert (client.resumed, client.heartbeat_seconds, client.n) == (False, 25, 0)


async def test_app_and_metadata_travel_in_the_query_and_the_token_does_not() -> None:
    user = {"userId": "ana & co"}
    async with scripted(echo) as server, connect(server.url + "/x?k=1", app="a", token="jwt", metadata=user):
        assert urlsplit(server.path).path == "/x"
        assert parse_qs(urlsplit(server.path).query) == {"k": ["1"], "app": ["a"], "userId": ["ana & co"]}
        assert server.authorization == "Bearer jwt"


async def test_requests_say_what_the_protocol_wants() -> None:
    async with scripted(echo) as server, connect(server.url) as client:
        asked = [
            (await client.request("x"))["asked"],
            dict(await client.join("r", since={"epoch": "e", "position": 3}, metadata={"a": 1}))["asked"],
            dict(await client.leave("r"))["asked"],
            dict(await client.send("r", None))["asked"],
            dict(await client.signal("c2", [1]))["asked"],
            dict(await client.chat("r", "hi", id="m1"))["asked"],
            dict(await client.chat("r", "hi", id="m2", data=None))["asked"],
            dict(await client.report("r", [PEER]))["asked"],
            dict(await client.presence("busy"))["asked"],
            dict(await client.refresh("jwt"))["asked"],
            dict(await client.ping())["asked"],
        ]

    for frame in asked:
        del frame["ref"]
    assert asked == [
        {"action": "x"},
        {"action": "join", "room": "r", "since": {"epoch": "e", "position": 3}, "metadata": {"a": 1}},
        {"action": "leave", "room": "r"},
        {"action": "send", "room": "r", "data": None},
        {"action": "signal", "to": "c2", "data": [1]},
        {"action": "chat", "room": "r", "id": "m1", "text": "hi"},
        {"action": "chat", "room": "r", "id": "m2", "text": "hi", "data": None},
        {"action": "report", "room": "r", "peers": [PEER]},
        {"action": "presence", "availability": "busy"},
        {"action": "token", "token": "jwt"},
        {"action": "ping"},
    ]


async def test_an_error_is_raised_to_the_one_who_asked() -> None:
    async def refuse(socket: ServerConnection, frame: dict[str, Any]) -> None:
        await tell(socket, type="error", ref=frame["ref"], code="rate_limited", message="Slowly.", retryAfterMs=1000)

    async with scripted(refuse) as server, connect(server.url) as client:
        with pytest.raises(Refused) as refused:
            await client.join("r")

    assert (refused.value.code, refused.value.message, refused.value.retry_after_ms) == (
        "rate_limited",
        "Slowly.",
        1000,
    )


async def test_answers_may_come_in_any_order() -> None:
    held: list[dict[str, Any]] = []

    async def backwards(socket: ServerConnection, frame: dict[str, Any]) -> None:
        held.append(frame)
        if len(held) == 2:
            for earlier in reversed(held):
                await tell(socket, type="ok", ref=earlier["ref"], room=earlier["room"])

    async with scripted(backwards) as server, connect(server.url) as client:
        answers = await asyncio.gather(client.leave("a"), client.leave("b"))

    assert [dict(answer)["room"] for answer in answers] == ["a", "b"]


async def test_frames_are_iterated_until_the_server_is_done() -> None:
    async def talk(socket: ServerConnection, frame: dict[str, Any]) -> None:
        for n in (1, 2, 2):
            await tell(socket, type="message", room="r", data=n, n=n, **{"from": "c2"})
        await tell(socket, type="ok", ref=frame["ref"], n=3)
        await socket.close(1000)

    async with scripted(talk) as server, connect(server.url) as client:
        await client.send("r", 1)

        assert [frame["n"] async for frame in client if frame["type"] == "message"] == [1, 2]
        assert client.n == 3


async def test_another_end_is_raised_to_everybody_who_waits() -> None:
    async def hang_up(socket: ServerConnection, frame: dict[str, Any]) -> None:
        await socket.close(4503, "replaced")

    async with scripted(hang_up) as server, connect(server.url) as client:
        asked, read = await asyncio.gather(client.ping(), client.receive(), return_exceptions=True)
        with pytest.raises(Disconnected):
            await client.ping()

    for end in (asked, read, client.closed):
        assert isinstance(end, Disconnected)
        assert (end.code, end.reason, end.reconnect) == (4503, "replaced", False)


async def test_a_lost_network_is_worth_coming_back() -> None:
    async with scripted(echo) as server, connect(server.url, reconnect=False) as client:
        client.abort()
        with pytest.raises(Disconnected) as end:
            await client.receive()

    assert (end.value.code, end.value.reconnect) == (1006, True)


async def test_a_program_that_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNREAD_LIMIT", 10)

    async def flood(socket: ServerConnection, frame: dict[str, Any]) -> None:
        for n in range(1, 20):
            await tell(socket, type="message", room="r", data=n, n=n)

    async with scripted(flood) as server, connect(server.url) as client:
        with pytest.raises(Disconnected) as end:
            await client.ping()

    assert (end.value.code, end.value.reconnect) == (4008, True)


async def test_a_refused_connection_says_why() -> None:
    async def refuse(socket: ServerConnection) -> None:
        await tell(socket, type="error", code="unauthorized", message="The token is for another app.")
        await socket.close(4500)

    async with serve(refuse, "127.0.0.1", 0, subprotocols=[Subprotocol("parley.v1")]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(Refused) as refused:
            async with connect(f"ws://127.0.0.1:{port}"):
                pass

    assert refused.value.code == "unauthorized"


async def test_a_cancelled_request_is_forgotten() -> None:
    async def silent(socket: ServerConnection, frame: dict[str, Any]) -> None:
        pass

    async with scripted(silent) as server, connect(server.url) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.ping()

        assert client._session.unanswered == {}
