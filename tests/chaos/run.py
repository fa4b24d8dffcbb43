"""One run: a cluster, crowds that talk, faults that strike, rest, and what the checker says of it all."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from chaos import evidence, history
from chaos.checker import check
from chaos.cluster import Cluster
from chaos.crowd import Cast
from chaos.faults import Fault, strike
from chaos.history import History
from chaos.violation import Violation
from msgspec import Struct
from support.eventually import eventually

ROOMS: Final = tuple(f"room {number}" for number in range(6))
SETTLING_SECONDS: Final = 40.0
GHOST_SECONDS: Final = 45.0
"""After this long nobody may be left who is not there: lease, a TTL, grace, and some."""

Tell = Callable[[str], None]


class Size(Struct, frozen=True):
    """How many clients, in how many processes, and how much they say."""

    crowds: int = 2
    speakers: int = 12
    """In each crowd."""
    guests: int = 3
    rate: float = 200.0
    """Of things said each second, by all."""
    calm: float = 3.0
    """Seconds without faults at the beginning, and at the end."""


class Report(Struct, frozen=True):
    """What came out."""

    violations: tuple[Violation, ...]
    said: int
    heard: int
    resumed: int
    begun_anew: int
    events: int
    posted: int
    seconds: float
    resting: float
    """How long it took until nothing was left to be done."""

    def __str__(self) -> str:
        return (
            f"{self.said} frames said, {self.heard} heard, {self.resumed} resumes, {self.begun_anew} beginnings, "
            f"{self.events} events, {self.posted} chats in history; at rest after {self.resting:.1f} s; "
            f"{self.seconds:.0f} s in all"
        )


class Crowd:
    """A crowd's process, from this side."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def order(self, word: str, answer: str, within: float, tell: Tell) -> None:
        """Give an order and wait for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(word.encode() + b"\n")
        said = ""
        try:
            async with asyncio.timeout(within):
                while line := (await self._process.stdout.readline()).decode().strip():
                    if line == answer:
                        return
                    said = line
        except TimeoutError:
            tell(f"the crowd {said}")
            return
        raise RuntimeError("a crowd has ended by itself; its standard error says why")


@asynccontextmanager
async def crowd(cast: Cast) -> AsyncIterator[Crowd]:
    """Run a crowd for the length of the block."""
    words = (sys.executable, "-m", "chaos.crowd")
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[1]
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(cast) + b"\n")
    try:
        yield Crowd(process)
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


class Run:
    """What all kinds of runs share."""

    def __init__(self, cluster: Cluster, folder: Path, seed: int, size: Size, tell: Tell) -> None:
        self.cluster = cluster
        self.seed = seed
        self.tell = tell
        self._size = size
        self._folder = folder
        self._books = [folder / f"crowd-{number}.jsonl" for number in range(size.crowds)]
        self._crowds: list[Crowd] = []
        self._exits = AsyncExitStack()
        self._began = time.monotonic()
        self.resting = 0.0

    async def begin(self) -> None:
        """Let the crowds come."""
        size = self._size
        for number, book in enumerate(self._books):
            cast = Cast(
                seed=self.seed,
                speakers=tuple(f"s{number}{one:02}" for one in range(size.speakers)),
                guests=tuple(f"g{number}{one:02}" for one in range(size.guests)),
                doors=self.cluster.doors,
                rooms=ROOMS,
                rate=size.rate / size.crowds,
                book=str(book),
            )
            self._crowds.append(await self._exits.enter_async_context(crowd(cast)))

    async def close(self) -> None:
        """End the crowds."""
        await self._exits.aclose()

    async def settle(self) -> None:
        """Let everybody fall quiet and have their answers."""
        await asyncio.gather(*(one.order("quiet", "settled", SETTLING_SECONDS, self.tell) for one in self._crowds))

    async def leave(self) -> None:
        """Let everybody say goodbye."""
        await asyncio.gather(*(one.order("leave", "left", 10, self.tell) for one in self._crowds))

    async def history(self, *, deep: bool = True) -> History:
        """Return all there is to know; without being *deep* not what history lists over REST."""
        state = self.cluster.state
        records = history.read(self._books)
        kept = await evidence.rest(state["frontDoor"] if "frontDoor" in state else state["front_door"])
        tables = await evidence.tables(state["database"])
        if deep:
            rooms = tuple(sorted({posted.room for posted in tables.posted}))
            front_door = state["frontDoor"] if "frontDoor" in state else state["front_door"]
            kept = msgspec.structs.replace(kept, posted=await evidence.said(front_door, rooms))
        else:
            kept = msgspec.structs.replace(kept, posted=tables.posted)
        return History(
            records=tuple(records), events=await evidence.events(state["nats"]), tables=tables, rest=kept
        )

    async def rest(self) -> tuple[Violation, ...]:
        """Wait until nothing is left to be done, and return what is wrong then."""
        began = time.monotonic()
        found: tuple[Violation, ...] = ()

        async def look() -> list[str]:
            nonlocal found
            found = tuple(check(await self.history()))
            return [str(one) for one in found]

        try:
            await eventually(look, GHOST_SECONDS)
        except AssertionError:
            self.tell(f"not at rest after {GHOST_SECONDS:g} s")
        self.resting = time.monotonic() - began
        return found

    async def report(self, violations: Sequence[Violation]) -> Report:
        """Return what came out."""
        records = history.read(self._books)
        kept = await evidence.tables(self.cluster.state["database"])
        came = [record for record in records if isinstance(record, history.Came)]
        return Report(
            violations=tuple(violations),
            said=sum(isinstance(record, history.Said) for record in records),
            heard=sum(isinstance(record, history.Heard | history.Read) for record in records),
            resumed=sum(record.resumed for record in came),
            begun_anew=sum(not record.resumed for record in came),
            events=len(await evidence.events(self.cluster.state["nats"])),
            posted=len(kept.posted),
            seconds=time.monotonic() - self._began,
            resting=self.resting,
        )


async def chaos(cluster: Cluster, folder: Path, seed: int, faults: Sequence[Fault], size: Size, tell: Tell) -> Report:
    """Let *faults* happen while crowds talk, and report what the checker says, at rest and after all have left."""
    run = Run(cluster, folder, seed, size, tell)
    rng = Random(f"strikes {seed}")
    try:
        await run.begin()
        await asyncio.sleep(size.calm)
        for number, fault in enumerate(faults, 1):
            tell(f"{number}/{len(faults)} {fault}")
            await strike(cluster, fault, rng)
            await asyncio.sleep(fault.pause)
        await cluster.ready()
        await asyncio.sleep(size.calm)
        tell("quiet")
        await run.settle()
        violations = await run.rest()
        if not violations:
            tell("goodbye")
            await run.leave()
            violations = await run.rest()
        return await run.report(violations)
    finally:
        await run.close()
