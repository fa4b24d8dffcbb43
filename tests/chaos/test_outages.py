"""A server is away for a minute under load: nobody is closed for it, all are told, and everything is made up for."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path

import httpx
import pytest
from chaos.cluster import Cluster
from chaos.run import Run, Size
from chaos.voice import Frame, Voice
from support.eventually import eventually

OUTAGE_SECONDS = 60.0
PATIENCE_SECONDS = 45.0
SIZE = Size(speakers=8, guests=2, rate=100.0)
CALM_SECONDS = 4.0

Away = Callable[[Cluster, str], AbstractAsyncContextManager[None]]
AWAY = pytest.mark.parametrize("away", [Cluster.without, Cluster.asleep], ids=["is gone", "stands still"])


class Services:
    """The services' own probes, asked past the supervisor, who may be asleep."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self.dead: set[str] = set()
        """Who did not say that it lives, when last asked or before."""
        self._addresses = addresses

    async def ready(self, *parts: str) -> list[str]:
        """Return who of these should be sent work."""
        return sorted(set(parts) - await self._bad("/readyz"))

    async def watch(self) -> None:
        """Note who does not say that it lives, for ever."""
        while True:
            self.dead |= await self._bad("/livez")
            await asyncio.sleep(1)

    async def _bad(self, path: str) -> set[str]:
        async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
            answers = await asyncio.gather(
                *(client.get(f"http://{address}{path}") for address in self._addresses.values())
            )
        return {part for part, answer in zip(self._addresses, answers, strict=True) if not answer.is_success}


@asynccontextmanager
async def watched(cluster: Cluster) -> AsyncIterator[Services]:
    """Give the services, and watch over their lives."""
    parts = await cluster.look()
    servers = ("nats", "postgres", "caddy")
    services = Services({name: part["http"] for name, part in parts.items() if part["name"] not in servers})
    watching = asyncio.create_task(services.watch())
    try:
        yield services
        assert not watching.done(), watching
    finally:
        watching.cancel()


@asynccontextmanager
async def voices(cluster: Cluster, number: int) -> AsyncIterator[list[Voice]]:
    """Give so many members of one room, at all doors."""
    async with AsyncExitStack() as exits:
        all_ = [
            await exits.enter_async_context(Voice(cluster.doors[one % len(cluster.doors)], "?app=outage"))
            for one in range(number)
        ]
        for voice in all_:
            await voice.ask(action="join", room="r")
        yield all_


@pytest.mark.chaos
@pytest.mark.timeout(420)
@AWAY
async def test_a_minute_without_nats(tmp_path: Path, away: Away) -> None:
    async with (
        Cluster(tmp_path) as cluster,
        Run(cluster, tmp_path, 1, SIZE, print) as run,
        watched(cluster) as services,
        voices(cluster, 9) as everybody,
    ):
        talker, idle = everybody[0], everybody[3:]
        await asyncio.sleep(CALM_SECONDS)
        heard = {voice.id: len(voice.of("chat")) for voice in everybody}
        async with away(cluster, "nats-0"):
            back = time.monotonic() + OUTAGE_SECONDS
            accepted = await talker.say(action="chat", room="r", id="1", text="while nobody stores it")
            for voice in everybody:
                await voice.hears("degraded", within=PATIENCE_SECONDS)
            await eventually(
                lambda: services.ready("gateway-0", "gateway-1", "rooms-0", "presence-0", "history-0"), PATIENCE_SECONDS
            )
            refused = await _until_refused(talker)
            assert refused["retryAfterMs"] > 0
            while time.monotonic() < back:
                for voice in everybody[:3]:
                    await voice.say(action="send", room="r", data=1)
                await asyncio.sleep(0.25)
            assert talker.answer(accepted) is None, "chat was acknowledged, and nobody has stored it"

        for voice in everybody:
            await voice.hears("restored", within=PATIENCE_SECONDS)
            await voice.hears("chat", heard[voice.id] + 1, within=PATIENCE_SECONDS)
        await talker.until(lambda: talker.answer(accepted), "an answer", PATIENCE_SECONDS)
        assert (talker.answer(accepted) or {})["type"] == "ok"
        await cluster.ready()
        assert all(voice.open for voice in (talker, *idle))
        assert not services.dead
        await _reconciles(run)


@pytest.mark.chaos
@pytest.mark.timeout(420)
@AWAY
async def test_a_minute_without_postgresql(tmp_path: Path, away: Away) -> None:
    async with (
        Cluster(tmp_path) as cluster,
        Run(cluster, tmp_path, 1, SIZE, print) as run,
        watched(cluster) as services,
        voices(cluster, 9) as everybody,
    ):
        talker, numbers = everybody[0], count(1)
        await asyncio.sleep(CALM_SECONDS)
        async with away(cluster, "postgres-0"):
            back = time.monotonic() + OUTAGE_SECONDS
            await eventually(lambda: services.ready("rooms-0", "presence-0", "history-0"), PATIENCE_SECONDS)
            assert len(await services.ready("gateway-0", "gateway-1")) == 2, "gateways need no PostgreSQL"
            while time.monotonic() < back:
                said = await talker.ask(action="chat", room="r", id=f"{next(numbers)}", text="goes on")
                assert said["type"] == "ok"
                await asyncio.sleep(0.1)

        chats = next(numbers) - 1
        assert chats > 20
        for voice in everybody:
            await voice.hears("chat", chats, within=PATIENCE_SECONDS)
            assert not voice.of("degraded")
        await cluster.ready()
        assert all(voice.open for voice in everybody)
        assert not services.dead
        async with httpx.AsyncClient(base_url=cluster.state["frontDoor"], trust_env=False) as client:
            listed = (await client.get("/v1/rooms/r/messages?app=outage&limit=500&order=oldest")).json()["items"]
        assert [one["id"] for one in listed] == [f"{number}" for number in range(1, chats + 1)][:500]
        await _reconciles(run)


async def _until_refused(voice: Voice) -> Frame:
    """Ask until the answer is that the log takes nothing."""
    asked: list[str] = []

    async def refused() -> str | None:
        asked.append(await voice.say(action="send", room="r", data=1))
        await asyncio.sleep(0.2)
        return None if any(voice.answer(ref) for ref in asked) else "everything is still taken"

    await eventually(refused, PATIENCE_SECONDS)
    answer = next(answer for ref in asked if (answer := voice.answer(ref)))
    assert answer["code"] == "degraded"
    return answer


async def _reconciles(run: Run) -> None:
    await run.settle()
    assert not (await run.rest()).violations
    await run.leave()
    assert not (await run.rest()).violations
