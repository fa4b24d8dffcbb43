"""The TypeScript client against a real Parley. What is tested stands in ``clients/js/test/*.live.ts``."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.instance import REAL, Instance

CLIENT = Path(__file__).parents[2] / "clients" / "js"
SECONDS = 120
SECRET = secrets.token_urlsafe(32)


@pytest_asyncio.fixture(loop_scope="session")
async def production(tmp_path: Path) -> AsyncIterator[Instance]:
    """Give a Parley that lets nobody in without a token."""
    instance = Instance(tmp_path / "data", up=REAL, PARLEY_MODE="production", PARLEY_TOKEN_SECRET=SECRET)
    await instance.start()
    yield instance
    await instance.stop()


@pytest.mark.timeout(SECONDS + 60)
async def test_the_typescript_client_and_the_server_understand_each_other(
    parley: Instance, production: Instance
) -> None:
    if not (CLIENT / "node_modules" / "ws").exists():
        pytest.fail("The client's tools are not installed: run `npm install` in clients/js, or `make test`.")
    servers = {
        "PARLEY_URL": parley.url,
        "PARLEY_PRODUCTION_URL": production.url,
        "PARLEY_TOKEN_SECRET": SECRET,
    }
    node = await asyncio.create_subprocess_exec(
        "npm",
        "run",
        "test:live",
        "--silent",
        cwd=CLIENT,
        env=os.environ | servers,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )

    async with asyncio.timeout(SECONDS):
        said, _ = await node.communicate()

    assert node.returncode == 0, said.decode()
