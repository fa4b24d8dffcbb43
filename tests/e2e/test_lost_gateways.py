"""Clients whose gateway is killed, on an instance of two: what is tested stands in JavaScript, beside its subject."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from e2e.playing import CLIENT, play
from support.instance import PARLEY, REAL, Instance

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.e2e]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Instance]:
    """Give a Parley with two gateways, which forget a lost client sooner than by default."""
    instance = Instance(tmp_path_factory.mktemp("lost") / "data", up=REAL, GATEWAY_GRACE_SECONDS="3")
    await instance.start("--scale", "gateway=2")
    yield instance
    found = await asyncio.to_thread(instance.parley, "doctor", "--patience", "20")
    await instance.stop()
    assert found.returncode == 0, found.stdout  # nothing is left over


@pytest.mark.timeout(300)
async def test_the_typescript_client_loses_nothing_with_its_gateway(two: Instance) -> None:
    await play("test:gateways", told(two), folder=CLIENT)


@pytest.mark.timeout(240)
async def test_a_call_on_the_page_outlives_every_gateway(two: Instance) -> None:
    await play("test:gateways", told(two))


def told(instance: Instance) -> dict[str, str]:
    """Return what a script needs that ends the instance's gateways."""
    return instance.env | {"PARLEY_URL": instance.url, "PARLEY_COMMAND": json.dumps(PARLEY)}
