"""Clients of other systems are clients like any: what they do are events, calls, presence and history."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from support.eventually import eventually
from support.guests import Guest, Guests, guests
from support.instance import Instance

from parley.client.events import events

pytestmark = pytest.mark.timeout(90)

OFFER, ANSWER = ({"type": kind, "sdp": "v=0"} for kind in ("offer", "answer"))


@pytest.fixture
async def world(parley: Instance) -> AsyncIterator[Guests]:
    async with guests(parley.url) as world:
        yield world


@pytest.fixture
def own() -> str:
    """Give a name that nobody else has."""
    return uuid4().hex


async def come(world: Guests, app: str, path: str = "", **query: str) -> Guest:
    """Connect to a built-in app."""
    world.app = app
    return await world.workshop(f"/{app}{path}", **query)


async def who(guest: Guest) -> Guest:
    """Find out the id of an API Gateway client's connection."""
    await guest.says({"action": "who am I?"})
    guest.id = (await guest.hears(message="Forbidden"))["connectionId"]
    return guest


async def rest(world: Guests, path: str, **query: Any) -> Any:
    answer = await world.ask("GET", path, query=query)
    answer.raise_for_status()
    return answer.json()


async def told(parley: Instance, app: str, about: str, until: str) -> list[str]:
    """Return the types of an app's events that *about* occurs in, up to the first of the type *until*."""
    found: list[str] = []
    async with asyncio.timeout(60), aclosing(events(parley.status()["nats"], app, since=timedelta(minutes=2))) as said:
        async for event in said:
            if about in event.raw.decode():
                found.append(event.type)
                if event.type == until:
                    break
    return found


async def call_lasts(world: Guests, room: str) -> list[str]:
    """Wait until a call lasts in a room, and return who takes part."""
    found: dict[str, Any] = {}

    async def missing() -> str | None:
        found.update((await world.ask("GET", f"/v1/rooms/{room.replace('/', '%2F')}")).json())
        return None if found.get("call") else f"no call in {found}"

    await eventually(missing)
    participants: list[str] = found["call"]["participants"]
    return participants


async def test_yown_s_pair_discovers_each_other_negotiates_and_is_in_a_call(
    world: Guests, parley: Instance, own: str
) -> None:
    ana = await who(await come(world, "yown", deviceId=f"{own}-a", conversationId=own, storeId="s", userId="ana"))
    bob = await who(await come(world, "yown", deviceId=f"{own}-b", conversationId=own, storeId="s", userId="bob"))

    async def undiscovered() -> str | None:
        answer = await world.rest.post("/discovery", json={"conversationId": own, "storeId": "s"})
        ids = [each["connectionId"] for each in answer.json()["Items"]]
        return None if ids == [ana.id, bob.id] else f"found {ids}"

    await eventually(undiscovered)
    for guest in (ana, bob):
        await world.joins(guest, own)
    await ana.hears(type="newParticipant")
    await bob.says({"action": "NEGOTIATE", "connectionId": ana.id, "description": OFFER})
    await ana.hears(senderConnectionId=bob.id)
    await ana.says({"action": "NEGOTIATE", "connectionId": bob.id, "description": ANSWER})
    await bob.hears(senderConnectionId=ana.id)

    assert sorted(await call_lasts(world, own)) == sorted([ana.id, bob.id])
    found = await told(parley, "yown", bob.id, "call.started")
    assert [kind for kind in found if kind.startswith("negotiation")] == ["negotiation.offered", "negotiation.answered"]

    async def not_in_call() -> str | None:
        items = (await rest(world, "/v1/connections", conversation=own))["items"]
        said = [(each["userId"], each["availability"], each["dialect"]) for each in items]
        return None if said == [("ana", "inCall", "apigw"), ("bob", "inCall", "apigw")] else f"{said}"

    await eventually(not_in_call)


async def test_who_calls_in_a_broadcast_is_in_a_call_of_its_path(world: Guests, parley: Instance, own: str) -> None:
    ana, bob = [await come(world, "broadcast", f"/{own}") for _ in range(2)]
    await who(bob)
    await ana.says({"action": "onMessage", "type": "offer", "data": OFFER, "id": "a"})
    await bob.hears(type="offer")
    await bob.says({"action": "onMessage", "type": "answer", "data": ANSWER, "id": "b"})
    await ana.hears(type="answer")

    assert bob.id in await call_lasts(world, f"/broadcast/{own}")
    found = await told(parley, "broadcast", own, "call.started")
    assert found == [
        "room.created",
        "room.joined",
        "room.joined",
        "negotiation.offered",
        "negotiation.answered",
        "call.started",
    ]


