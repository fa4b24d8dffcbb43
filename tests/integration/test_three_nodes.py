"""
A server of NATS dies under load, the one that leads a stream, and nobody loses, hears twice or out of order.

Issue 3: streams on three servers (R3), the services themselves, and the checker of tests/chaos over all that was said
and heard. What is asserted has nothing to do with time; the longest pauses are printed.
"""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from chaos import checker
from chaos.history import AnyRecord, Came, Event, Frame, Heard, History, Kept, Posted, Said
from support.cluster import SIZE, Cluster
from support.eventually import eventually
from support.instance import REAL, Instance
from websockets.asyncio.client import ClientConnection, connect

from parley.kit.bus import Bus, nats_bus
from parley.kit.reader import reading
from parley.protocol import subjects

PER_SECOND = 200
CLIENTS = 6
ROOMS = ("one", "two")
BEAT = 0.02

BETWEEN_CLIENTS = (
    checker.events_are_what_was_told,
    checker.stays_are_what_events_say,
    checker.messages_have_one_place,
    checker.messages_have_one_order,
    checker.members_hear_what_was_spoken,
    checker.refused_words_are_not_heard,
    checker.requests_are_answered,
    checker.signals_arrive,
    checker.chat_is_kept_once,
)
"""What is promised while clients are there; nobody leaves here."""


class Client:
    """A client of parley.v1 that writes everything down, and never comes back: its socket has to stay open."""

    def __init__(self, name: str, socket: ClientConnection) -> None:
        self.records: list[AnyRecord] = []
        self.id = ""
        self.waiting: dict[str, float] = {}
        """What it has asked and was not answered, and when."""
        self.waited = 0.0
        """Seconds that an answer took, at most."""
        self.silence = 0.0
        """Seconds between two frames, at most."""
        self.name = name
        self._socket = socket
        self._numbers = count(1)
        self._heard_at = 0.0

    async def ask(self, **frame: Any) -> None:
        """Say something that will be answered."""
        k = next(self._numbers)
        said = {"ref": f"r{k}", **frame}
        if frame["action"] != "join":
            said["data"] = {"k": k}
        if frame["action"] == "chat":
            said |= {"id": f"m{k}", "text": f"t{k}"}
        self._record(Said(client=self.name, at=time.time(), frame=msgspec.convert(said, Frame)))
        self.waiting[said["ref"]] = time.monotonic()
        await self._socket.send(json.dumps(said))

    async def listen(self) -> None:
        """Write down what it is told, for ever; raise when the socket closes."""
        while True:
            text = await self._socket.recv()
            now = time.monotonic()
            frame = msgspec.json.decode(text, type=Frame)
            if not self.id:
                self.id = frame.connection_id
                self._record(Came(client=self.name, at=time.time(), connection=self.id))
            self._record(Heard(client=self.name, at=time.time(), frame=frame))
            if frame.ref in self.waiting:
                self.waited = max(self.waited, now - self.waiting.pop(frame.ref))
            self.silence = max(self.silence, now - (self._heard_at or now))
            self._heard_at = now

    def _record(self, record: AnyRecord) -> None:
        self.records.append(record)


