"""The REST of rooms, asked for at the front door while people are in the rooms."""

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from support.eventually import eventually
from support.guests import Guest, Guests

from parley.kit.tokens import Tokens
from parley.rooms.api import rooms_api
from parley.rooms.turn import Relay

pytestmark = pytest.mark.timeout(90)

NAMES = ["a.b", "a/b", ">", "*", "a\nb", "küche 🎉", "\uf8ff", "\\u0000", "\\", "%2F", "?", "x" * 1024]
"""Names that mean something else somewhere; U+F8FF, the apple of a Mac's keyboard, does in our own rows."""


def path(room: str) -> str:
    return f"/v1/rooms/{quote(room, safe='')}"


async def shown(world: Guests, room: str, members: int = 1) -> dict[str, Any]:
    """Return a room once it has so many members."""
    found: dict[str, Any] = {}

    async def other() -> str | None:
        nonlocal found
        answer = await world.ask("GET", path(room))
        found = answer.json()
        return None if len(found.get("members", ())) == members else f"shown is {answer.text}"

    await eventually(other)
    return found


async def inside(world: Guests, room: str, **query: str) -> Guest:
    guest = await world.parley(**query)
    assert (await guest.asks("join", room=room))["type"] == "ok"
    return guest


@pytest.mark.parametrize("room", NAMES)
async def test_a_room_of_any_name_is_shown_with_its_members(world: Guests, room: str) -> None:
    ana = await inside(world, room, userId="ana", deviceId="phone", mood=room[:99])
    bob = await inside(world, room)
    await bob.asks("presence", availability="busy")

    found = await shown(world, room, members=2)

    assert (found["room"], found["position"], found["call"]) == (room, 2, None)
    assert [member["connectionId"] for member in found["members"]] == [ana.id, bob.id]
    first = found["members"][0]
    assert (first["userId"], first["deviceId"], first["metadata"]["mood"]) == ("ana", "phone", room[:99])

    async def not_busy() -> bool:
        members = (await shown(world, room, members=2))["members"]
        return bool(members[1]["availability"] != "busy")

    await eventually(not_busy)
    listed = (await world.ask("GET", "/v1/rooms", query={"prefix": room})).json()["items"]
    assert [(item["room"], item["members"]) for item in listed] == [(room, 2)]


async def test_rooms_are_listed_by_name_in_pages_that_hold_each_once(world: Guests) -> None:
    guest = await world.parley()
    for room in NAMES:
        await guest.asks("join", room=room)

    async def pages() -> list[str]:
        found: list[str] = []
        query: dict[str, Any] = {"limit": 1}
        while True:
            page = (await world.ask("GET", "/v1/rooms", query=query)).raise_for_status().json()
            found += [item["room"] for item in page["items"]]
            if page["next"] is None:
                return found
            query["cursor"] = page["next"]

    async def other() -> str | None:
        found = await pages()
        return None if sorted(found) == sorted(NAMES) else f"listed are {found}"

    await eventually(other)


async def test_a_call_is_shown_while_it_lasts(world: Guests) -> None:
    ana, bob = await inside(world, "r"), await inside(world, "r")
    await ana.asks("signal", to=bob.id, data={"description": {"type": "offer", "sdp": "v=0"}})
    await bob.asks("signal", to=ana.id, data={"description": {"type": "answer", "sdp": "v=0"}})

    async def call() -> None:
        found = await shown(world, "r", members=2)
        assert found["call"], found
        assert sorted(found["call"]["participants"]) == sorted([ana.id, bob.id])
        assert {member["availability"] for member in found["members"]} == {"inCall"}

    await eventually(call)


async def listed(world: Guests, **query: str) -> list[str]:
    """Return which rooms are listed, after checking that a count says the same."""
    rooms = [
        item["room"] for item in (await world.ask("GET", "/v1/rooms", query=query)).raise_for_status().json()["items"]
    ]
    counted = (await world.ask("GET", "/v1/rooms/count", query=query)).raise_for_status().json()
    assert counted == {"count": len(rooms)}
    return rooms


async def test_rooms_are_found_by_a_part_of_their_name_and_by_their_call(world: Guests) -> None:
    for room in ("Küche", "küchen%tisch", "hall"):
        ana, bob = await inside(world, room), await inside(world, room)
    await ana.asks("signal", to=bob.id, data={"description": {"type": "offer", "sdp": "v=0"}})
    await bob.asks("signal", to=ana.id, data={"description": {"type": "answer", "sdp": "v=0"}})

    async def found() -> None:
        assert await listed(world) == ["Küche", "hall", "küchen%tisch"]
        assert await listed(world, call="true") == ["hall"]

    await eventually(found)
    assert await listed(world, q="KÜCHE") == ["Küche", "küchen%tisch"]
    assert await listed(world, q="%") == ["küchen%tisch"]
    assert await listed(world, q="tisch", prefix="k") == ["küchen%tisch"]
    assert await listed(world, q="küche", call="true") == []
    assert await listed(world, call="false") == ["Küche", "küchen%tisch"]
    assert (await world.ask("GET", "/v1/rooms/count", query={"app": f"{world.app}-other"})).json() == {"count": 0}
    assert (await world.ask("GET", "/v1/rooms", query={"q": ""})).status_code == 400


