"""Replicas of the ledger as processes of their own, traffic for them, and what must have come of it."""

import asyncio
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs
from support import ledger
from support.child import Child
from support.eventually import eventually

from parley.kit.bus import Bus
from parley.kit.reader import Entry, reading
from parley.kit.rounds import Rules
from parley.kit.writer import Writer, writing
from parley.protocol import subjects
from parley.protocol.commands import AnyCommand, PostToRoom, type_of
from parley.protocol.envelope import CloudEvent
from parley.protocol.outputs import Deliveries

PER_SECOND = 500
BEAT = 0.02
SENDERS = 3


class Replicas:
    """A cluster of one NATS, one PostgreSQL and some replicas of the ledger."""

    def __init__(self, bus: Bus, db: AsyncEngine, nats_url: str, database_url: str, folder: Path) -> None:
        self.bus = bus
        self.db = db
        self.children: list[Child] = []
        self.sent = 0
        self._urls = {"NATS_URL": nats_url, "DATABASE_URL": database_url}
        self._folder = folder
        self._started = 0
        self._fault_of: dict[Child, Path] = {}

    async def start(self) -> Child:
        """Start another replica; it has found its share once `spread` says so."""
        self._started += 1
        fault = self._folder / f"fault-{self._started}"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", str(ledger.__file__)),
            env={"PATH": os.environ["PATH"], "LEDGER_FAULT": str(fault), **self._urls},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        child = Child(process, self._folder)
        self.children.append(child)
        self._fault_of[child] = fault
        await eventually(lambda: None if child.said else f"not started: {child.errors}")
        return child

    def break_at(self, child: Child, fault: str) -> None:
        """Have a replica kill itself as soon as it comes to *fault*."""
        self._fault_of[child].write_text(fault)

    async def spread(self, *counts: int) -> None:
        """Wait until the replicas own so many partitions each, and nobody owns none."""

        async def check() -> str | None:
            owners = await self.owners()
            found = [sum(owner == child.said[0] for owner in owners.values()) for child in self.children]
            return None if sorted(found) == sorted(counts) else f"they own {found}: {owners}"

        await eventually(check)

    async def owners(self) -> dict[int, str]:
        """Return who owns which partition now."""
        table = ledger.tables.partitions
        query = sa.select(table.c.partition, table.c.owner).where(table.c.until > sa.func.clock_timestamp())
        async with self.db.connect() as connection:
            return {partition: owner for partition, owner in await connection.execute(query)}  # noqa: C416

    async def named(self) -> set[str]:
        """Return who is said to own something, whether its lease has run out or not: whose successor waits for that."""
        async with self.db.connect() as connection:
            return set(await connection.scalars(sa.select(ledger.tables.partitions.c.owner)))

    @asynccontextmanager
    async def traffic(self) -> AsyncIterator[Writer]:
        """Send five hundred messages a second for as long as the block lasts; all are stored at its end."""
        async with writing(self.bus, f"gateway-{self.sent}") as writer:
            stored: list[asyncio.Future[None]] = []
            stop = asyncio.Event()
            task = asyncio.create_task(self._send(writer, stored, stop))
            try:
                yield writer
            finally:
                stop.set()
                await task
            await asyncio.gather(*stored)

    async def _send(self, writer: Writer, stored: list[asyncio.Future[None]], stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        began, before = loop.time(), self.sent
        while not stop.is_set():
            while self.sent - before < (loop.time() - began) * PER_SECOND:
                self.sent += 1
                stored.append(self.post(writer, self.sent))
            await asyncio.sleep(BEAT)

    def post(self, writer: Writer, number: int, text: str = "", reply: str = "") -> asyncio.Future[None]:
        """Let somebody say a number in a room: whose numbers only ever grow."""
        room, sender = number % ledger.COUNT, number % SENDERS
        return put(writer, room, post(f"room-{room}", f"sender-{sender}", text or str(number), reply))

    async def level(self) -> None:
        """Wait until everything is reduced, said, and written down."""
        table = ledger.tables.partitions

        async def check() -> list[str]:
            async with self.db.connect() as connection:
                found = await connection.execute(sa.select(table.c.partition, table.c.cursor))
                cursors = {partition: cursor for partition, cursor in found}  # noqa: C416
            last = {partition: entries[-1].sequence for partition, entries in (await self.log()).items() if entries}
            return [f"{p} is at {cursors[p]}, not at {end}" for p, end in last.items() if cursors[p] < end]

        await eventually(check)

    async def log(self) -> dict[int, list[Entry]]:
        """Return the whole log by partition."""
        entries = await self.read(subjects.INGRESS, subjects.ALL_INGRESS)
        by_partition: dict[int, list[Entry]] = {partition: [] for partition in range(ledger.COUNT)}
        for entry in entries:
            by_partition[int(entry.subject.split(".")[2])].append(entry)
        return by_partition

    async def read(self, stream: str, subject: str) -> list[Entry]:
        """Return what a stream holds."""
        info = await self.bus.js.stream_info(stream, subjects_filter=subject)
        last = sum((info.state.subjects or {}).values())
        entries: list[Entry] = []
        async with reading(self.bus, stream, [subject], 1) as reader:
            while len(entries) < last:
                entries += await reader.next()
        return entries

    async def kill(self, child: Child, number: signal.Signals = signal.SIGKILL) -> None:
        """End a replica without a word."""
        child.signal(number)
        await child.ended()


class Undisturbed:
    """What the log comes to when nothing goes wrong: reduced here, in one go, by a single owner."""

    def __init__(self, log: dict[int, list[Entry]], created: str) -> None:
        self.facts: dict[str, int] = {}
        """The ids of all public events, in order, and how often each must be there: once."""
        self.deliveries: dict[tuple[str, int], list[Any]] = defaultdict(list)
        """By gateway and partition: id, place and words of each."""
        self.rows: dict[str, list[Any]] = {"lines": [], "notes": []}
        for partition, entries in log.items():
            state = ledger.Ledger(partition)
            rules = Rules("ledger", partition, state, limit=1 << 19)
            rules.begin(created, 0, 0, {})
            for said in rules.rounds(entries):
                self.facts |= {fact.id: 1 for fact in said.facts}
                for gateway, told in said.deliveries.items():
                    self.deliveries[gateway, partition] += [_told(msgspec.json.decode(event)) for event in told]
            for name, table in zip(self.rows, state.tables(), strict=True):
                self.rows[name] += [{"partition": partition, **msgspec.to_builtins(row)} for _, row in table.rows()]
        for rows in self.rows.values():
            rows.sort(key=str)


async def happened(replicas: Replicas) -> "Happened":
    """Look what really came of it."""
    facts: dict[str, int] = {}
    sequences: dict[str, list[int]] = defaultdict(list)
    for entry in await replicas.read(subjects.EVENTS, subjects.ALL_EVENTS):
        event = msgspec.json.decode(entry.payload)
        facts[event["id"]] = facts.get(event["id"], 0) + 1
        if "sequence" in event:
            sequences[event["subject"]].append(int(event["sequence"]))
    rows = {}
    async with replicas.db.connect() as connection:
        for name in ("lines", "notes"):
            found = await connection.execute(sa.text(f"select * from ledger.{name}"))
            rows[name] = sorted((dict(row) for row in found.mappings()), key=str)
    return Happened(facts, sequences, await replicas.read(subjects.DELIVERIES, subjects.ALL_DELIVERIES), rows)


class Happened:
    """What EVENTS, DELIVERIES and PostgreSQL hold."""

    def __init__(
        self,
        facts: dict[str, int],
        sequences: dict[str, list[int]],
        delivered: list[Entry],
        rows: dict[str, list[Any]],
    ) -> None:
        self.facts = facts
        self.sequences = sequences
        """Of each room, in the order of EVENTS."""
        self.rows = rows
        self.deliveries: dict[tuple[str, int], list[Any]] = defaultdict(list)
        """As a gateway writes them: what is not above the last place from a partition is dropped."""
        self.repeated = 0
        for entry in delivered:
            gateway = entry.subject.rpartition(".")[2]
            batch = msgspec.json.decode(entry.payload, type=Deliveries)
            told = self.deliveries[gateway, batch.partition]
            for event in msgspec.json.decode(entry.payload)["events"]:
                new = _told(event)
                if told and new[1] <= told[-1][1]:
                    self.repeated += 1
                else:
                    told.append(new)


async def equals_an_undisturbed_run(replicas: Replicas) -> None:
    """Check that each event was processed once, in order, and said in the right words."""
    await replicas.level()
    found = await happened(replicas)
    with capture_logs():  # of what fails here as it did there
        expected = Undisturbed(await replicas.log(), await replicas.bus.created(subjects.INGRESS))

    assert found.facts == expected.facts
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in found.sequences.values())
    assert found.deliveries == expected.deliveries
    assert found.rows == expected.rows
    assert sum(line["count"] for line in found.rows["lines"]) == replicas.sent
    assert all(line["in_order"] for line in found.rows["lines"])
    forwarded = sum(note["name"].startswith("heard of") for note in found.rows["notes"])
    assert forwarded == replicas.sent // 5


async def until_sent(replicas: Replicas, count: int) -> None:
    """Wait until so many more are sent."""
    goal = replicas.sent + count
    await eventually(lambda: None if replicas.sent >= goal else f"{replicas.sent} of {goal} are sent")


def _told(event: dict[str, Any]) -> tuple[str, tuple[int, int], Any]:
    data = event["data"]
    return event["id"], (data["sequence"], data["index"]), (data["to"], data["say"])


def put(writer: Writer, partition: int, command: AnyCommand) -> asyncio.Future[None]:
    """Write a command into a partition."""
    return writer.put(partition, CloudEvent(id="1", source="/test", type=type_of(command), data=command))


def post(room: str, sender: str, text: str, reply: str = "") -> PostToRoom:
    """Say something in a room."""
    return PostToRoom(app="a", room=room, id=sender, text=text, reply=reply)
