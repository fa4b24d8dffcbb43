"""Who talks while something is hurt: couples, each in a room of its own, whose messages are all accounted for."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice

from benchmarks.faults.guest import Guest
from benchmarks.faults.ledger import Ledger
from benchmarks.wires import Parley

AT_ONCE = 64
STRAGGLERS = 60.0
"""Seconds after which what has not come is lost."""

BEAT = 0.005


class Couples:
    """Two and two who say something to each other, in turn directly and as chat, both acknowledged."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.guests: list[Guest] = []
        self._trouble: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._says: list[Callable[[], None]] = []
        """What may be said, in turn."""

    def fail(self, error: Exception) -> None:
        """End whatever waits."""
        if not self._trouble.done():
            self._trouble.set_exception(error)

    async def during(self, seconds: float) -> None:
        """Let time pass; raise what goes wrong."""
        await asyncio.wait((self._trouble,), timeout=seconds)
        if self._trouble.done():
            self._trouble.result()

    async def until(self, missing: Callable[[], int], within: float) -> bool:
        """Return whether nothing is missing any more before the time is over."""
        deadline = time.monotonic() + within
        while missing() > 0:
            if time.monotonic() > deadline:
                return False
            await self.during(0.05)
        return True

    async def come(self, number: int, doors: Sequence[str], tokens: Iterator[str]) -> None:
        """Let so many couples come to the first of *doors*, and join."""
        wire = Parley()
        self.guests = [Guest(doors, wire, token, self.ledger, self.fail) for token in islice(tokens, 2 * number)]
        for index in range(number):
            self._introduce(self.guests[2 * index], self.guests[2 * index + 1], f"benchmark-{index}")
        await _all(self.guests, lambda guest: guest.come())
        rooms = {guest: f"benchmark-{index // 2}" for index, guest in enumerate(self.guests)}
        await _all(self.guests, lambda guest: guest.join(rooms[guest]))

    @asynccontextmanager
    async def talking(self, per_second: float) -> AsyncIterator[None]:
        """Talk for the length of the block, and then listen until all has come, or what has not is lost."""
        talking = asyncio.create_task(self._talk(per_second))
        try:
            yield
        finally:
            talking.cancel()
            with suppress(asyncio.CancelledError):
                await talking
        await self.until(lambda: self.ledger.on_the_way + self.ledger.unanswered, STRAGGLERS)
        await self.during(1)  # what comes twice comes late

    def leave(self) -> None:
        for guest in self.guests:
            guest.leave()
        if self._trouble.done():
            self._trouble.exception()  # it was raised where somebody waited for it

    def _introduce(self, one: Guest, other: Guest, room: str) -> None:
        for speaker, hearer in ((one, other), (other, one)):
            direct, chat = self.ledger.path(1), self.ledger.path(2)
            hearer.listen(direct, 0)
            for listener, guest in enumerate((one, other)):
                guest.listen(chat, listener)
            self._says += [
                lambda speaker=speaker, path=direct, hearer=hearer: speaker.signal(path, hearer.id),  # type: ignore[misc]
                lambda speaker=speaker, path=chat: speaker.chat(path, room),  # type: ignore[misc]
            ]

    async def _talk(self, per_second: float) -> None:
        """Say so much a second, whether anything comes back or not."""
        began, turn = time.monotonic(), 0
        while True:
            while turn < (time.monotonic() - began) * per_second:
                self._says[turn % len(self._says)]()
                turn += 1
            await asyncio.sleep(BEAT)


async def _all(guests: Sequence[Guest], do: Callable[[Guest], Awaitable[None]]) -> None:
    """Have it done by all, so many at a time."""
    todo = list(guests)

    async def work() -> None:
        while todo:
            await do(todo.pop())

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


@asynccontextmanager
async def couples(number: int, doors: Sequence[str], tokens: Iterator[str]) -> AsyncIterator[Couples]:
    """Give so many couples that have joined their rooms."""
    them = Couples()
    try:
        await them.come(number, doors, tokens)
        yield them
    finally:
        them.leave()
