"""The copies of a handler: so many at any time, each replaced when it dies or hangs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import structlog

from parley.cli.function.answer import Answer, failure
from parley.cli.function.copy import CannotLoad, Copy, Function
from parley.cli.function.line import Line, Request, Slots
from parley.cli.part import BACKOFF_SECONDS, CALM_SECONDS
from parley.cli.problem import Problem

Work = Callable[[Request, Callable[[Request], Awaitable[Answer]]], Awaitable[None]]
"""Has a request answered by what it is given, and the answer sent."""

_log = structlog.get_logger("parley.function")


@asynccontextmanager
async def copies(function: Function, count: int, line: Line, work: Work) -> AsyncIterator[None]:
    """
    Keep *count* copies taking requests from *line* while the block runs.

    It begins when all have loaded, and is never begun when one does not; that is raised as a Problem.
    """
    try:
        async with asyncio.TaskGroup() as group:
            keeper = _Keeper(function, line, work, group)
            loaded = [asyncio.Event() for _ in range(count)]
            places = [group.create_task(keeper.keep(event)) for event in loaded]
            for event in loaded:
                await event.wait()
            yield
            for place in places:
                place.cancel()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


class _Keeper:
    """Starts copies, and again when they end."""

    def __init__(self, function: Function, line: Line, work: Work, group: asyncio.TaskGroup) -> None:
        self._function = function
        self._line = line
        self._work = work
        self._group = group
        self._copies: set[Copy] = set()

    async def keep(self, loaded: asyncio.Event) -> None:
        """Keep one copy until cancelled."""
        clock = asyncio.get_running_loop().time
        deaths = 0
        while True:
            began = clock()
            try:
                copy = await Copy.start(self._function)
            except CannotLoad as error:
                if not loaded.is_set():
                    raise Problem(f"{self._function.handler} cannot be loaded: {error}.") from None
                words = f"{self._function.handler} cannot be loaded any more: {error}"
                await self._fail_waiting(error)
            else:
                loaded.set()
                await self._serve(copy)
                if copy.overrun:
                    _log.warning("a handler took too long; its process is replaced", seconds=self._function.timeout)
                    continue
                words = f"a copy has ended ({copy.ending})"
            deaths = 1 if clock() - began > CALM_SECONDS else deaths + 1
            delay = BACKOFF_SECONDS[min(deaths, len(BACKOFF_SECONDS)) - 1]
            _log.warning("a copy starts again", hint=words, seconds=delay)
            await asyncio.sleep(delay)

    async def _serve(self, copy: Copy) -> None:
        """Give requests to *copy* for as long as it takes them; its last ones it finishes behind our back."""
        self._copies.add(copy)
        slots = Slots(self._group, self._line, partial(self._work_with, copy), self._function.concurrency)
        try:
            await copy.over.wait()
        except asyncio.CancelledError:
            await _end(copy, slots)
            raise
        finally:
            self._copies.discard(copy)
        self._group.create_task(_end(copy, slots))

    async def _work_with(self, copy: Copy, request: Request) -> None:
        await self._work(request, copy.invoke)

    async def _fail_waiting(self, error: CannotLoad) -> None:
        """Answer those that wait, if nobody is left to take them: as Lambda does, where each call tries to load."""

        async def say(request: Request) -> Answer:
            return failure(error.kind, str(error), request.id)

        if not self._copies:
            for request in self._line.take_waiting():
                await self._work(request, say)
                self._line.done()


async def _end(copy: Copy, slots: Slots) -> None:
    slots.close()
    await slots.finished()
    await copy.end()
