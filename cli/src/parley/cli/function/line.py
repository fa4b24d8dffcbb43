"""Where events wait for somebody who is free, and the slots in which so many are worked on at once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import uuid4


@dataclass(frozen=True)
class Request:
    """One event that came over NATS."""

    payload: bytes
    reply: str
    """Where the answer goes; empty if nobody waits for one."""
    traceparent: str | None
    """The span of whoever asks."""
    id: str = field(default_factory=lambda: str(uuid4()))
    """What the handler knows as ``aws_request_id``."""


class Line:
    """First come, first served, up to a limit."""

    def __init__(self, limit: int) -> None:
        self._waiting: asyncio.Queue[Request] = asyncio.Queue(limit)

    def put(self, request: Request) -> bool:
        """Take *request* in, unless too many wait already."""
        try:
            self._waiting.put_nowait(request)
        except asyncio.QueueFull:
            return False
        return True

    async def take(self) -> Request:
        """Return the one that has waited longest; ``done`` is called after it."""
        return await self._waiting.get()

    def take_waiting(self) -> list[Request]:
        """Return all that wait; ``done`` is called after each."""
        return [self._waiting.get_nowait() for _ in range(self._waiting.qsize())]

    def done(self) -> None:
        """Note that one that was taken is answered."""
        self._waiting.task_done()

    async def answered(self) -> None:
        """Wait until nobody waits, and all that were taken are answered."""
        await self._waiting.join()


class Slots:
    """So many requests of a line, worked on at once. A bug in the work ends *group*."""

    def __init__(
        self, group: asyncio.TaskGroup, line: Line, work: Callable[[Request], Awaitable[None]], count: int
    ) -> None:
        self._line = line
        self._work = work
        self._closed = False
        self._idle: set[asyncio.Task[None]] = set()
        self._tasks = [group.create_task(self._serve()) for _ in range(count)]

    def close(self) -> None:
        """Take no more; what has been taken is worked on to its end."""
        self._closed = True
        for task in self._idle:
            task.cancel()

    async def finished(self) -> None:
        """Wait, after ``close``, for the last one's end."""
        await asyncio.wait(self._tasks)

    async def _serve(self) -> None:
        task = asyncio.current_task()
        assert task
        while not self._closed:
            self._idle.add(task)
            try:
                request = await self._line.take()
            finally:
                self._idle.discard(task)
            try:
                await self._work(request)
            finally:
                self._line.done()
