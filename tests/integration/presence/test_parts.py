"""Which processes there are and how they are, over REST."""

import asyncio
from contextlib import AsyncExitStack

import httpx
from nats.aio.msg import Msg
from support.eventually import eventually
from support.guests import guests
from support.instance import Instance

from parley.cli.embedded import Server
from parley.kit.bus import Bus
from parley.kit.parts import telling
from parley.kit.probes import Probes
from parley.kit.tokens import mint
from parley.protocol import subjects

from .conftest import SECRET


async def hanging() -> str:
    await asyncio.Event().wait()
    return ""


async def broken() -> dict[str, float]:
    await asyncio.Event().wait()
    return {}


async def babble(msg: Msg) -> None:
    await msg.respond(b"nonsense")


async def test_every_part_says_what_its_readiness_says(http: httpx.AsyncClient, bus: Bus) -> None:
    """Also one that starts, and one whose check hangs and whose figures are not known; what is no part is nobody."""
    starting, ready, stuck = Probes(), Probes(), Probes()
    async with AsyncExitStack() as stack:
        for part in (
            telling(bus, starting, "gateway", "g1", lambda: {"connections": 0}),
            telling(bus, ready, "history", "h1", lambda: {"waiting": 7}),
            telling(bus, stuck, "rooms", "r1", broken),
            ready.ready({"nats": bus.check}),
            stuck.ready({"postgres": hanging, "partitions": lambda: "3 of 4 partitions have no owner yet."}),
        ):
            await stack.enter_async_context(part)
        await bus.client.subscribe(subjects.PARTS, cb=babble)

        page = (await http.get("/v1/parts")).raise_for_status().json()

    assert page["next"] is None
    assert [(part["name"], part["instance"], part["ready"], part["figures"]) for part in page["items"]] == [
        ("gateway", "g1", False, {"connections": 0}),
        ("history", "h1", True, {"waiting": 7}),
        ("rooms", "r1", False, {}),
    ]
    assert page["items"][0]["missing"] == {"process": "This process is starting."}
    assert page["items"][2]["missing"] == {
        "postgres": "It does not answer within 0.35 s.",
        "partitions": "3 of 4 partitions have no owner yet.",
    }
    assert page["items"][0]["version"] == "0.1.0"
    assert page["items"][0]["startedAt"].endswith("Z")


async def test_a_part_that_has_ended_says_nothing(http: httpx.AsyncClient, bus: Bus) -> None:
    async with telling(bus, Probes(), "gateway", "g1", dict):
        pass

    assert (await http.get("/v1/parts")).json() == {"items": [], "next": None}


async def test_without_nats_nobody_can_be_asked(http: httpx.AsyncClient, bus: Bus, nats_server: Server) -> None:
    await nats_server.kill()
    await eventually(bus.connected.is_set)

    answer = await http.get("/v1/parts")

    assert (answer.status_code, answer.json()["code"]) == (503, "degraded")


async def test_backends_alone_may_know(guarded: httpx.AsyncClient) -> None:
    person = mint(SECRET, expires_at=4_000_000_000, subject="ana", rooms={"*": ["admin"]}, grants=["direct"])

    assert (await guarded.get("/v1/parts")).status_code == 401
    assert (await guarded.get("/v1/parts", headers={"authorization": f"Bearer {person}"})).status_code == 403


async def test_all_parts_of_a_real_parley_are_there(parley: Instance) -> None:
    async with guests(parley.url) as world:
        await world.parley()

        async def all_there() -> None:
            parts = (await world.ask("GET", "/v1/parts")).raise_for_status().json()["items"]
            assert [part["name"] for part in parts] == ["gateway", "history", "presence", "rooms"]
            assert all(part["ready"] for part in parts), parts
            gateway, history, presence, rooms = (part["figures"] for part in parts)
            assert gateway["connections"] >= 1
            assert history == {"waiting": 0}
            assert presence["partitions"] == rooms["partitions"] >= 1

        await eventually(all_there)
