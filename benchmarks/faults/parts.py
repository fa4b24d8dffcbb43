"""The processes of a Parley, to be hurt one by one. A part is named as `parley status` names it: `rooms-1`."""

import asyncio
import os
import signal
import time

import msgspec
import psutil

from benchmarks.systems import used
from benchmarks.wires import Wrong
from parley.cli import ask
from parley.cli.control import PartReport
from parley.cli.status import Parts as Found


class Parts:
    """What the supervisor starts again whenever it ends."""

    def __init__(self, control: str) -> None:
        self._control = control

    async def look(self) -> dict[str, PartReport]:
        """Return how all are."""
        answer = await ask.get(self._control, "/readyz", within=10)
        parts = msgspec.json.decode(answer.body, type=Found).parts
        return {f"{part.name}-{part.replica}": part for part in parts}

    async def addresses(self, name: str) -> list[str]:
        """Return where its replicas listen."""
        return [str(part.address) for part in (await self.look()).values() if part.name == name]

    async def kill(self, part: str) -> float:
        """End it without a word; return when, in monotonic seconds."""
        return await self._send(part, signal.SIGKILL)

    async def replace(self, part: str, within: float = 60) -> None:
        """Ask it to end, and return when another is ready in its place."""
        before = (await self.look())[part].pid
        deadline = time.monotonic() + within
        await self._send(part, signal.SIGTERM)
        while True:
            now = (await self.look())[part]
            if now.ready and now.pid not in (None, before):
                return
            if time.monotonic() > deadline:
                raise Wrong(f"{part} was not replaced after {within:g} seconds: {now.status}.")
            await asyncio.sleep(0.1)

    async def processor_seconds(self) -> dict[str, float]:
        """Return what each has used so far: on a busy machine that says more than the time it took."""
        return {
            f"seconds of {name}": used(psutil.Process(part.pid))
            for name, part in (await self.look()).items()
            if part.pid
        }

    async def _send(self, part: str, number: signal.Signals) -> float:
        pid = (await self.look())[part].pid
        assert pid is not None
        os.kill(pid, number)
        return time.monotonic()
