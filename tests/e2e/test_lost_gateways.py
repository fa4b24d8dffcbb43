"""Clients whose gateway is killed, on an instance of two: what is tested stands in JavaScript, beside its subject."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.instance import PARLEY, REAL, Instance

HERE = Path(__file__).parent
CLIENT = HERE.parents[1] / "clients" / "js"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Instance]:
    """Give a Parley with two gateways, which forget a lost client sooner than by default."""
    instance = Instance(tmp_path_factory.mktemp("lost") / "data", up=REAL, GATEWAY_GRACE_SECONDS="3")
    await instance.start("--scale", "gateway=2")
    yield instance
    found = await asyncio.to_thread(instance.parley, "doctor", "--patience", "20")
    await instance.stop()
    assert found.returncode == 0, found.stdout  # nothing is left over


async def play(script: str, folder: Path, instance: Instance) -> None:
    """Run an npm script that may end the instance's gateways."""
    told = {"PARLEY_URL": instance.url, "PARLEY_COMMAND": json.dumps(PARLEY)}
    node = await asyncio.create_subprocess_exec(
        *("npm", "run", script, "--silent"),
        cwd=folder,
        env=os.environ | instance.env | told,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await node.communicate()

    assert node.returncode == 0, said.decode()


@pytest.mark.timeout(300)
async def test_the_typescript_client_loses_nothing_with_its_gateway(two: Instance) -> None:
    if not (CLIENT / "node_modules" / "ws").exists():
        pytest.fail("The client's tools are not installed: run `npm install` in clients/js, or `make test`.")
    await play("test:gateways", CLIENT, two)


@pytest.mark.skipif(not (HERE / "node_modules").exists(), reason="`make e2e` installs the browser")
@pytest.mark.timeout(240)
async def test_a_call_on_the_page_outlives_every_gateway(two: Instance) -> None:
    await play("test:gateways", HERE, two)
