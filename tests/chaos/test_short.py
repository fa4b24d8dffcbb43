"""The short run: faults of several kinds under load, and nothing lost. The long one is ``make chaos``."""

from pathlib import Path

import pytest
from chaos.cluster import Cluster
from chaos.faults import SHORT, schedule
from chaos.run import Size, chaos

SEED = 2


@pytest.mark.timeout(180)
async def test_nothing_is_lost_doubled_or_reordered_whatever_dies(tmp_path: Path) -> None:
    async with Cluster(tmp_path) as cluster:
        verdict = await chaos(cluster, tmp_path, SEED, SHORT, Size(calm=2.0), print)

    assert not verdict.violations
    assert verdict.said > 2000, "the clients had something to lose"
    assert verdict.resumed > 10, "the faults have hurt somebody"


def test_a_seed_is_a_schedule() -> None:
    assert schedule(7, 30) == schedule(7, 30)
    assert schedule(7, 30) != schedule(8, 30)


def test_a_long_schedule_has_every_kind() -> None:
    faults = schedule(1, 30)

    assert len(faults) == 30
    assert {fault.kind for fault in faults} == {"kill", "restart", "pause", "cut", "swallow"}
