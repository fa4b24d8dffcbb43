"""The rendered system, running on this machine: what its pods are told suffices for them to do their work."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import product
from urllib.parse import quote, urlsplit

import httpx
import pytest
import pytest_asyncio
from chart.local import Local, answers
from chart.prepared import new_database, succeeded
from chart.rendered import render
from chart.system import System, gateway, started
from websockets.asyncio.client import connect as websocket
from websockets.typing import Subprotocol

from parley.cli.embedded import Server
from parley.cli.embedded.ports import LOOPBACK
from parley.client import Client, connect

INGRESS = LOOPBACK
"""Where the front door, and whatever is before it, connects from; the only one that is trusted."""
STRANGER = "127.0.0.5"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory, postgres: Server) -> AsyncIterator[System]:
    """Give the system, started as Kubernetes would start it: roles and migrations first, services as they can."""
    folder, name = tmp_path_factory.mktemp("system"), await new_database(postgres)
    (folder / "pages").mkdir()
    (folder / "pages" / "index.html").write_text("the page")
    rendered = render(
        nats__replicas=1, postgresql__database=name, web__root=str(folder / "pages"), trustedProxies=[f"{INGRESS}/32"]
    )
    local = Local(rendered, folder, postgres.url)
    try:
        yield await started(local, urlsplit(postgres.url))
    finally:
        await local.stop()


def refusals(system: System) -> list[str]:
    """Return what NATS let nobody do."""
    return [line for line in system.servers[0].program.log.read_text().splitlines() if "iolation" in line]


async def test_what_helm_test_runs_succeeds(system: System) -> None:
    """All of it at once: users of NATS, roles of PostgreSQL, the front door's map, tokens."""
    test = system.local.start(system.local.container("test", "test"))
    await succeeded(test)

    assert "What was said is in history." in test.program.log.read_text()
    assert not refusals(system)


async def test_no_session_is_sticky(system: System) -> None:
    """Behind a plain round robin clients of a killed gateway go on at another one, and have missed nothing."""
    room = f"room-{secrets.token_hex(4)}"
    async with AsyncExitStack() as stack, httpx.AsyncClient(trust_env=False) as http:
        url, token = "ws" + system.url.removeprefix("http"), system.token()
        clients = [await stack.enter_async_context(connect(url, token=token)) for _ in range(4)]
        for client in clients:
            await client.join(room)
        held = {}
        for address in system.gateways:
            answer = await http.get(f"http://{address}/v1/internal/connections")
            held[address] = {each["connectionId"] for each in answer.json()["connections"] if each["open"]}
        names = [client.connection_id for client in clients]
        assert all(len(there & set(names)) == 2 for there in held.values()), held

        victim = next(iter(system.gateways))
        await system.gateways[victim].kill()
        for number, client in enumerate(clients):
            await client.chat(room, str(number))

        for client in clients:
            assert await asyncio.wait_for(texts(client, 4), 30) == ["0", "1", "2", "3"]
        assert [client.connection_id for client in clients] == names
    assert not refusals(system)


async def test_services_ask_each_other_what_only_they_know(system: System) -> None:
    """By NATS, at subjects that its users are allowed: who is there, what went over a socket, what has happened."""
    headers = {"Authorization": f"Bearer {system.token('admin')}"}
    url, token = "ws" + system.url.removeprefix("http"), system.token()
    async with (
        connect(url, token=token) as client,
        httpx.AsyncClient(base_url=system.url, headers=headers, trust_env=False) as http,
    ):
        await client.join("lobby")
        parts = (await http.get("/v1/parts")).json()["items"]
        frames = await http.get(f"/v1/connections/{quote(client.connection_id)}/frames")
        posted = await http.post(f"/v1/connections/{quote(client.connection_id)}/messages", json={"data": 1})
        async with http.stream("GET", "/v1/events?since=1m") as events:
            first = await anext(events.aiter_lines())

    assert sorted(part["name"] for part in parts) == ["gateway", "gateway", "history", "presence", "rooms"]
    assert frames.json()["items"]
    assert posted.status_code == 204
    assert first.startswith("id: ")
    assert not refusals(system)


CLAIMS = [
    (INGRESS, "203.0.113.7", "203.0.113.7"),
    (INGRESS, "198.51.100.1, 203.0.113.7", "203.0.113.7"),  # the first one is what its client has claimed
    (INGRESS, "", INGRESS),
    (STRANGER, "203.0.113.7", STRANGER),
    (STRANGER, "", STRANGER),
]
"""Who connects, whom it claims to speak for, and whose address that makes it."""


async def test_a_clients_address_is_what_trusted_proxies_say(system: System) -> None:
    """Through the front door, and at a gateway itself: a claim counts from a proxy of ours, and from nobody else."""
    bearer = {"Authorization": f"Bearer {system.token('admin')}"}
    async with httpx.AsyncClient(base_url=system.url, headers=bearer, trust_env=False) as http:
        for door, (source, claimed, seen) in product((urlsplit(system.url).netloc, system.sockets[0]), CLAIMS):
            async with websocket(
                f"ws://{door}/?token={system.token()}",
                additional_headers={"X-Forwarded-For": claimed} if claimed else {},
                subprotocols=[Subprotocol("parley.v1")],
                local_addr=(source, 0),
                proxy=None,
            ) as socket:
                name = json.loads(await socket.recv())["connectionId"]
                shown = await http.get(f"/@connections/{quote(name)}")

            assert shown.json()["identity"]["sourceIp"] == seen, (door, source, claimed)


async def texts(client: Client, count: int) -> list[str]:
    """Return the next chat that a client hears."""
    heard: list[str] = []
    async for frame in client:
        if frame["type"] == "chat":
            heard.append(frame["text"])
        if len(heard) == count:
            break
    return heard


@pytest.fixture(autouse=True)
async def all_run(system: System) -> AsyncIterator[None]:
    """Start a gateway again that a test has killed."""
    yield
    for address, process in list(system.gateways.items()):
        if not process.running:
            environ = process.program.env or {}
            again = gateway(system.local, environ["GATEWAY_PORT"], environ["GATEWAY_HTTP_PORT"])
            system.gateways[address] = again
            await answers(f"http://{address}/readyz", again)
