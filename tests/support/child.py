"""A service as a process of its own: what it says, what it logs, and how it ends."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from support.eventually import eventually


class Child:
    """A child process whose standard output is lines of text, and whose log is JSON lines."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self.ready_file = folder / "ready"
        self.said: list[str] = []
        self.logged: list[dict[str, Any]] = []
        self.errors = ""
        self._reading = asyncio.gather(self._read_out(), self._read_errors())

    async def _read_out(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            self.said.append(line.decode().strip())

    async def _read_errors(self) -> None:
        assert self.process.stderr
        async for line in self.process.stderr:
            self.errors += line.decode()
            if line.startswith(b"{"):
                self.logged.append(msgspec.json.decode(line))

    async def ready(self) -> str:
        """Return the address of its HTTP port, once it is open."""
        await eventually(lambda: None if self.ready_file.exists() else f"not ready: {self.said} {self.errors}")
        address: str = msgspec.json.decode(self.ready_file.read_bytes())["http"]
        return address

    async def says(self, line: str) -> None:
        """Wait until it has said *line*."""
        await eventually(lambda: None if line in self.said else f"{line!r} is not in {self.said} {self.errors}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Return its exit code, once it has ended."""
        async with asyncio.timeout(30):
            code = await self.process.wait()
            await self._reading
        return code


Start = Callable[..., Awaitable[Child]]