async def test_a_backend_speaks_in_a_room(world: Guests) -> None:
    """To the letter: what it says is not read and written anew."""
    ana, bob = await inside(world, "r"), await world.workshop()
    await bob.says({"action": "joinRoom", "roomId": "r"})
    await ana.hears(type="member.joined")
    data = '{"n":1.10,"n":12345678901234567890123,"nul":"\\u0000"}'

    answer = await world.ask("POST", path("r") + "/messages", content=f'{{"text":"hi","userId":"boss","data":{data}}}')

    assert answer.status_code == 201
    chat = json.loads(text := await ana.hears_text())
    assert data in text
    assert {name: chat[name] for name in ("type", "text", "from", "userId", "room")} == {
        "type": "chat",
        "text": "hi",
        "from": None,
        "userId": "boss",
        "room": "r",
    }
    assert answer.json() == {"epoch": answer.json()["epoch"]} | {
        name: chat[name] for name in ("id", "position", "time")
    }
    assert await bob.hears_text() == "hi"


async def test_a_backend_that_says_something_again_says_it_once(world: Guests) -> None:
    ana = await inside(world, "r")
    once = {"text": "hi", "id": "m1"}

    answers = [await world.ask("POST", path("r") + "/messages", json=once) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    await world.ask("POST", path("r") + "/messages", json={"text": "bye"})
    assert [(await ana.hears(type="chat"))["text"] for _ in range(2)] == ["hi", "bye"]


BAD = [
    b"",
    b"hi",
    b"[]",
    b"{}",
    b'{"text":5}',
    b'{"text":"a","more":1}',
    b'{"text":"a\\u0000"}',
    b'{"text":"half an emoji \\ud83d"}',
    b'{"text":"a","data":"\\ud83d"}',
    b'{"text":"a","data":NaN}',
    b'{"text":"a","id":""}',
    b'{"text":"a","id":"%b"}' % (b"x" * 129),
    b'{"text":"a","userId":"%b"}' % (b"x" * 256),
    b'{"text":"%b"}' % (b"x" * 100_001),
    b'{"text":"a","data":%b}' % (b"[" * 1000 + b"]" * 1000),
    b'{"text":"\xff"}',
]


@pytest.mark.parametrize("body", BAD, ids=[repr(body[:40]) for body in BAD])
async def test_a_body_that_is_wrong_is_a_bad_request(world: Guests, body: bytes) -> None:
    await inside(world, "r")

    answer = await world.ask("POST", path("r") + "/messages", content=body)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


async def test_a_body_that_is_too_large_is_refused_in_words_that_arrive(world: Guests) -> None:
    for size in (263_000, 300_000, 1_000_000, 3_000_000):
        answer = await world.ask("POST", path("r") + "/messages", json={"text": "a", "data": "x" * size})

        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_a_backend_takes_a_member_out_who_stays_connected(world: Guests) -> None:
    ana, bob = await inside(world, "r"), await inside(world, "r")

    answer = await world.ask("DELETE", f"{path('r')}/members/{quote(bob.id)}")

    assert answer.status_code == 204
    for guest in (ana, bob):
        left = await guest.hears(type="member.left")
        assert (left["connectionId"], left["reason"]) == (bob.id, "removed")
    assert (await bob.asks("join", room="r"))["type"] == "ok"


async def test_nobody_s_room_and_nobody_s_member_are_not_found(world: Guests) -> None:
    ana = await inside(world, "r")
    for method, place in (
        ("GET", path("nobody")),
        ("POST", path("nobody") + "/messages"),
        ("DELETE", f"{path('nobody')}/members/{quote(ana.id)}"),
        ("DELETE", f"{path('r')}/members/AAIAAAAAAAAAAAE="),
        ("DELETE", f"{path('r')}/members/nobody"),
    ):
        answer = await world.ask(method, place, **({"json": {"text": "hi"}} if method == "POST" else {}))
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), place


async def test_ice_servers_come_with_credentials_that_expire() -> None:
    relay = Relay(secret="north", turn_urls=["turn:example.org:3478"], stun_urls=["stun:example.org:3478"], ttl=600)
    nothing: Any = None
    app = rooms_api(nothing, nothing, Tokens(development=True), relay, development=True)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://parley") as rest:
        answer = (await rest.get("/v1/ice-servers")).json()

    stun, turn = answer["iceServers"]
    assert (answer["ttl"], stun) == (600, {"urls": ["stun:example.org:3478"]})
    assert turn["urls"] == ["turn:example.org:3478"]
    assert turn["username"].partition(":")[0].isdecimal()
