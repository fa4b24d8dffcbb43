"""Presence beside the other services: what sockets do is found over REST, and what REST does is felt at sockets."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest
from support.eventually import eventually
from support.instance import Instance
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

pytestmark = pytest.mark.timeout(90)


class Client:
    """A socket that speaks parley.v1."""

    def __init__(self, socket: ClientConnection, welcome: dict[str, Any]) -> None:
        self._socket = socket
        self.id: str = welcome["connectionId"]

    async def asks(self, action: str, **fields: Any) -> dict[str, Any]:
        """Send a request, and return its answer."""
        await self.sends({"action": action, "ref": action, **fields})
        return await self.hears("ref", action)

    async def sends(self, frame: dict[str, Any]) -> None:
        """Send a frame."""
        await self._socket.send(_json(frame))

    async def hears(self, field: str, value: str) -> dict[str, Any]:
        """Return the next frame in which *field* is *value*."""
        while True:
            frame: dict[str, Any] = json.loads(await self._socket.recv())
            if frame.get(field) == value:
                return frame

    async def close_code(self) -> int:
        """Wait until the server closes the socket, and return its code."""
        with suppress(ConnectionClosed):
            async for _ in self._socket:
                pass
        assert self._socket.close_code is not None
        return self._socket.close_code


def _json(frame: dict[str, Any]) -> str:
    """Return *frame* as text, however deep it is."""
    depth = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    try:
        return json.dumps(frame)
    finally:
        sys.setrecursionlimit(depth)


class World:
    """An app of the test's own."""

    def __init__(self, url: str, rest: httpx.AsyncClient, stack: AsyncExitStack) -> None:
        self.app = f"test-{uuid4().hex[:8]}"
        self._url = url.replace("http", "ws")
        self._rest = rest
        self._stack = stack

    async def connect(self, **query: str) -> Client:
        """Connect with parameters in the query."""
        url = f"{self._url}/?{urlencode({'app': self.app, **query})}"
        socket = await self._stack.enter_async_context(connect(url, subprotocols=[Subprotocol("parley.v1")]))
        return Client(socket, json.loads(await socket.recv()))

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask the front door about this app."""
        return await self._rest.request(method, path, params={"app": self.app, **options.pop("query", {})}, **options)

    async def finds(self, *expected: Client, **query: str) -> None:
        """Wait until exactly *expected* are found."""

        async def other() -> str | None:
            listed = (await self.ask("GET", "/v1/connections", query=query)).raise_for_status().json()["items"]
            counted = (await self.ask("GET", "/v1/connections/count", query=query)).raise_for_status().json()["count"]
            found = {item["connectionId"] for item in listed}
            return None if found == {client.id for client in expected} and counted == len(found) else f"found {listed}"

        await eventually(other)


@pytest.fixture
async def world(parley: Instance) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        rest = await stack.enter_async_context(httpx.AsyncClient(base_url=parley.url))
        yield World(parley.url, rest, stack)


async def test_whoever_connects_is_found_by_what_its_url_said(world: World) -> None:
    ana = await world.connect(userId="ana", deviceId="phone", conversationId="c1", storeId="s1")
    bob = await world.connect(userId="bob", conversationId="c1")

    await world.finds(ana, bob)
    await world.finds(ana, bob, conversation="c1")
    await world.finds(ana, user="ana", device="phone", **{"metadata.storeId": "s1"})
    await world.finds(availability="busy")


async def test_a_device_that_connects_again_replaces_its_older_connection(world: World) -> None:
    old = await world.connect(userId="ana", deviceId="phone")
    bob = await world.connect(userId="bob")
    await old.asks("join", room="r")
    await bob.asks("join", room="r")

    new = await world.connect(userId="ana", deviceId="phone")

    assert await old.close_code() == 4503
    left = await bob.hears("type", "member.left")
    assert (left["connectionId"], left["reason"]) == (old.id, "replaced")
    await world.finds(new, user="ana")


async def test_members_of_a_room_are_found_for_as_long_as_they_are(world: World) -> None:
    ana = await world.connect()
    bob = await world.connect()
    for client in (ana, bob):
        await client.asks("join", room="küche/1")
    await world.finds(ana, bob, room="küche/1")

    await ana.asks("leave", room="küche/1")

    await world.finds(bob, room="küche/1")


async def test_availability_is_what_clients_say_and_in_call_while_a_call_lasts(world: World) -> None:
    ana = await world.connect()
    bob = await world.connect()
    assert (await ana.asks("presence", availability="busy", metadata={"mood": "good"}))["type"] == "ok"
    await world.finds(ana, availability="busy", **{"metadata.mood": "good"})

    for client in (ana, bob):
        await client.asks("join", room="r")
    await ana.asks("send", room="r", data={"description": {"type": "offer", "sdp": "v=0"}})
    await bob.asks("send", room="r", data={"description": {"type": "answer", "sdp": "v=0"}})
    await world.finds(ana, bob, availability="inCall")

    await bob.asks("leave", room="r")
    await world.finds(ana, availability="busy")
    await world.finds(bob, availability="online")


async def test_a_backend_speaks_to_one_connection(world: World) -> None:
    ana = await world.connect()

    answer = await world.ask("POST", f"/v1/connections/{ana.id}/messages", json={"data": {"hello": [1, None]}})

    assert answer.status_code == 204
    assert (await ana.hears("type", "message"))["data"] == {"hello": [1, None]}


async def test_a_backend_ends_a_connection(world: World) -> None:
    ana = await world.connect()
    bob = await world.connect()
    for client in (ana, bob):
        await client.asks("join", room="r")

    assert (await world.ask("DELETE", f"/v1/connections/{ana.id}")).status_code == 204

    assert await ana.close_code() == 4504
    assert (await bob.hears("type", "member.left"))["reason"] == "removed"
    await world.finds(bob)
    for method, path in (("DELETE", ""), ("POST", "/messages"), ("GET", "")):
        body = {"json": {"data": 1}} if method == "POST" else {}
        again = await world.ask(method, f"/v1/connections/{ana.id}{path}", **body)
        assert (again.status_code, again.json()["code"]) == (404, "not_found")


async def test_ids_of_one_app_mean_nothing_in_another(world: World) -> None:
    ana = await world.connect()
    await world.finds(ana)
    own, world.app = world.app, "another"

    for method, path in (("DELETE", ""), ("POST", "/messages"), ("GET", "")):
        body = {"json": {"data": 1}} if method == "POST" else {}
        answer = await world.ask(method, f"/v1/connections/{ana.id}{path}", **body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    world.app = own
    assert (await ana.asks("ping"))["type"] == "pong"


async def test_what_is_nested_too_deep_for_an_owner_stops_nobody(world: World) -> None:
    """The gateway could read it, and every replica of presence and of rooms in turn would have stumbled over it."""
    ana = await world.connect()
    await ana.asks("join", room="r")

    for levels in (300, 970, 985, 995):
        deep: list[Any] = []
        for _ in range(levels):
            deep = [deep]
        for fields in ({"action": "presence", "metadata": {"a": deep}}, {"action": "send", "room": "r", "data": deep}):
            await ana.sends(fields)
            assert (await ana.hears("type", "error"))["code"] in ("bad_request", "bad_frame")

    assert (await ana.asks("presence", availability="away"))["type"] == "ok"
    await world.finds(ana, availability="away", room="r")
