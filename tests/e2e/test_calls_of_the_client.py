"""The TypeScript client's calls, in a real browser against a real Parley. What is tested stands in ``sdk.e2e.mjs``."""

import asyncio
import os
from pathlib import Path

import pytest
from support.instance import Instance

HERE = Path(__file__).parent
CLIENT = HERE.parents[1] / "clients" / "js"


@pytest.mark.skipif(not (HERE / "node_modules").exists(), reason="`make e2e` installs the browser")
@pytest.mark.timeout(400)
async def test_clients_call_each_other_whatever_the_network_does(parley: Instance) -> None:
    if not (CLIENT / "dist" / "index.js").exists():
        pytest.fail("The client is not built: run `npm run build` in clients/js, or `make e2e`.")
    browser = await asyncio.create_subprocess_exec(
        *("npm", "run", "test:sdk", "--silent"),
        cwd=HERE,
        env=os.environ | {"PARLEY_URL": parley.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )

    said, _ = await browser.communicate()

    assert browser.returncode == 0, said.decode()
