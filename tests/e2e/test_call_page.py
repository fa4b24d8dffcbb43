"""The call page, in a real browser against a real Parley: two tabs, fake cameras, chat."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest
from support.instance import PARLEY, Instance

HERE = Path(__file__).parent


@pytest.mark.skipif(not (HERE / "node_modules").exists(), reason="`make e2e` installs the browser")
@pytest.mark.timeout(400)
async def test_people_call_each_other_on_the_call_page(parley: Instance) -> None:
    browser = await asyncio.create_subprocess_exec(
        *("npm", "test", "--silent"),
        cwd=HERE,
        env=os.environ | parley.env | {"PARLEY_URL": parley.url, "PARLEY_COMMAND": json.dumps(PARLEY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )

    said, _ = await browser.communicate()

    assert browser.returncode == 0, said.decode()
