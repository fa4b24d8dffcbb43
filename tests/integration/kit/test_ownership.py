"""Ownership on the real servers: processes killed, paused and replaced under load, and nothing to be seen of it."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support import ledger
from support.eventually import eventually
from support.replicas import Replicas, equals_an_undisturbed_run, happened, until_sent

from parley.kit.bus import nats_bus
from parley.kit.db import database
from parley.protocol import subjects

TAKEOVER_MS = 4000


@pytest.fixture
async def replicas(nats_url: str, database_url: str, tmp_path: Path) -> AsyncIterator[Replicas]:
    """Give a NATS, a PostgreSQL, and no replica yet."""
    async with database(database_url, "test") as db, nats_bus(nats_url, "test") as bus:
        async with db.begin() as connection:
            await ledger.prepare(connection)
        cluster = Replicas(bus, db, nats_url, database_url, tmp_path)
        yield cluster
        for child in cluster.children:
            if child.process.returncode is None:
                child.process.kill()
            await child.ended()


class OwnershipContract:
    """What holds on any cluster."""

    async def test_replicas_share_and_hand_over_without_a_gap(self, replicas: Replicas) -> None:
        first = await replicas.start()
        async with replicas.traffic():
            await replicas.spread(4)
            second = await replicas.start()
            await replicas.spread(2, 2)
            await replicas.start()
            await replicas.spread(2, 1, 1)
            first.signal(signal.SIGTERM)
            assert await first.ended() == 0, first.errors
            await replicas.spread(0, 2, 2)
            second.signal(signal.SIGTERM)
            await replicas.spread(0, 0, 4)
            await until_sent(replicas, 100)

        silence = await equals_an_undisturbed_run(replicas)

        assert silence < 1500

    @pytest.mark.parametrize(("fault", "others"), [("delivered", 1), ("published", 2), ("unsaid", 1)])
    async def test_a_killed_owner_is_replaced_and_nothing_is_lost_or_doubled(
        self, replicas: Replicas, fault: str, others: int
    ) -> None:
        """Killed between a delivery and its acknowledgement, between publishing and checkpoint, before a delivery."""
        victim, *_ = await asyncio.gather(*(replicas.start() for _ in range(1 + others)))
        await replicas.spread(*([2, 2] if others == 1 else [2, 1, 1]))
        async with replicas.traffic():
            await until_sent(replicas, 200)
            replicas.break_at(victim, fault)
            assert await victim.ended() == -signal.SIGKILL
            await replicas.spread(*([0, 4] if others == 1 else [0, 2, 2]))
            await until_sent(replicas, 200)

        silence = await equals_an_undisturbed_run(replicas)

        assert 2000 < silence < TAKEOVER_MS
        if fault != "unsaid":
            assert (await happened(replicas)).repeated > 0

    async def test_a_paused_owner_that_wakes_up_changes_nothing(self, replicas: Replicas) -> None:
        sleeper = await replicas.start()
        await replicas.start()
        await replicas.spread(2, 2)
        async with replicas.traffic():
            await until_sent(replicas, 200)
            sleeper.signal(signal.SIGSTOP)
            await replicas.spread(0, 4)
            await until_sent(replicas, 100)
            sleeper.signal(signal.SIGCONT)
            await eventually(lambda: None if any(line["event"] == "lost" for line in sleeper.logged) else "not lost")
            await replicas.spread(2, 2)
            await until_sent(replicas, 100)

        await equals_an_undisturbed_run(replicas)

        assert sleeper.process.returncode is None

    async def test_an_event_that_raises_stops_nobody(self, replicas: Replicas) -> None:
        await replicas.start()
        await replicas.spread(4)
        async with replicas.traffic() as writer:
            for text in (ledger.RAISES, ledger.RAISES_TWICE, ledger.UNSPEAKABLE):
                await asyncio.gather(*(replicas.post(writer, number, text) for number in range(12)))
            await until_sent(replicas, 100)

        await equals_an_undisturbed_run(replicas)

        rows = (await happened(replicas)).rows
        assert sum(note["value"] for note in rows["notes"] if note["name"] == "failed") == 24

    async def test_what_nobody_can_read_is_skipped(self, replicas: Replicas) -> None:
        await replicas.start()
        await replicas.spread(4)
        half = b'{"gateway":"x","number":7,"events":[{"id":"1","source":"s","type":"t","data":{"command":"later"}}]}'
        async with replicas.traffic():
            for nonsense in (b"", b"nonsense", b'"\xff"', half):
                await replicas.bus.publish(subjects.ingress(1, "m"), nonsense)
            await until_sent(replicas, 100)

        await equals_an_undisturbed_run(replicas)


class TestOneNode(OwnershipContract):
    """A single nats-server."""
