"""
Writing to INGRESS: what came while the last batch was on its way is the next one.

One batch is in flight for each partition, numbered, and repeated until it is stored. So what is put first for a
partition is stored first, and whoever reads the log knows a batch that was stored twice by its number.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from parley.kit.bus import Bus, LogFullError, TooLargeError
from parley.protocol import subjects
from parley.protocol.commands import AnyCommand, class_of
from parley.protocol.envelope import CloudEvent
from parley.protocol.subjects import Class

_FULL_SECONDS: Final = 0.25
_ENCODER: Final = msgspec.json.Encoder()


class Writer:
    """The writer called *name*: a process, so that a later process of the same service is another one."""

    def __init__(self, bus: Bus, name: str, group: asyncio.TaskGroup) -> None:
        """Use `writing`."""
        self.name: Final = name
        self._bus = bus
        self._group = group
        self._queues: dict[int, deque[tuple[Class, bytes, asyncio.Future[None]]]] = {}
        self._numbers: dict[int, int] = {}
        self._senders: set[asyncio.Task[None]] = set()
        self._opening = b'{"gateway":' + _ENCODER.encode(name) + b',"number":'

    def put(self, partition: int, event: CloudEvent[AnyCommand]) -> asyncio.Future[None]:
        """Write *event* behind all that was put for *partition* before; done once it is stored."""
        return self.put_encoded(partition, class_of(event.data), _ENCODER.encode(event))

    def put_encoded(self, partition: int, kind: Class, event: bytes) -> asyncio.Future[None]:
        """As `put`, for an event that is in JSON already."""
        if len(event) > self._bus.max_batch:
            raise TooLargeError(f"an event of {len(event)} bytes does not fit into a batch")
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._queues.get(partition)
        if queue is None:
            queue = self._queues[partition] = deque()
            sender = self._group.create_task(self._send(partition, queue), name=f"write partition {partition}")
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)
        queue.append((kind, event, stored))
        return stored

    def close(self) -> None:
        """Stop writing; nobody may wait for what is not stored yet."""
        for sender in self._senders:
            sender.cancel()

    async def _send(self, partition: int, queue: deque[tuple[Class, bytes, asyncio.Future[None]]]) -> None:
        while queue:
            kind, events, stored = self._cut(queue)
            number = self._numbers.get(partition, 0) + 1
            payload = self._opening + b'%d,"events":[' % number + b",".join(events) + b"]}"
            await self._store(subjects.ingress(partition, kind), payload)
            self._numbers[partition] = number
            for future in stored:
                if not future.done():
                    future.set_result(None)
        del self._queues[partition]

    def _cut(
        self, queue: deque[tuple[Class, bytes, asyncio.Future[None]]]
    ) -> tuple[Class, list[bytes], list[asyncio.Future[None]]]:
        """Take the next batch: a run of one class, as much as fits."""
        kind, room = queue[0][0], self._bus.max_batch
        events: list[bytes] = []
        stored: list[asyncio.Future[None]] = []
        while queue and queue[0][0] == kind and (not events or len(queue[0][1]) < room):
            _, event, future = queue.popleft()
            events.append(event)
            stored.append(future)
            room -= len(event) + 1
        return kind, events, stored

    async def _store(self, subject: str, payload: bytes) -> None:
        while True:
            try:
                await self._bus.publish(subject, payload)
            except LogFullError:
                await asyncio.sleep(_FULL_SECONDS)  # owners go on, and what they have done is purged
            else:
                return


@asynccontextmanager
async def writing(bus: Bus, name: str) -> AsyncIterator[Writer]:
    """Write to INGRESS under *name*; at the end what is not stored yet is forgotten."""
    async with asyncio.TaskGroup() as group:
        writer = Writer(bus, name, group)
        try:
            yield writer
        finally:
            writer.close()
