"""npm's peerjs, unmodified, in a real browser."""

import asyncio
import os
from pathlib import Path

import pytest
from support.instance import Instance

CLIENTS = Path(__file__).parents[1] / "clients" / "peerjs"


@pytest.mark.conformance
@pytest.mark.timeout(400)
async def test_peers_find_one_another_talk_and_call(parley: Instance) -> None:
    browser = await asyncio.create_subprocess_exec(
        *("node", "--test", "--test-reporter=spec", "peers.e2e.mjs"),
        cwd=CLIENTS,
        env=dict(os.environ) | {"PARLEY_URL": parley.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )

    said, _ = await browser.communicate()

    assert browser.returncode == 0, said.decode()
