"""The console in a real browser, against a real Parley with real clients; the stories stand in `console.e2e.mjs`."""

import asyncio
import os
from pathlib import Path

import pytest
from support.instance import Instance

HERE = Path(__file__).parent


def token(parley: Instance, lifetime: str) -> str:
    """Return a token of somebody who may do everything in an app."""
    minted = parley.parley("token", "--admin", "--app", "operated", "--sub", "olga", "--for", lifetime)
    return minted.stdout.strip()


@pytest.mark.skipif(not (HERE / "node_modules").exists(), reason="`make e2e` installs the browser")
@pytest.mark.timeout(300)
async def test_an_operator_sees_what_happens_at_the_console(parley: Instance) -> None:
    traced = {"PARLEY_TRACES": "http://traces.test/"}
    tokens = {"PARLEY_EXPIRED_TOKEN": token(parley, "1s"), "PARLEY_ADMIN_TOKEN": token(parley, "1h")}
    browser = await asyncio.create_subprocess_exec(
        *("npm", "run", "test:console", "--silent"),
        cwd=HERE,
        env=os.environ | {"PARLEY_URL": parley.url} | traced | tokens,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )

    said, _ = await browser.communicate()

    assert browser.returncode == 0, said.decode()
