"""Real child processes of a service that consists of the kit alone."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support import small_service
from support.child import Child, Start


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Give a function that starts the small service, with arguments and variables."""
    children: list[Child] = []

    async def start(*arguments: str, **variables: str) -> Child:
        environment = {"PATH": os.environ["PATH"], "SMALL_READY_FILE": str(tmp_path / "ready")} | variables
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", str(small_service.__file__)),  # -P: its neighbours are no part of it
            *arguments,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        children.append(Child(process, tmp_path))
        return children[-1]

    yield start
    for child in children:
        if child.process.returncode is None:
            child.process.kill()
        await child.ended()
