"""History as a process of its own: how it starts, when it is ready, how it ends."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from support.child import Child
from support.eventually import eventually
from support.said import Room, publish

from parley.kit.bus import Bus
from parley.kit.migrate import migrate

Start = Callable[..., Awaitable[Child]]


@pytest.fixture
async def start(tmp_path: Path, nats_url: str, database_url: str) -> AsyncIterator[Start]:
    """Give a function that starts a replica."""
    children: list[Child] = []

    async def start(*arguments: str, **variables: str) -> Child:
        folder = tmp_path / f"replica-{len(children)}"
        folder.mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "NATS_URL": nats_url,
            "DATABASE_URL": database_url,
            "PARLEY_MODE": "development",
            "HISTORY_READY_FILE": str(folder / "ready"),
        } | variables
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "parley.history", *arguments),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        children.append(Child(process, folder))
        return children[-1]

    yield start
    for child in children:
        if child.process.returncode is None:
            child.process.kill()
        await child.ended()


async def test_it_migrates_serves_and_ends_when_told_to(start: Start, bus: Bus) -> None:
    migration = await start("migrate")
    assert await migration.ended() == 0, migration.errors
    child = await start()
    url = f"http://{await child.ready()}"
    await publish(bus, Room().says("hi"))

    async with httpx.AsyncClient(base_url=url) as client:

        async def stored() -> str | None:
            answer = await client.get("/v1/rooms/r1/messages")
            return None if "hi" in answer.text else answer.text

        await eventually(stored)
        assert (await client.get("/livez")).status_code == 200
        await eventually(lambda: _is_ready(client))

    child.signal(signal.SIGTERM)
    assert await child.ended() == 0, child.errors


async def test_it_refuses_a_database_without_its_schema_in_a_sentence(start: Start) -> None:
    child = await start()

    assert await child.ended() != 0
    assert "parley.history migrate" in child.errors


async def test_check_looks_at_the_settings(start: Start) -> None:
    good, bad = await start("--check"), await start("--check", HISTORY_BATCHES="7")

    assert (await good.ended(), await bad.ended()) == (0, 2)
    assert "HISTORY_BATCH" in bad.errors


async def test_many_events_survive_the_death_of_replicas(
    start: Start, bus: Bus, database_url: str, nats_url: str
) -> None:
    """Killed in the middle of it, one after the other: every message is there once."""
    await migrate(database_url, "parley.history")
    room = Room()
    survivor = await start(HISTORY_BATCH="50")
    url = f"http://{await survivor.ready()}"
    for _ in range(2):
        victim = await start(HISTORY_BATCH="50")
        await victim.ready()
        await publish(bus, *(room.says("x") for _ in range(300)))
        victim.process.kill()

    async with httpx.AsyncClient(base_url=url) as client:

        async def all_there() -> str | None:
            found = await _every_position(client)
            return None if found == list(range(1, 601)) else f"{len(found)} messages"

        await eventually(all_there)


async def _every_position(client: httpx.AsyncClient) -> list[int]:
    positions: list[int] = []
    query: dict[str, str] = {"order": "oldest", "limit": "500"}
    while True:
        page = (await client.get("/v1/rooms/r1/messages", params=query)).json()
        positions += [message["position"] for message in page["items"]]
        if not page["next"]:
            return positions
        query["cursor"] = page["next"]


async def _is_ready(client: httpx.AsyncClient) -> str | None:
    answer = await client.get("/readyz")
    return None if answer.status_code == 200 else answer.text
