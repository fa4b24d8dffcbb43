"""Writing to INGRESS as kit's writer does: numbered batches, one in flight for each partition, until it is stored."""

from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from model.rule import Rule
from model.streams import Nats
from model.world import Process, Work

from parley.protocol.subjects import Class


class Stored:
    """As an asyncio.Future: done once what was put is in the log."""

    def __init__(self) -> None:
        self._done = False
        self._callbacks: list[Callable[[Any], object]] = []

    def done(self) -> bool:
        return self._done

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        if self._done:
            callback(self)
        else:
            self._callbacks.append(callback)

    def set(self) -> None:
        self._done = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def __await__(self) -> Generator["Stored", None, None]:
        if not self._done:
            yield self


Queue = deque[tuple[Class, bytes, Stored]]


class Writer:
    """The writer of one process."""

    def __init__(self, process: Process, nats: Nats) -> None:
        self.name = process.name
        self._process = process
        self._nats = nats
        self._queues: dict[int, Queue] = {}
        self._numbers: dict[int, int] = {}

    @property
    def idle(self) -> bool:
        return not self._queues

    def put_encoded(self, partition: int, kind: Class, event: bytes) -> Stored:
        stored = Stored()
        queue = self._queues.get(partition)
        if queue is None:
            queue = self._queues[partition] = deque()
            self._process.run(self._send(partition, queue))
        queue.append((kind, event, stored))
        return stored

    def _send(self, partition: int, queue: Queue) -> Work:
        world = self._process.world
        while queue:
            kind = queue[0][0]
            events: list[bytes] = []
            stored: list[Stored] = []
            while queue and queue[0][0] == kind and len(events) < 4:
                _, event, future = queue.popleft()
                events.append(event)
                stored.append(future)
            number = self._numbers[partition] = self._numbers.get(partition, 0) + 1
            opening = f'{{"gateway":"{self.name}","number":{number},"events":['.encode()
            storing = self._store(partition, kind, opening + b",".join(events) + b"]}", stored)
            if world.holds(Rule.ONE_BATCH):
                yield from storing
            else:
                self._process.run(storing)
        del self._queues[partition]

    def _store(self, partition: int, kind: Class, payload: bytes, stored: list[Stored]) -> Work:
        world = self._process.world
        while not self._nats.publish(self._process, lambda: self._nats.put(partition, kind, payload)):
            yield world.between(20, 500)
        for future in stored:
            future.set()
        yield world.soon()
