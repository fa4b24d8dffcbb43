"""What came and went on a connection, over REST."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from support.eventually import eventually
from support.guests import Guest, Guests, guests
from support.instance import Instance
from support.presence import Log, closed, id_of, opened

from parley.kit.tokens import mint

from .conftest import SECRET

ANA, BOB = id_of(1), id_of(2)


def path(connection: str) -> str:
    return f"/v1/connections/{quote(connection, safe='')}/frames"


async def frames(world: Guests, guest: Guest, **query: str) -> list[dict[str, Any]]:
    """Return a connection's frames, once presence knows of it."""
    found: list[dict[str, Any]] = []

    async def there() -> None:
        answer = await world.ask("GET", path(guest.id), query=query)
        assert answer.status_code == 200, answer.text
        found[:] = answer.json()["items"]

    await eventually(there)
    return found


async def test_what_came_and_went_is_told_by_its_name_alone(parley: Instance) -> None:
    async with guests(parley.url) as world:
        ana, bob = await world.parley(), await world.parley()
        await ana.asks("join", room="r")
        await ana.asks("ping")
        await ana.says("no JSON")
        await ana.hears(type="error")
        await bob.asks("join", room="r")
        await bob.asks("chat", room="r", text="a secret", id="m1")
        await ana.hears(type="chat")

        seen = await frames(world, ana)
        elsewhere = await world.ask("GET", path(ana.id), query={"app": f"{world.app}-other"})

    told = [(frame["direction"], frame["route"], frame["ref"]) for frame in reversed(seen)]
    assert told == [
        ("out", "welcome", None),
        ("in", "join", "ask-1"),
        ("out", "ok", "ask-1"),
        ("in", "", None),
        ("out", "error", None),
        ("out", "member.joined", None),
        ("out", "chat", None),
    ]
    assert [frame["time"] for frame in seen] == sorted((frame["time"] for frame in seen), reverse=True)
    assert seen[3]["bytes"] == len("no JSON")
    assert set(seen[0]) == {"time", "direction", "route", "bytes", "ref"}
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (404, "not_found")


async def test_the_latest_fifty_are_kept(parley: Instance) -> None:
    async with guests(parley.url) as world:
        ana = await world.parley()
        for number in range(60):
            await ana.says({"action": "leave", "room": f"r{number}", "ref": f"{number}"})
        await ana.asks("leave", room="last")

        seen = await frames(world, ana)

    assert len(seen) == 50
    assert {frame["route"] for frame in seen} <= {"leave", "error", "ok"}


async def test_a_client_of_api_gateway_is_seen_as_well(parley: Instance) -> None:
    async with guests(parley.url) as world:
        ana, bob = await world.parley(), await world.workshop()
        await ana.asks("join", room="r")
        await world.joins(bob, "r")
        await bob.says("not JSON at all")

        async def there() -> None:
            listed = (await world.ask("GET", "/v1/connections", query={"room": "r", "order": "newest"})).json()["items"]
            assert len(listed) == 2
            answer = await world.ask("GET", path(listed[0]["connectionId"]))
            seen = [(frame["direction"], frame["route"]) for frame in reversed(answer.json()["items"])]
            assert seen == [("in", "join"), ("in", ""), ("out", "")]

        await eventually(there)


class TestWhoAndWhat:
    @pytest.fixture(autouse=True)
    async def log(self, db: AsyncEngine) -> None:
        """One connection whose gateway is not there, one that is over."""
        log = Log()
        log.says(opened(ANA), opened(BOB))
        log.says(closed(BOB))
        await log.store(db)

    async def test_a_gateway_that_does_not_answer(self, http: httpx.AsyncClient) -> None:
        answer = await http.get(path(ANA), params={"app": "a"})

        assert (answer.status_code, answer.json()["code"]) == (503, "degraded")

    async def test_nobody(self, http: httpx.AsyncClient) -> None:
        for connection, app in ((BOB, "a"), (ANA, "b"), (id_of(9), "a"), ("nonsense", "a"), ("'", "a"), ("*", "a")):
            answer = await http.get(path(connection), params={"app": app})
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), connection

    async def test_backends_alone(self, guarded: httpx.AsyncClient) -> None:
        person = mint(SECRET, expires_at=4_000_000_000, subject="ana", app="a", rooms={"*": ["admin"]})

        assert (await guarded.get(path(ANA))).status_code == 401
        assert (await guarded.get(path(ANA), headers={"authorization": f"Bearer {person}"})).status_code == 403
