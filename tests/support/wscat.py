"""wscat in a terminal, as somebody sits before it who tries a socket out."""

import asyncio
import os
import pty
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

PROGRAM = Path(__file__).parents[1] / "clients" / "wscat" / "node_modules" / ".bin" / "wscat"
PATIENCE_SECONDS = 20.0

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Wscat:
    """One terminal."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._printed = ""
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(terminal, self._read)

    def types(self, line: str) -> None:
        """Type a line, and return."""
        os.write(self._terminal, line.encode() + b"\r")

    async def prints(self, line: str) -> None:
        """Wait until a line is printed, behind those that were waited for before."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (found := re.search(rf"^(> )*{line}$", self._printed, re.MULTILINE)) is None:
                self._more.clear()
                await self._more.wait()
        self._printed = self._printed[found.end() :]

    @property
    def printed(self) -> str:
        """What is printed behind the last line that was waited for."""
        return self._printed

    def close(self) -> None:
        """Leave the terminal."""
        self._stop()
        os.close(self._terminal)

    def _read(self) -> None:
        try:
            self._printed += _CONTROL.sub("", os.read(self._terminal, 65536).decode())
        except OSError:  # the program has ended
            self._stop()
        self._more.set()

    def _stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self._terminal)


@asynccontextmanager
async def wscat(*arguments: str) -> AsyncIterator[Wscat]:
    """Give a terminal in which wscat runs."""
    ours, its = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "--no-color", *arguments, stdin=its, stdout=its, stderr=its, start_new_session=True
    )
    os.close(its)
    terminal = Wscat(ours)
    try:
        yield terminal
    finally:
        terminal.close()
        if process.returncode is None:
            process.kill()  # it may hang in its terminal, which is gone
        await process.wait()
