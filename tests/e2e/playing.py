"""Stories that are told in JavaScript, where their subject lives: an npm script that must end well."""

import asyncio
import os
import signal
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
CLIENT = HERE.parents[1] / "clients" / "js"


async def play(script: str, environ: Mapping[str, str], *, folder: Path = HERE) -> None:
    """Run the npm *script* of *folder*, with *environ* besides our own; fail with all that it said."""
    node = await asyncio.create_subprocess_exec(
        *("npm", "run", script, "--silent"),
        cwd=folder,
        env={**os.environ, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = await node.communicate()
    finally:
        if node.returncode is None:  # npm's children, a browser among them, would go on
            os.killpg(node.pid, signal.SIGKILL)
    assert node.returncode == 0, said.decode()
