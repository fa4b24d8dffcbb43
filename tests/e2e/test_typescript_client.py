"""The TypeScript client against a real Parley. What is tested stands in ``clients/js/test/*.live.ts``."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from e2e.playing import CLIENT, play
from support.instance import REAL, Instance

SECRET = secrets.token_urlsafe(32)


@pytest_asyncio.fixture(loop_scope="session")
async def production(tmp_path: Path) -> AsyncIterator[Instance]:
    """Give a Parley that lets nobody in without a token."""
    instance = Instance(tmp_path / "data", up=REAL, PARLEY_MODE="production", PARLEY_TOKEN_SECRET=SECRET)
    await instance.start()
    yield instance
    await instance.stop()


@pytest.mark.timeout(180)
async def test_the_typescript_client_and_the_server_understand_each_other(
    parley: Instance, production: Instance
) -> None:
    servers = {
        "PARLEY_URL": parley.url,
        "PARLEY_PRODUCTION_URL": production.url,
        "PARLEY_TOKEN_SECRET": SECRET,
    }
    await play("test:live", servers, folder=CLIENT)
