"""Masters and viewers of Kinesis live on the same rooms, events, calls and presence as all others."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote, urlencode

import asyncpg
import httpx
import pytest
from support.eventually import eventually
from support.instance import Instance
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def status(parley: Instance) -> dict[str, Any]:
    return parley.status()


@pytest.fixture
async def http(status: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=status["frontDoor"], params={"app": "kvs"}) as client:
        yield client


async def channel(http: httpx.AsyncClient, ttl: int = 60) -> str:
    body = {"ChannelName": f"c-{secrets.token_hex(6)}", "SingleMasterConfiguration": {"MessageTtlSeconds": ttl}}
    answer = await http.post("/createSignalingChannel", json=body)
    arn: str = answer.json()["ChannelARN"]
    return arn


Peer = Callable[..., Awaitable[ClientConnection]]


@pytest.fixture
async def peer(http: httpx.AsyncClient) -> AsyncIterator[Peer]:
    """Give a function that lets a master or a viewer come to a channel."""
    async with AsyncExitStack() as sockets:

        async def peer(arn: str, viewer: str = "") -> ClientConnection:
            query = {"X-Amz-ChannelARN": arn} | ({"X-Amz-ClientId": viewer} if viewer else {})
            url = f"{http.base_url}?{urlencode(query)}".replace("http", "ws", 1)
            come: list[ClientConnection] = []

            async def comes() -> str | None:
                try:
                    come.append(await sockets.enter_async_context(connect(url, proxy=None)))
                except InvalidStatus as refused:
                    if refused.response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                        raise
                    return "it is told to come again, as rooms is busy"
                return None

            await eventually(comes)
            return come[0]

        yield peer


async def say(socket: ClientConnection, action: str, **members: str) -> None:
    await socket.send(json.dumps({"action": action, "messagePayload": "e30="} | members))


async def hear(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(30):
        found: dict[str, Any] = json.loads(await socket.recv())
    return found


async def test_a_channel_is_a_room_and_a_negotiation_in_it_a_call(http: httpx.AsyncClient, peer: Peer) -> None:
    arn = await channel(http)
    master, viewer = await peer(arn), await peer(arn, "viewer-1")
    await say(viewer, "SDP_OFFER")
    await hear(master)
    await say(master, "SDP_ANSWER", recipientClientId="viewer-1")
    await hear(viewer)
    shown: dict[str, Any] = {}

    async def call() -> str | None:
        shown.update((await http.get(f"/v1/rooms/{quote(arn, safe='')}")).json())
        return None if shown.get("call") else f"no call: {shown}"

    await eventually(call)
    assert {member["userId"] for member in shown["members"]} == {None, "viewer-1"}
    assert sorted(shown["call"]["participants"]) == sorted(member["connectionId"] for member in shown["members"])

    async def known() -> None:
        items = (await http.get("/v1/connections", params={"app": "kvs", "room": arn})).json()["items"]
        assert {each["dialect"] for each in items} == {"kvs"}

    await eventually(known)

    await viewer.close()
    await master.close()

    async def recorded() -> str | None:
        items = (await http.get("/v1/calls", params={"app": "kvs", "room": arn})).json()["items"]
        return None if items and items[0]["endedAt"] else f"recorded is {items}"

    await eventually(recorded)


async def test_what_waits_longer_than_the_channel_says_is_not_delivered(
    http: httpx.AsyncClient, peer: Peer, status: dict[str, Any]
) -> None:
    arn = await channel(http, ttl=5)
    viewer = await peer(arn, "viewer-1")
    await say(viewer, "SDP_OFFER")

    async def waiting() -> int:
        found: int = await database.fetchval("SELECT count(*) FROM rooms.letters WHERE box = $1", arn)
        return found

    async def kept() -> str | None:
        return None if await waiting() else "nothing waits"

    async def dropped() -> str | None:
        return "it still waits" if await waiting() else None

    database = await asyncpg.connect(status["database"])
    try:
        await eventually(kept)
        await eventually(dropped)
    finally:
        await database.close()
    master = await peer(arn)
    await say(viewer, "ICE_CANDIDATE")

    assert (await hear(master))["messageType"] == "ICE_CANDIDATE"


async def test_junk_in_one_channel_disturbs_no_other(http: httpx.AsyncClient, peer: Peer) -> None:
    one, other = await channel(http), await channel(http)
    master, viewer = await peer(other), await peer(other, "v")
    wild = [await peer(one, f"w{n}") for n in range(10)]
    for n, socket in enumerate(wild):
        for junk in ("{" * 5000, "\0", '{"action":"SDP_OFFER","messagePayload":7}', "[]", "x" * 100_000):
            await socket.send(junk)
        await say(socket, "SDP_OFFER", correlationId=f"c{n}", messagePayload="a b")
        assert (await hear(socket))["statusResponse"]["correlationId"] == f"c{n}"

    await say(viewer, "SDP_OFFER")

    assert (await hear(master))["senderClientId"] == "v"


async def test_an_offer_over_https_waits_for_the_masters_answer(http: httpx.AsyncClient, peer: Peer) -> None:
    arn = await channel(http)
    offer = {"ChannelARN": arn, "SenderClientId": "alexa", "MessagePayload": "b2ZmZXI="}
    asked = asyncio.create_task(http.post("/v1/send-alexa-offer-to-master", json=offer, timeout=60))
    master = await peer(arn)

    assert await hear(master) == {
        "messageType": "SDP_OFFER",
        "senderClientId": "alexa",
        "messagePayload": "b2ZmZXI=",
    }
    await say(master, "SDP_ANSWER", messagePayload="YW5zd2Vy", recipientClientId="alexa")

    assert (await asked).json() == {"Answer": "YW5zd2Vy"}


async def test_an_offer_over_https_that_nobody_answers_is_over_with_its_time(http: httpx.AsyncClient) -> None:
    arn = await channel(http, ttl=5)
    offer = {"ChannelARN": arn, "SenderClientId": "alexa", "MessagePayload": "b2ZmZXI="}

    answer = await http.post("/v1/send-alexa-offer-to-master", json=offer, timeout=60)

    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (404, "ResourceNotFoundException")
