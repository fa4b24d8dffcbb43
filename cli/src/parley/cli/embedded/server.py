"""One embedded server, started and stopped by hand: for tests and small programs."""

import asyncio
from types import TracebackType
from typing import Protocol, Self

from parley.cli.embedded.process import POLL_SECONDS, Process, Program
from parley.cli.problem import Problem


class Embedded(Protocol):
    """How a server is prepared, started and known to be ready."""

    @property
    def name(self) -> str:
        """Its name in messages."""

    @property
    def url(self) -> str:
        """Where clients find it; known before it runs, and the same after a restart."""

    @property
    def address(self) -> str:
        """``host:port`` of the same."""

    @property
    def program(self) -> Program:
        """What to run, once prepared."""

    async def prepare(self) -> None:
        """Make what must be there before it starts."""

    async def is_ready(self, pid: int) -> bool:
        """Return whether the process *pid* serves clients."""


class Server:
    """
    A server that runs while entered.

        async with Server(Nats(folder)) as nats:
            await connect(nats.url)

    In between it may be killed, paused and started again, always at the same URL.
    """

    def __init__(self, kind: Embedded) -> None:
        self.kind = kind
        self.process: Process | None = None
        """None before the first start."""

    @property
    def url(self) -> str:
        """Where clients find it."""
        return self.kind.url

    async def start(self, within: float = 30) -> None:
        """Start it and return when it is ready."""
        await self.kind.prepare()
        self.process = process = Process(self.kind.program)
        try:
            async with asyncio.timeout(within):
                await until_ready(self.kind, process)
        except BaseException:
            await process.kill()
            raise

    async def stop(self) -> None:
        """Stop it in its own orderly way."""
        if self.process:
            await self.process.stop()

    async def kill(self) -> None:
        """End it without a word, as a power cut would."""
        if self.process:
            await self.process.kill()

    async def restart(self) -> None:
        """Kill it and start it again."""
        await self.kill()
        await self.start()

    def pause(self) -> None:
        """Stop it where it stands."""
        if self.process:
            self.process.pause()

    def resume(self) -> None:
        """Let it go on."""
        if self.process:
            self.process.resume()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


async def until_ready(kind: Embedded, process: Process) -> None:
    """Wait until the process serves clients; raise when it ended instead."""
    while not await kind.is_ready(process.pid):
        if process.exit_code is not None:
            raise Problem(f"{kind.name} ended with code {process.exit_code}; its log is {process.program.log}.")
        await asyncio.sleep(POLL_SECONDS)
