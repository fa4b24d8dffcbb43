"""The TypeScript client against a real Parley. What is tested stands in ``clients/js/test/parley.live.ts``."""

import asyncio
import os
from pathlib import Path

import pytest
from support.instance import Instance

CLIENT = Path(__file__).parents[2] / "clients" / "js"
SECONDS = 120


@pytest.mark.timeout(SECONDS + 60)
async def test_the_typescript_client_and_the_server_understand_each_other(parley: Instance) -> None:
    if not (CLIENT / "node_modules" / "ws").exists():
        pytest.fail("The client's tools are not installed: run `npm install` in clients/js, or `make test`.")
    node = await asyncio.create_subprocess_exec(
        "npm",
        "run",
        "test:live",
        "--silent",
        cwd=CLIENT,
        env=os.environ | {"PARLEY_URL": parley.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )

    async with asyncio.timeout(SECONDS):
        said, _ = await node.communicate()

    assert node.returncode == 0, said.decode()
