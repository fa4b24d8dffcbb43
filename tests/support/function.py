"""``parley function`` as a process of its own, and the NATS requests that a gateway makes."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psutil
from nats.aio.client import Client
from support.eventually import eventually

from parley.protocol import subjects

WITHIN = 60.0
"""Seconds in which whatever a test waits for happens on a busy machine."""


class Answered(NamedTuple):
    """What came back over NATS."""

    result: Any
    error: str | None
    """The header that says so."""


class Served:
    """One ``parley function``, as a test sees it."""

    def __init__(self, process: Process, client: Client) -> None:
        self.process = process
        self.client = client
        self.said = ""
        """What it and its copies have printed and logged."""
        assert process.stdout
        self._reading = asyncio.create_task(self._read(process.stdout))

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while words := await stream.read(65536):
            self.said += words.decode()

    async def ask(
        self, event: Any = None, route: str = "sendMsg", *, app: str = "default", headers: dict[str, str] | None = None
    ) -> Answered:
        """Send an event, as a gateway does."""
        subject = subjects.route(app, route)
        answer = await self.client.request(subject, msgspec.json.encode(event), timeout=WITHIN, headers=headers)
        return Answered(msgspec.json.decode(answer.data), (answer.headers or {}).get("X-Amz-Function-Error"))

    async def says(self, words: str) -> None:
        """Wait until it has said *words*."""
        await eventually(
            lambda: None if words in self.said else f"it has not said {words!r}, only: {self.said}", WITHIN
        )

    def copies(self) -> list[int]:
        """The processes of its copies."""
        return [child.pid for child in psutil.Process(self.process.pid).children()]

    async def ended(self) -> int:
        """Return its exit code, once it and its copies have ended and all they said is read."""
        async with asyncio.timeout(WITHIN):
            await self._reading
            return await self.process.wait()


Serve = Callable[..., Any]


@asynccontextmanager
async def function(
    nats_url: str, folder: Path, *arguments: str, environ: Mapping[str, str] | None = None, ready: bool = True
) -> AsyncIterator[Served]:
    """Run ``parley function`` in *folder*, behind the route ``sendMsg``."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "parley.cli", "function", "--nats", nats_url, "--route", "sendMsg", *arguments),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **(environ or {})},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    client = Client()
    await client.connect(nats_url)
    served = Served(process, client)
    try:
        if ready:
            await eventually(lambda: _serving(served), WITHIN)
        yield served
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)  # its copies end with it
        await served.ended()
        await client.close()


def _serving(served: Served) -> str | None:
    assert served.process.returncode is None, served.said
    return None if '"serving"' in served.said else f"it does not serve yet: {served.said}"


def until(path: Path) -> Awaitable[None]:
    """Wait for a file that a handler makes."""
    return eventually(lambda: None if path.exists() else f"there is no {path.name}", WITHIN)