class Crowd:
    """All clients, and what they say."""

    def __init__(self, clients: list[Client]) -> None:
        self.clients = clients
        self.said = 0
        self._quiet = asyncio.Event()

    async def talk(self) -> None:
        """Say two hundred things a second, of each kind in turn, until told to be quiet."""
        began = time.monotonic()
        while not self._quiet.is_set():
            while self.said < (time.monotonic() - began) * PER_SECOND:
                await self._speak(self.said)
                self.said += 1
            await asyncio.sleep(BEAT)

    def hush(self) -> None:
        self._quiet.set()

    async def says(self, seconds: float) -> None:
        """Wait until as much more was said, and answered, as in so many quiet seconds."""
        goal = self.said + seconds * PER_SECOND
        await eventually(lambda: None if self.said >= goal else f"{self.said} of {goal} are said")

    async def answered(self) -> None:
        """Wait until everything that was asked before is answered."""
        asked = [(client, ref) for client in self.clients for ref in client.waiting]
        await eventually(lambda: [f"{client.id} waits for {ref}" for client, ref in asked if ref in client.waiting][:5])

    def pauses(self) -> tuple[float, float]:
        """Return the longest silence and the longest wait for an answer since last asked."""
        found = max(client.silence for client in self.clients), max(client.waited for client in self.clients)
        for client in self.clients:
            client.silence = client.waited = 0.0
        return found

    async def _speak(self, number: int) -> None:
        who, kind = number % CLIENTS, number // CLIENTS % 4
        client = self.clients[who]
        room = ROOMS[number // (4 * CLIENTS) % len(ROOMS)]
        if kind == 0:
            other = self.clients[(who + 1 + number // (4 * CLIENTS) % (CLIENTS - 1)) % CLIENTS]
            await client.ask(action="signal", to=other.id)
        elif kind == 1:
            await client.ask(action="send", room=room)
        else:
            await client.ask(action="chat", room=room)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Give three servers that are one."""
    cluster = Cluster(tmp_path / "cluster")
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.kill()


@pytest.fixture
async def parley(tmp_path: Path, cluster: Cluster, database_url: str) -> AsyncIterator[Instance]:
    """Give a Parley with two gateways and two owners of rooms, on all three."""
    instance = Instance(
        tmp_path / "data", up=REAL, NATS_URL=cluster.url, DATABASE_URL=database_url, PARLEY_STREAM_REPLICAS=str(SIZE)
    )
    try:
        await instance.start("--scale", "gateway=2", "--scale", "rooms=2")
        yield instance
    finally:
        await instance.stop()


async def test_leaders_of_streams_are_killed_under_load_and_nobody_notices_more_than_a_pause(
    cluster: Cluster, parley: Instance, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gateways = [part["address"] for part in parley.status()["parts"] if part["name"] == "gateway"]
    printed: list[str] = []
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(nats_bus(cluster.url, "test"))
        clients = [
            Client(
                f"client-{number}",
                await stack.enter_async_context(
                    connect(f"ws://{gateways[number % 2]}/", subprotocols=["parley.v1"], proxy=None)  # type: ignore[list-item] # a NewType of str
                ),
            )
            for number in range(CLIENTS)
        ]
        async with asyncio.TaskGroup() as group:
            listening = [group.create_task(client.listen()) for client in clients]
            crowd = await come_together(clients)
            talking = group.create_task(crowd.talk())
            await crowd.says(1)
            await crowd.answered()
            printed.append(told("before", crowd))
            for stream in (subjects.INGRESS, subjects.EVENTS):
                await kill_the_leader(cluster, bus, stream, crowd)
                printed.append(told(f"the leader of {stream} killed", crowd))
            crowd.hush()
            await talking
            await crowd.answered()
            events = await eventually_all_events(bus, clients)
            for task in listening:
                task.cancel()
        records = tuple(record for client in clients for record in client.records)
        history = History(
            records=records,
            events=events,
            tables=Kept(posted=await in_the_table(database_url, events)),
            rest=Kept(posted=through_rest(parley)),
        )

    with capsys.disabled():
        print(*printed, sep="\n")  # noqa: T201 - how long it took is a figure to look at, not to assert
    case = checker.Case(history)
    broken = [*case.world.complaints, *case.stories.complaints]
    for promise in BETWEEN_CLIENTS:
        broken += promise(case)
    assert not broken, "\n".join(str(violation) for violation in broken[:20])
    assert len(case.world.posted) > crowd.said * 0.4
    sequences = in_order(events)
    assert len(sequences) == len(ROOMS)
    for found in sequences.values():
        assert found == list(range(1, len(found) + 1))


async def come_together(clients: list[Client]) -> Crowd:
    """Let all join all rooms."""
    await eventually(lambda: [client.name for client in clients if not client.id])
    crowd = Crowd(clients)
    for room in ROOMS:
        for client in clients:
            await client.ask(action="join", room=room)
        await crowd.answered()
    return crowd


async def kill_the_leader(cluster: Cluster, bus: Bus, stream: str, crowd: Crowd) -> None:
    """Kill who leads a stream, go on with two, and then with three again."""
    victim = await cluster.leader(bus, stream)
    await victim.kill()
    await crowd.says(1)
    await crowd.answered()
    await victim.start()
    await crowd.says(1)
    await cluster.mended(bus)
    await crowd.answered()


def told(what: str, crowd: Crowd) -> str:
    silence, waited = crowd.pauses()
    return f"{what}: {crowd.said} said; silent for {silence:.2f} s, an answer took {waited:.2f} s at most"


async def eventually_all_events(bus: Bus, clients: list[Client]) -> tuple[Event, ...]:
    """Read EVENTS to its end, which is where it stays: everything has been answered."""
    last = (await bus.js.stream_info(subjects.EVENTS)).state.last_seq
    events: list[Event] = []
    async with reading(bus, subjects.EVENTS, [subjects.ALL_EVENTS], 1) as reader, asyncio.timeout(60):
        at = 0
        while at < last:
            for entry in await reader.next():
                at = entry.sequence
                events.append(msgspec.json.decode(entry.payload, type=Event))
    return tuple(events)


async def in_the_table(database_url: str, events: tuple[Event, ...]) -> tuple[Posted, ...]:
    """Return what history has written, once it is as much as there is."""
    wanted = Counter(event.type for event in events)["message.posted"]
    connection = await asyncpg.connect(database_url)

    async def behind() -> str | None:
        found = await connection.fetchval("select count(*) from history.messages")
        return None if found >= wanted else f"history has {found} of {wanted}"

    try:
        await eventually(behind)
        rows = await connection.fetch("select room, epoch, position, id, connection_id, text from history.messages")
    finally:
        await connection.close()
    return tuple(Posted(*row) for row in rows)


def through_rest(parley: Instance) -> tuple[Posted, ...]:
    """Return what history answers."""
    found = []
    for room in ROOMS:
        path = f"/v1/rooms/{room}/messages?limit=500"
        cursor: str | None = ""
        while cursor is not None:
            page = parley.get(path + (f"&cursor={cursor}" if cursor else "")).json()
            found += [
                Posted(room, item["epoch"], item["position"], item["id"], item["from"], item["text"])
                for item in page["items"]
            ]
            cursor = page["next"]
    return tuple(found)


def in_order(events: tuple[Event, ...]) -> dict[str, list[int]]:
    """Return each room's sequence, in the order of EVENTS."""
    found: dict[str, list[int]] = defaultdict(list)
    for event in events:
        if "epoch" in event.data and event.sequence:
            found[event.data["room"]].append(int(event.sequence))
    return found
