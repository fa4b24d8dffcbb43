"""
Time, chance and processes, without any I/O: what runs is generators, and the next one is the earliest that is due.

A generator yields for how many milliseconds it rests, or None to rest until it is woken. A process can be killed, or
sleep for a while with all that runs in it. The same seed gives the same schedule.
"""

from collections import Counter
from collections.abc import Callable, Collection, Generator
from heapq import heappop, heappush
from random import Random

from model.rule import Rule
from model.taste import Taste, some

Work = Generator[int | None, None, None]

SLOW = 0.02
"""How often something takes a hundred times as long as usual."""


class Process:
    """What dies and sleeps as one."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.asleep_until = 0
        self.slept = 0
        """The longest that it has."""

    @property
    def awake(self) -> bool:
        return self.alive and self.asleep_until <= self.world.now

    def kill(self) -> None:
        self.alive = False

    def nap(self) -> None:
        """Sleep for as long as the taste of the schedule has it."""
        world = self.world
        (span,) = world.random.choices(tuple(world.taste.naps), tuple(world.taste.naps.values()))
        if self.awake:
            self.sleep(world.between(*span))

    def sleep(self, milliseconds: int) -> None:
        self.asleep_until = self.world.now + milliseconds
        self.slept = max(self.slept, milliseconds)

    def run(self, work: Work, after: int | None = None) -> "Task":
        task = Task(self, work)
        self.world.schedule(task, self.world.soon() if after is None else after)
        return task


class Task:
    """One generator at work."""

    __slots__ = ("cancelled", "parked", "process", "woken", "work")

    def __init__(self, process: Process, work: Work) -> None:
        self.process = process
        self.work = work
        self.cancelled = False
        self.parked = False
        self.woken = False

    def wake(self) -> None:
        """Have it go on, if it rests until woken."""
        if self.parked:
            self.parked = False
            world = self.process.world
            world.schedule(self, world.soon())
        else:
            self.woken = True

    def cancel(self) -> None:
        self.cancelled = True


class World:
    """One schedule's time and dice."""

    def __init__(self, seed: int, without: Collection[Rule] = (), taste: Taste | None = None) -> None:
        self.random = Random(seed)
        self.taste = taste or some(self.random)
        self.chance = self.random.random
        self.now = 0
        self.trouble = True
        """Whether faults happen still."""
        self.faults: Counter[str] = Counter()
        self.violations: list[str] = []
        self._without = frozenset(without)
        self._due: list[tuple[int, int, Task]] = []
        self._count = 0

    def holds(self, rule: Rule) -> bool:
        return rule not in self._without

    def soon(self) -> int:
        """Return how long something takes that takes no time."""
        chance = self.chance()
        return 1 + int(chance * 6) if chance > SLOW or not self.trouble else 30 + int(chance * 20_000)

    def between(self, low: int, high: int) -> int:
        return low + int(self.chance() * (high - low))

    def beat(self) -> int:
        """Return how long whoever holds a lease rests."""
        return self.between(700, 1200) if self.trouble else 2000

    def fault(self, kind: str, probability: float) -> bool:
        """Whether a fault happens now."""
        if self.trouble and self.chance() < probability:
            self.faults[kind] += 1
            return True
        return False

    def wrong(self, words: str) -> None:
        """Note that something is not as promised."""
        self.violations.append(f"{self.now / 1000:.3f} s: {words}")

    def schedule(self, task: Task, after: int) -> None:
        self._count += 1
        heappush(self._due, (self.now + after, self._count, task))

    def later(self, process: Process, after: int, call: Callable[[], object]) -> None:
        """Call *call* in the time and name of *process*."""
        process.run(_once(call), after)

    def run(self, until: int) -> None:
        """Let everything happen that is due by *until*."""
        due = self._due
        while due and due[0][0] <= until:
            self.now, _, task = heappop(due)
            process = task.process
            if not process.alive or task.cancelled:
                continue
            if process.asleep_until > self.now:
                self.schedule(task, process.asleep_until - self.now + self.between(0, 3))
                continue
            task.woken = False
            try:
                rest = next(task.work)
            except StopIteration:
                continue
            if rest is not None:
                self.schedule(task, rest)
            elif task.woken:
                self.schedule(task, self.soon())
            else:
                task.parked = True
        self.now = until


def _once(call: Callable[[], object]) -> Work:
    call()
    return
    yield
