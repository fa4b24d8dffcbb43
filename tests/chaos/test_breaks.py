"""Each rule of `breaks.py` is there for something: with it broken, and nothing else, the checker complains."""

import asyncio
from pathlib import Path
from random import Random

import pytest
from chaos.breaks import BREAKS
from chaos.cluster import Cluster, broken
from chaos.faults import PROVOKING, strike
from chaos.run import Run, Size

CALM_SECONDS = 4.0


@pytest.mark.chaos
@pytest.mark.timeout(360)
@pytest.mark.parametrize("rule", PROVOKING)
async def test_a_broken_rule_is_noticed(tmp_path: Path, rule: str) -> None:
    async with Cluster(tmp_path, broken(rule)) as cluster, Run(cluster, tmp_path, 1, Size(), print) as run:
        await asyncio.sleep(CALM_SECONDS)
        for fault in PROVOKING[rule]:
            await strike(cluster, fault, Random(rule))
            await asyncio.sleep(fault.pause)
        await cluster.ready()
        await run.settle()

        assert (await run.rest()).violations


def test_every_break_is_provoked() -> None:
    assert PROVOKING.keys() == BREAKS.keys() - {"poison"}
