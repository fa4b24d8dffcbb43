"""One run: a cluster, crowds that talk, faults that strike, rest, and what the checker says of it all."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Final, Self

import msgspec
from chaos.cluster import Cluster
from chaos.crowd import Cast
from chaos.faults import Fault, strike
from chaos.judge import Trial, Verdict
from msgspec import Struct

ROOMS: Final = tuple(f"room {number}" for number in range(6))
SETTLING_SECONDS: Final = 40.0
GHOST_SECONDS: Final = 45.0
"""After this long nobody may be left who is not there: lease, a TTL, grace, and some."""
PATIENCE_SECONDS: Final = 4.0
"""Whoever takes longer than this is asked why."""
LOOK_SECONDS: Final = 0.5
SHOWN: Final = 10
"""Violations that are told at once; the verdict has all."""
VERDICT_BYTES: Final = 1 << 24

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


class Helper:
    """A process of this suite: it is told something in a line, and answers in lines."""

    def __init__(self, process: asyncio.subprocess.Process, title: str) -> None:
        self._process = process
        self._title = title

    async def line(self) -> bytes:
        """Return its next line."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._title} has ended by itself; its standard error says why")
        return line.rstrip()

    def say(self, words: bytes) -> None:
        """Say a line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(words + b"\n")


@asynccontextmanager
async def helper(module: str, title: str) -> AsyncIterator[Helper]:
    """Run a module of this suite for the length of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
        limit=VERDICT_BYTES,
    )
    assert process.stdin is not None
    try:
        yield Helper(process, title)
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


class Run:
    """Crowds at a cluster, and a judge."""

    def __init__(self, cluster: Cluster, folder: Path, seed: int, size: Size, tell: Tell) -> None:
        self.cluster = cluster
        self.tell = tell
        self.resting = 0.0
        """Seconds until nothing was left to be done, whenever we waited for that."""
        self.excused: list[tuple[float, float]] = []
        self.earlier = ""
        self._seed = seed
        self._size = size
        self._books = tuple(str(folder / f"crowd-{number}.jsonl") for number in range(size.crowds))
        self._crowds: list[Helper] = []
        self._judge: Helper
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        size = self._size
        self._judge = await self._exits.enter_async_context(helper("chaos.judge", "the judge"))
        for number, book in enumerate(self._books):
            cast = Cast(
                seed=self._seed,
                speakers=tuple(f"s{number}{one:02}" for one in range(size.speakers)),
                guests=tuple(f"g{number}{one:02}" for one in range(size.guests)),
                doors=self.cluster.doors,
                rooms=ROOMS,
                rate=size.rate / size.crowds,
                book=book,
            )
            crowd = await self._exits.enter_async_context(helper("chaos.crowd", f"crowd {number}"))
            crowd.say(msgspec.json.encode(cast))
            self._crowds.append(crowd)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exits.aclose()

    async def settle(self) -> None:
        """Let everybody fall quiet and have their answers."""
        await self._order(b"quiet", b"settled", SETTLING_SECONDS)

    def talk(self) -> None:
        """Let everybody talk again."""
        for crowd in self._crowds:
            crowd.say(b"talk")

    async def leave(self) -> None:
        """Let everybody say goodbye."""
        await self._order(b"leave", b"left", 15)

    async def verdict(self, keep_events: str = "") -> Verdict:
        """Return what the checker says now."""
        state = self.cluster.state
        trial = Trial(
            books=self._books,
            nats=state["nats"],
            database=state["database"],
            front_door=state["frontDoor"],
            excused=tuple(self.excused),
            earlier=self.earlier,
            keep_events=keep_events,
        )
        self._judge.say(msgspec.json.encode(trial))
        return msgspec.json.decode(await self._judge.line(), type=Verdict)

    async def rest(self) -> Verdict:
        """Wait until nothing is left to be done, and return what is wrong then."""
        began = time.monotonic()
        while True:
            looked = time.monotonic()  # a look takes its time, and what it finds may be of its beginning
            verdict = await self.verdict()
            if not verdict.broken:
                break
            if looked - began > GHOST_SECONDS:
                self.tell(f"not at rest after {GHOST_SECONDS:g} s")
                for violation in verdict.violations[:SHOWN]:
                    self.tell(f"  {violation}")
                break
            await asyncio.sleep(LOOK_SECONDS)
        self.resting += time.monotonic() - began
        return verdict

    async def _order(self, word: bytes, answer: bytes, within: float) -> None:
        for crowd in self._crowds:
            crowd.say(word)
        await asyncio.gather(*(self._answer(crowd, answer, within) for crowd in self._crowds))

    async def _answer(self, crowd: Helper, answer: bytes, within: float) -> None:
        began = time.monotonic()
        said = b"silent"
        try:
            async with asyncio.timeout(within):
                while (line := await crowd.line()) != answer:
                    said = line
                    if time.monotonic() - began > PATIENCE_SECONDS:
                        self.tell(f"a crowd {line.decode()}")
        except TimeoutError:
            self.tell(f"a crowd {said.decode()}, in vain")


async def chaos(cluster: Cluster, folder: Path, seed: int, faults: Sequence[Fault], size: Size, tell: Tell) -> Verdict:
    """Let *faults* happen while crowds talk, and return what the checker says, at rest or after all have left."""
    rng = Random(f"strikes {seed}")
    async with Run(cluster, folder, seed, size, tell) as run:
        await asyncio.sleep(size.calm)
        for number, fault in enumerate(faults, 1):
            tell(f"{number}/{len(faults)} {fault}")
            await strike(cluster, fault, rng)
            await asyncio.sleep(fault.pause)
        await cluster.ready()
        await asyncio.sleep(size.calm)
        tell("quiet")
        await run.settle()
        verdict = await run.rest()
        if not verdict.broken:
            tell(f"at rest, {run.resting:.1f} s after the last answer; goodbye")
            await run.leave()
            verdict = await run.rest()
        tell(
            f"{verdict.said} frames said, {verdict.heard} heard, {verdict.resumed} resumes, "
            f"{verdict.begun_anew} beginnings, {verdict.events} events, {verdict.posted} chats in history"
        )
        return verdict
