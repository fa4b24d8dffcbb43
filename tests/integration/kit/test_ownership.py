"""Ownership on the real servers: processes killed, paused and replaced under load, and nothing to be seen of it."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import ledger
from support.cluster import SIZE, Cluster
from support.eventually import eventually
from support.replicas import Replicas, equals_an_undisturbed_run, happened, until_sent

from parley.cli.embedded import Server
from parley.kit.bus import Bus, nats_bus
from parley.kit.db import database
from parley.kit.partitions import partitions
from parley.kit.streams import Sizes
from parley.protocol import subjects


@pytest.fixture
def sizes() -> Sizes:
    """Say how the streams are made."""
    return Sizes()


@pytest.fixture
async def replicas(nats_url: str, sizes: Sizes, database_url: str, tmp_path: Path) -> AsyncIterator[Replicas]:
    """Give a NATS, a PostgreSQL, and no replica yet."""
    async with database(database_url, "test") as db, nats_bus(nats_url, "test", sizes=sizes) as bus:
        async with db.begin() as connection:
            await ledger.prepare(connection)
        cluster = Replicas(bus, db, nats_url, database_url, tmp_path)
        yield cluster
        for child in cluster.children:
            if child.process.returncode is None:
                child.process.kill()
            await child.ended()


async def killed_at(fault: str, replicas: Replicas, others: int) -> None:
    """Kill one of the owners under load where the *fault* is, and check that the *others* take over what it had."""
    victim, *_ = await asyncio.gather(*(replicas.start() for _ in range(1 + others)))
    await replicas.spread(*([2, 2] if others == 1 else [2, 1, 1]))
    async with replicas.traffic():
        await until_sent(replicas, 200)
        replicas.break_at(victim, fault)
        assert await victim.ended() == -signal.SIGKILL
        await replicas.spread(*([0, 4] if others == 1 else [0, 2, 2]))
        await until_sent(replicas, 200)

    await equals_an_undisturbed_run(replicas)


class OwnershipContract:
    """What holds on any cluster."""

    async def test_an_owner_killed_between_publishing_and_checkpoint_is_replaced(self, replicas: Replicas) -> None:
        """Nothing is lost or doubled, though the successor says some of it again."""
        await killed_at("published", replicas, others=1)

        assert (await happened(replicas)).repeated > 0


class TestOneNode(OwnershipContract):
    """A single nats-server; the rest of the contract, in which NATS has no part, is proved here alone."""

    async def test_replicas_share_and_hand_over_without_waiting_for_a_lease(self, replicas: Replicas) -> None:
        first = await replicas.start()
        async with replicas.traffic():
            await replicas.spread(4)
            second = await replicas.start()
            await replicas.spread(2, 2)
            await replicas.start()
            await replicas.spread(2, 1, 1)
            first.signal(signal.SIGTERM)
            assert await first.ended() == 0, first.errors
            assert first.said[0] not in await replicas.named()
            await replicas.spread(0, 2, 2)
            second.signal(signal.SIGTERM)
            assert await second.ended() == 0, second.errors
            assert second.said[0] not in await replicas.named()
            await replicas.spread(0, 0, 4)
            await until_sent(replicas, 100)

        await equals_an_undisturbed_run(replicas)

        assert [line for child in replicas.children for line in child.logged if line["event"] == "lost"] == []

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

    async def test_an_owner_killed_before_a_delivery_is_replaced_by_several(self, replicas: Replicas) -> None:
        await killed_at("unsaid", replicas, others=2)

    async def test_an_owner_killed_between_a_delivery_and_its_acknowledgement_is_replaced(
        self, replicas: Replicas
    ) -> None:
        await killed_at("delivered", replicas, others=1)

        assert (await happened(replicas)).repeated > 0

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


class TestThreeNodes(OwnershipContract):
    """Three nats-servers, each stream on all of them."""

    @pytest.fixture
    async def cluster(self, tmp_path: Path) -> AsyncIterator[Cluster]:
        cluster = Cluster(tmp_path / "cluster")
        try:
            await cluster.start()
            yield cluster
        finally:
            await cluster.kill()

    @pytest.fixture
    def nats_url(self, cluster: Cluster) -> str:
        return cluster.url

    @pytest.fixture
    def sizes(self) -> Sizes:
        return Sizes(replicas=SIZE)

    async def test_a_leader_that_dies_between_a_publish_and_its_acknowledgement_costs_a_pause(
        self, cluster: Cluster, replicas: Replicas
    ) -> None:
        bus, db = replicas.bus, replicas.db
        async with partitions(
            bus, db, service="ledger", count=ledger.COUNT, store=ledger.store, tables=ledger.tables
        ) as owned:
            await eventually(owned.check)
            await loses_its_leader(subjects.DELIVERIES, "parley.out.", cluster, replicas)
            await cluster.mended(bus)
            await loses_its_leader(subjects.EVENTS, "parley.events.", cluster, replicas)

            await equals_an_undisturbed_run(replicas)


async def loses_its_leader(stream: str, prefix: str, cluster: Cluster, replicas: Replicas) -> None:
    """Kill who leads a stream, to which what begins with *prefix* is published, under load."""
    victim = await cluster.leader(replicas.bus, stream)
    async with replicas.traffic():
        await until_sent(replicas, 100)
        with dying_over(prefix, victim, replicas.bus) as fallen:
            await asyncio.wait_for(fallen.wait(), 20)
        await until_sent(replicas, 100)


@contextmanager
def dying_over(prefix: str, victim: Server, bus: Bus) -> Iterator[asyncio.Event]:
    """Have a server stand still just before the next publish below *prefix*, and killed just behind it."""
    publish = bus.client.publish
    fallen = asyncio.Event()

    async def fatal(subject: str, payload: bytes = b"", **options: Any) -> None:
        if not subject.startswith(prefix) or fallen.is_set():
            await publish(subject, payload, **options)
            return
        fallen.set()
        victim.pause()
        await publish(subject, payload, **options)
        await victim.kill()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bus.client, "publish", fatal)
        yield fallen