async def test_what_the_text_chat_says_is_history(world: Guests, own: str) -> None:
    ana, bob = [await come(world, "broadcast-text", f"/{own}", userId=name) for name in ("ana", "bob")]
    await who(bob)
    await ana.says({"action": "onMessage", "message": "hello world!"})
    assert await bob.hears_text() == await ana.hears_text() == "hello world!"

    async def unheard() -> str | None:
        items = (await rest(world, f"/v1/rooms/%2Fbroadcast-text%2F{own}/messages"))["items"]
        return None if [(each["userId"], each["text"]) for each in items] == [("ana", "hello world!")] else f"{items}"

    await eventually(unheard)


async def test_apprtc_s_pair_is_in_a_call_even_if_the_offer_came_first(
    world: Guests, parley: Instance, own: str
) -> None:
    ana = await come(world, "apprtc")
    await ana.says({"cmd": "register", "roomid": own, "clientid": "1"})
    await ana.says({"cmd": "send", "msg": json.dumps(OFFER)})

    async def absent() -> str | None:
        answer = await world.ask("GET", f"/v1/rooms/{own}")
        return None if answer.status_code == 200 else answer.text

    await eventually(absent)
    bob = await come(world, "apprtc")
    await bob.says({"cmd": "register", "roomid": own, "clientid": "2"})
    assert json.loads((await bob.hears(error=""))["msg"]) == OFFER
    await bob.says({"cmd": "send", "msg": json.dumps(ANSWER)})
    assert json.loads((await ana.hears(error=""))["msg"]) == ANSWER

    assert len(await call_lasts(world, own)) == 2
    members = (await rest(world, f"/v1/rooms/{own}"))["members"]
    assert [each["metadata"] for each in members] == [{"clientId": "1"}, {"clientId": "2"}]
    await bob.socket.close()
    assert await told(parley, "apprtc", own, "call.ended") == [
        "room.created",
        "room.joined",
        "negotiation.offered",
        "room.joined",
        "negotiation.answered",
        "call.started",
        "room.left",
        "call.ended",
    ]


async def test_the_workshop_s_room_is_the_same_for_parley_v1(world: Guests, own: str) -> None:
    ana = await come(world, "workshop", "/production", userId="ana")
    await ana.says({"action": "joinRoom", "roomId": own})
    bob = await world.parley()
    await eventually_member(world, own)
    joined = await bob.asks("join", room=own)
    assert [each["userId"] for each in joined["members"]] == ["ana"]
    await ana.hears(type="newParticipant")

    await bob.asks("chat", room=own, id="1", text="hello")
    assert await ana.hears_text() == "hello"
    await ana.says({"action": "sendMsgToRoom", "roomId": own, "message": "hello yourself"})
    assert (await bob.hears(type="chat", userId="ana"))["text"] == "hello yourself"


async def eventually_member(world: Guests, room: str) -> None:
    async def absent() -> str | None:
        answer = await world.ask("GET", f"/v1/rooms/{room}")
        return None if answer.status_code == 200 else answer.text

    await eventually(absent)


async def test_topics_of_y_webrtc_on_api_gateway_are_rooms(world: Guests, own: str) -> None:
    ana = await come(world, "yjs-apigw", "/prod", userId="ana")
    await ana.says({"type": "subscribe", "topics": [own]})
    await eventually_member(world, own)

    async def elsewhere() -> str | None:
        items = (await rest(world, "/v1/connections", room=own))["items"]
        return None if [(each["userId"], each["dialect"]) for each in items] == [("ana", "y-webrtc")] else f"{items}"

    await eventually(elsewhere)


async def test_another_app_s_connection_is_gone_and_does_not_notice(world: Guests, own: str) -> None:
    ana = await who(await come(world, "yown", deviceId=own))
    bob = await who(await come(world, "yown", deviceId=f"{own}-b"))
    eve = await come(world, "workshop")

    await eve.says({"action": "NEGOTIATE", "to": ana.id, "description": OFFER})
    assert (await eve.hears(message="Gone")).keys() == {"message", "connectionId", "requestId"}
    await bob.says({"action": "NEGOTIATE", "to": ana.id, "description": OFFER})
    assert json.loads(await ana.hears_text())["from"] == bob.id


@pytest.mark.parametrize(
    "odd", ["a/b?c#d", "*", "parley.in.0.c", "'; drop table rooms.rooms; --", "é🎉\u202e", "line\nbreak"]
)
async def test_rooms_of_apprtc_s_have_any_name_and_their_messages_any_text(world: Guests, own: str, odd: str) -> None:
    room, text = f"{own} {odd}", f"a\0b \ufffe {odd}" + "x" * 100_000
    ana = await come(world, "apprtc")
    await ana.says({"cmd": "register", "roomid": room, "clientid": odd})
    await ana.says({"cmd": "send", "msg": text})
    await eventually_member(world, quote(room, safe=""))

    bob = await come(world, "apprtc")
    await bob.says({"cmd": "register", "roomid": room, "clientid": odd})

    assert json.loads(await bob.hears_text()) == {"msg": text, "error": ""}
