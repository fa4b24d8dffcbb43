"""The examples of the tutorial do what it says: the page in a real browser, the chat in two terminals."""

import asyncio
import os
from pathlib import Path

import pytest
from support.instance import Instance

HERE = Path(__file__).parent
BUILT = HERE.parents[1] / "clients" / "js" / "dist" / "index.js"


@pytest.mark.skipif(not (HERE / "node_modules").exists(), reason="`make e2e` installs the browser")
@pytest.mark.timeout(180)
async def test_the_examples_of_the_tutorial_do_what_it_says(parley: Instance) -> None:
    if not BUILT.exists():
        pytest.fail("The client is not built: run `npm run build` in clients/js, or `make test`.")
    node = await asyncio.create_subprocess_exec(
        *("node", "--test", "examples.e2e.mjs"),
        cwd=HERE,
        env=os.environ | {"PARLEY_URL": parley.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )

    said, _ = await node.communicate()

    assert node.returncode == 0, said.decode()
