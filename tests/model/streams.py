"""The three streams, as far as anybody reads them, and what can happen to a publish."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache

from model.rule import Rule
from model.world import Process, Task, World

from parley.gateway import deliveries as deliveries_
from parley.kit.bus import Message
from parley.kit.reader import Entry
from parley.protocol import subjects
from parley.protocol.subjects import Class

CREATED = "2026-01-01T00:00:00+00:00"
BEGAN = 1_767_225_600_000

LOST = 0.03
"""How often a publish is lost, how often its acknowledgement is, and about how often it comes late."""

readable = lru_cache(maxsize=8192)(deliveries_.readable)
"""What a message of DELIVERIES says: many read the same."""


class Nats(Process):
    """The streams of one installation."""

    def __init__(self, world: World, partitions: int) -> None:
        super().__init__(world, "nats")
        self.leases: dict[str, int] = {}
        """Until when each gateway's lease holds."""
        self.ingress: list[list[Entry]] = [[] for _ in range(partitions)]
        self.life: list[list[Entry]] = [[] for _ in range(partitions)]
        """Of class ``c`` alone."""
        self.deliveries: list[Entry] = []
        self.of_gateway: dict[str, list[Entry]] = defaultdict(list)
        """Deliveries by subject."""
        self.events: list[Message] = []
        self._ids: set[str] = set()
        self._sequence = 0
        self._readers: dict[str, list[Task]] = defaultdict(list)

    def publish(self, process: Process, store: Callable[[], None]) -> bool:
        """Store something of a process, or not; return whether it was acknowledged."""
        world = self.world
        if not process.awake:
            return False
        chance, struck = world.chance() if world.trouble else 1.0, world.taste.struck
        if chance >= 3 * LOST + 2 * struck:
            store()
            return True
        if chance >= 3 * LOST:
            self._strike(process, store, dies=chance < 3 * LOST + struck)
            return False
        world.faults["publish"] += 1
        if chance < LOST:
            store()
        elif chance < LOST * 1.4:
            world.later(self, world.between(5, 3000), store)
        return not world.holds(Rule.ACKNOWLEDGED)

    def _strike(self, process: Process, store: Callable[[], None], *, dies: bool) -> None:
        """Kill a process once it has published, or let it sleep before it has."""
        if dies:
            self.world.faults["killed at a publish"] += 1
            store()
            process.kill()
        else:
            self.world.faults["asleep at a publish"] += 1
            process.nap()

    def put(self, partition: int, kind: Class, payload: bytes) -> None:
        """Store a batch."""
        self._sequence += 1
        entry = Entry(self._sequence, BEGAN + self.world.now, subjects.ingress(partition, kind), payload)
        self.ingress[partition].append(entry)
        self._news(f"in {partition}")
        if kind == "c":
            self.life[partition].append(entry)
            self._news(f"life {partition}")

    def deliver(self, message: Message) -> None:
        """Store what is for a gateway."""
        payload = message.payload
        if not self.world.holds(Rule.PLACES_PER_PARTITION):
            payload = b'{"partition":0' + payload[payload.index(b",") :]
        entry = Entry(len(self.deliveries) + 1, BEGAN + self.world.now, message.subject, payload)
        self.deliveries.append(entry)
        self.of_gateway[message.subject].append(entry)
        self._news(message.subject)
        self._news("deliveries")

    def announce(self, message: Message) -> None:
        """Store a fact."""
        if message.id in self._ids and self.world.holds(Rule.EVENTS_ONCE):
            return
        self._ids.add(message.id or "")
        self.events.append(message)

    def listen(self, what: str, task: Task) -> None:
        """Wake *task* when there is something new to read."""
        self._readers[what].append(task)

    def deaf(self, what: str, task: Task) -> None:
        """Wake *task* no more."""
        self._readers[what].remove(task)

    def log(self, partition: int, classes: str) -> tuple[Sequence[Entry], str]:
        """Return what an owner reads, and the name of its news."""
        if classes == "c":
            return self.life[partition], f"life {partition}"
        return self.ingress[partition], f"in {partition}"

    def _news(self, what: str) -> None:
        for task in self._readers[what]:
            task.wake()
