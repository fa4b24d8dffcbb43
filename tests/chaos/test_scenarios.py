"""What a random schedule does not do: everything is killed, NATS has lost its memory, a rule breaks."""

import asyncio
import time
from pathlib import Path

import pytest
from chaos import evidence
from chaos.cluster import Cluster, broken
from chaos.run import Run, Size
from chaos.voice import Voice

SIZE = Size(speakers=8, guests=2, rate=100.0)
CALM_SECONDS = 4.0


@pytest.mark.chaos
@pytest.mark.timeout(360)
@pytest.mark.parametrize("dark", [3, 120], ids=lambda seconds: f"dark for {seconds} s")
async def test_everything_is_killed_and_started_again(tmp_path: Path, dark: int) -> None:
    async with Cluster(tmp_path) as cluster, Run(cluster, tmp_path, 1, SIZE, print) as run:
        await asyncio.sleep(CALM_SECONDS)
        await cluster.kill_all()
        await asyncio.sleep(dark)

        await cluster.start()
        await asyncio.sleep(CALM_SECONDS)
        await run.settle()

        verdict = await run.rest()
        assert not verdict.violations
        await run.leave()
        assert not (await run.rest()).violations


@pytest.mark.chaos
@pytest.mark.timeout(240)
async def test_without_its_log_everything_is_closed_and_told_so(tmp_path: Path) -> None:
    """NATS is wiped under a kept database: nobody can know what became of whom, so all begin anew."""
    async with Cluster(tmp_path) as cluster, Run(cluster, tmp_path, 1, SIZE, print) as run:
        await asyncio.sleep(CALM_SECONDS)
        await run.settle()
        assert not (await run.rest()).violations
        run.earlier = str(tmp_path / "earlier.json")
        before = await run.verdict(keep_events=run.earlier)

        run.excused.append((time.time(), time.time() + 60))
        await cluster.wipe_nats()
        await asyncio.sleep(CALM_SECONDS)
        run.talk()
        await cluster.ready()
        await asyncio.sleep(CALM_SECONDS)
        await run.settle()

        verdict = await run.rest()
        assert not verdict.violations
        assert verdict.begun_anew >= before.begun_anew + SIZE.crowds * (SIZE.speakers + SIZE.guests)
        await run.leave()
        assert not (await run.rest()).violations


@pytest.mark.chaos
async def test_a_rule_that_breaks_changes_nothing_and_stops_nobody(tmp_path: Path) -> None:
    """One frame must not stop a partition on every replica in turn."""
    async with Cluster(tmp_path, up=broken("poison")) as cluster:
        door = cluster.doors[0]
        async with Voice(door) as ana, Voice(door) as bob:
            for voice in (ana, bob):
                await voice.ask(action="join", room="r")
            await ana.ask(action="chat", room="r", id="1", text="before")
            await ana.say(action="send", room="r", data=1)

            refused = await ana.ask(action="send", room="r", data="poison")

            assert refused["code"] == "internal"
            await ana.ask(action="send", room="r", data=2)
            for part in ("rooms-0", "rooms-1"):
                await cluster.kill(part)
            after = await ana.ask(action="chat", room="r", id="2", text="after")
            await bob.hears("chat", 2)
            assert after["position"] == 4
            assert [frame["data"] for frame in bob.of("message")] == [1, 2]
            assert len((await bob.ask(action="join", room="r"))["members"]) == 1
            failed = [event for event in await evidence.events(cluster.state["nats"]) if event.type == "event.failed"]
            assert [event.data["connectionId"] for event in failed] == [ana.id]
