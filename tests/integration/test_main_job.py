"""
The main job, end to end: two clients that know only the workshop's messages (protocols.md section 2) find each other,
negotiate, chat and leave; history has the chat, EVENTS has every step, and one trace tells the story.
"""

import json
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import nats
import pytest
from nats.js.api import DeliverPolicy
from support.eventually import eventually
from support.instance import Instance
from support.otlp import OtlpReceiver
from websockets.asyncio.client import ClientConnection, connect

pytestmark = pytest.mark.timeout(90)

OFFER = {"type": "offer", "offer": {"type": "offer", "sdp": "v=0"}}
ANSWER = {"type": "answer", "answer": {"type": "answer", "sdp": "v=0"}}
CANDIDATE = {"type": "candidate", "candidate": {"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0"}}


class Page:
    """One workshop page: a socket, and the frames that it sends."""

    def __init__(self, socket: ClientConnection, room: str) -> None:
        self.socket = socket
        self.room = room

    async def join(self) -> None:
        await self.socket.send(json.dumps({"action": "joinRoom", "roomId": self.room}))

    async def say(self, message: Any) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        await self.socket.send(json.dumps({"action": "sendMsgToRoom", "message": text, "roomId": self.room}))

    async def hears(self) -> str:
        frame = await self.socket.recv()
        assert isinstance(frame, str)
        return frame


@pytest.fixture
def room() -> str:
    return f"küche/{uuid4().hex[:8]}"


async def talk(parley: Instance, room: str) -> None:
    """Let two pages do everything the workshop's page does, and chat."""
    front_door = parley.url.replace("http", "ws")
    async with AsyncExitStack() as stack:
        ana = Page(await stack.enter_async_context(connect(f"{front_door}/production?userId=ana")), room)
        await ana.join()
        bob = Page(await stack.enter_async_context(connect(f"{front_door}/production/?userId=bob")), room)
        await bob.join()
        assert json.loads(await ana.hears())["type"] == "newParticipant"

        await ana.say(OFFER)
        await ana.say(CANDIDATE)
        assert json.loads(await bob.hears()) == OFFER
        assert json.loads(await bob.hears()) == CANDIDATE
        await bob.say(ANSWER)
        assert json.loads(await ana.hears()) == ANSWER
        await ana.say("hello world!")
        assert await bob.hears() == "hello world!"


async def events_of(parley: Instance, room: str) -> list[dict[str, Any]]:
    """Return what EVENTS holds about a room."""
    client = await nats.connect(parley.status()["nats"])
    try:
        subscription = await client.jetstream().subscribe(
            "parley.events.default.>", ordered_consumer=True, deliver_policy=DeliverPolicy.ALL
        )
        found = []
        while True:
            message = await subscription.next_msg(timeout=30)
            event = json.loads(message.data)
            assert message.subject == f"parley.events.default.{event['type']}"
            if event.get("subject") == room:
                found.append(event)
            if event["type"] == "room.closed" and event["subject"] == room:
                return found
    finally:
        await client.close()


async def test_two_workshop_pages_do_their_job(parley: Instance, room: str) -> None:
    await talk(parley, room)

    events = await events_of(parley, room)
    assert [event["type"] for event in events] == [
        "room.created",
        "room.joined",
        "room.joined",
        "negotiation.offered",
        "negotiation.answered",
        "call.started",
        "message.posted",
        "room.left",
        "call.ended",
        "room.left",
        "room.closed",
    ]
    assert [event["sequence"] for event in events] == [str(number) for number in range(1, 12)]
    assert {event["specversion"] for event in events} == {"1.0"}


async def test_the_chat_comes_back_over_rest(parley: Instance, room: str) -> None:
    await talk(parley, room)

    async with httpx.AsyncClient(base_url=parley.url) as rest:

        async def missing() -> str | None:
            answer = await rest.get(f"/v1/rooms/{quote(room, safe='')}/messages")
            texts = [(item["text"], item["userId"]) for item in answer.json().get("items", ())]
            return None if texts == [("hello world!", "ana")] else f"history says {answer.text}"

        await eventually(missing)


async def test_the_call_is_recorded(parley: Instance, room: str) -> None:
    await talk(parley, room)

    async with httpx.AsyncClient(base_url=parley.url) as rest:

        async def missing() -> str | None:
            answer = await rest.get("/v1/calls", params={"room": room})
            items = answer.json().get("items", ())
            return None if items and items[0]["endedAt"] else f"history says {answer.text}"

        await eventually(missing)
        (call,) = (await rest.get("/v1/calls", params={"room": room})).json()["items"]
        shown = (await rest.get(f"/v1/calls/{call['id']}")).json()
    assert {part["userId"] for part in shown["participants"]} == {"ana", "bob"}
    assert shown["durationMs"] >= 0


async def test_one_trace_tells_the_story(parley: Instance, traces: OtlpReceiver, room: str) -> None:
    """From the gateway's frame through the log, the rules, EVENTS and the other socket to the row in history."""
    await talk(parley, room)
    (posted,) = [event for event in await events_of(parley, room) if event["type"] == "message.posted"]
    trace = posted["traceparent"].split("-")[1]

    def missing() -> str | None:
        seen = {(span.service, span.name.split()[0]) for span in traces.traces.get(trace, [])}
        wanted = {
            ("parley-gateway", "send"),
            ("parley-rooms", "process"),
            ("parley-gateway", "process"),
            ("parley-history", "process"),
            ("parley-history", "INSERT"),
        }
        return f"not yet {wanted - seen}, only {seen}" if wanted - seen else None

    await eventually(missing)
