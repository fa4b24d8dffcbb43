"""
One part of an instance and its life: started, watched, started again when it dies, stopped.

What a part is (``Spec``) says nothing of its life, and the life nothing of what it is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from parley.cli.embedded.process import Process, Program
from parley.cli.last_words import last_words
from parley.cli.problem import Problem

FIRST_READY_SECONDS = 60.0
STARTING_POLL_SECONDS = 0.05
WATCHING_POLL_SECONDS = 1.0
ANSWER_SECONDS = 2.0
BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
CALM_SECONDS = 30.0
"""Having run this long, a part that dies is started again as if for the first time."""
STOP_SECONDS = 15.0
"""More than a gateway takes to say its last words (GATEWAY_DRAIN_SECONDS)."""

Check = Callable[[int], Awaitable[str | None]]
"""Given its process id, returns None when the part is ready, else what is missing."""


@dataclass(frozen=True)
class Spec:
    """What a part is: how it is started, where it listens, how one knows that it is ready."""

    name: str
    replica: int
    program: Callable[[], Program]
    """What to run; asked at each start."""
    check: Check
    address: str | None = None
    """``host:port`` where clients of its own protocol connect."""
    http: str | None = None
    """``host:port`` of its HTTP."""
    needs: tuple[str, ...] = ()
    """Names of the parts (and steps) that come before it, where there are such."""


@dataclass
class Part:
    """A part as it lives."""

    spec: Spec
    changed: Callable[[], None]
    """Called after every change that somebody may want to see."""
    process: Process | None = None
    """None before its first start, and between a death and the next start."""
    status: str = "waits"
    ready: bool = False
    restarts: int = 0
    was_ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it has been ready once."""

    @property
    def title(self) -> str:
        """Its name, and which replica where there are several."""
        return f"{self.spec.name}-{self.spec.replica}"

    async def missing(self) -> str | None:
        """Return why it is not ready, or None; asks the part itself."""
        process = self.process
        if process is None or not process.running:
            return self.status
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self.spec.check(process.pid)
        except TimeoutError:
            return f"does not answer within {ANSWER_SECONDS:g} s"
        except OSError as error:
            return f"does not answer ({error.strerror or error})"

    async def live(self) -> None:
        """Keep it running until cancelled; raise a Problem when it cannot even start."""
        deaths = 0
        while True:
            self._say("starts")
            self.process = process = Process(self.spec.program())
            began = asyncio.get_running_loop().time()
            await self._watch(process, began)
            words = last_words(process.program.log, process.log_offset)
            ending = _ending(process)
            if not self.was_ready.is_set():
                raise Problem(f"{self.title} cannot start: {words or ending} (its log: {process.program.log})")
            self.process = None
            self.restarts += 1
            deaths = 1 if asyncio.get_running_loop().time() - began > CALM_SECONDS else deaths + 1
            delay = BACKOFF_SECONDS[min(deaths, len(BACKOFF_SECONDS)) - 1]
            self._say(f"{ending}; starts again in {delay:g} s (its log: {process.program.log})")
            await asyncio.sleep(delay)

    async def stop(self) -> None:
        """End it in its own orderly way, or else at once."""
        if self.process:
            self._say("stops")
            await self.process.stop(STOP_SECONDS)
            self._say("stopped")

    async def kill(self) -> None:
        """End it at once."""
        if self.process:
            await self.process.kill()

    async def _watch(self, process: Process, began: float) -> None:
        """Follow the process to its end."""
        ended = asyncio.create_task(process.ended())
        pause = STARTING_POLL_SECONDS
        try:
            while not ended.done():
                missing = await self.missing()
                if ended.done():
                    break
                self._say(missing or "ready", ready=missing is None)
                if missing and not self.was_ready.is_set():
                    self._lose_patience(missing, began)
                if self.ready:
                    pause = WATCHING_POLL_SECONDS
                await asyncio.wait({ended}, timeout=pause)
        finally:
            ended.cancel()

    def _lose_patience(self, missing: str, began: float) -> None:
        if asyncio.get_running_loop().time() - began > FIRST_READY_SECONDS and self.process:
            raise Problem(
                f"{self.title} is not ready after {FIRST_READY_SECONDS:g} s: {missing} "
                f"(its log: {self.process.program.log})"
            )

    def _say(self, status: str, *, ready: bool = False) -> None:
        if ready:
            self.was_ready.set()
        if (self.status, self.ready) != (status, ready):
            self.status, self.ready = status, ready
            self.changed()


def _ending(process: Process) -> str:
    code = process.exit_code
    return f"killed by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
