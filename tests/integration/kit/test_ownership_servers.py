"""Ownership while NATS or PostgreSQL is away, wiped, or says something unexpected."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
import sqlalchemy as sa
from nats.js.api import DiscardPolicy
from nats.js.errors import KeyNotFoundError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from structlog.testing import capture_logs
from support import ledger
from support.eventually import eventually
from support.replicas import Replicas, equals_an_undisturbed_run, post, put, until_sent

from parley.cli.embedded import Nats, Server
from parley.kit import bus as bus_module
from parley.kit import checkpoints, owner, ownership, purge
from parley.kit import partitions as partitions_module
from parley.kit.bus import Bus, nats_bus
from parley.kit.checkpoints import Checkpoints
from parley.kit.db import database
from parley.kit.partitions import Owned, partitions
from parley.kit.reader import Reader
from parley.kit.state import Changes, State
from parley.kit.writer import Writer, writing
from parley.protocol import subjects


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    async with nats_bus(nats_url, "test") as bus:
        yield bus


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[AsyncEngine]:
    async with database(database_url, "test") as db:
        async with db.begin() as connection:
            await ledger.prepare(connection)
        yield db


@pytest.fixture
async def writer(bus: Bus) -> AsyncIterator[Writer]:
    async with writing(bus, "gateway") as writer:
        yield writer


@asynccontextmanager
async def owning(bus: Bus, db: AsyncEngine, readers: tuple[str, ...] = ("ledger",)) -> AsyncIterator[Owned]:
    """Own all partitions in this process, ready."""
    async with partitions(
        bus, db, service="ledger", count=ledger.COUNT, store=ledger.store, tables=ledger.tables, readers=readers
    ) as owned:
        await eventually(owned.check)
        yield owned


def notes(owned: Owned, partition: int) -> dict[str, int]:
    """What a partition's owner knows now."""
    state = owned.states.get(partition)
    assert isinstance(state, ledger.Ledger)
    return {name: note.value for name, note in state.notes.rows()}


async def wipe(nats_server: Server) -> None:
    """Lose everything that NATS holds."""
    assert isinstance(nats_server.kind, Nats)
    await nats_server.kill()
    shutil.rmtree(nats_server.kind.folder)
    await nats_server.start()


@contextmanager
def hanging(server: Server) -> Iterator[None]:
    """Have PostgreSQL stand still, with all its processes, for the length of the block."""
    assert server.process
    first = psutil.Process(server.process.pid)
    first.suspend()
    processes = [first, *first.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


async def written(db: AsyncEngine, count: int) -> str | None:
    """Whether the checkpoints know of so many messages, else what they know."""
    async with db.connect() as connection:
        found = await connection.execute(sa.text("select coalesce(sum(count), 0) from ledger.lines"))
    known = found.scalar_one()
    return None if known == count else f"{known} of {count} are written"


async def test_nothing_is_lost_when_nats_is_killed_under_load(
    nats_server: Server, database_url: str, db: AsyncEngine, bus: Bus, tmp_path: Path
) -> None:
    replicas = Replicas(bus, db, nats_server.url, database_url, tmp_path)
    child = await replicas.start()
    try:
        await replicas.spread(4)
        async with replicas.traffic():
            for _ in range(2):
                await until_sent(replicas, 200)
                await nats_server.restart()
            await until_sent(replicas, 200)

        await equals_an_undisturbed_run(replicas)
    finally:
        await replicas.kill(child)


async def test_the_owner_goes_on_while_postgres_is_away(bus: Bus, own_postgres: Server, writer: Writer) -> None:
    async with database(own_postgres.url, "test") as db:
        async with db.begin() as connection:
            await ledger.prepare(connection)
        async with owning(bus, db) as owned:
            await own_postgres.kill()
            await put(writer, 1, post("room", "ana", "1"))
            await eventually(lambda: None if notes(owned, 1).get("room") == 1 else "not reduced")
            await eventually(lambda: None if owned.check() else "still says that PostgreSQL is there")
            assert len(owned) == ledger.COUNT

            await own_postgres.start()
            await put(writer, 1, post("room", "ana", "2"))
            await eventually(owned.check)

            await eventually(lambda: written(db, 2))


async def test_the_owner_goes_on_while_postgres_hangs(
    bus: Bus, own_postgres: Server, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is stopped, not gone, answers nothing and refuses nothing."""
    monkeypatch.setattr(partitions_module, "_STATEMENT_SECONDS", 1.0)
    monkeypatch.setattr(checkpoints, "_COMMIT_SECONDS", 1.0)
    async with database(own_postgres.url, "test") as db:
        async with db.begin() as connection:
            await ledger.prepare(connection)
        async with owning(bus, db) as owned:
            with hanging(own_postgres):
                for number in (1, 2, 3):
                    await put(writer, 1, post("room", "ana", str(number)))
                    await asyncio.sleep(1)  # a timeout of a statement
                await eventually(lambda: None if notes(owned, 1).get("room") == 3 else "not reduced")
                await eventually(lambda: None if owned.check() else "still says that PostgreSQL is there")
            await eventually(owned.check)
            await eventually(lambda: written(db, 3))
            assert len(owned) == ledger.COUNT


async def test_an_owner_stops_reading_when_too_much_is_unsaved(
    bus: Bus, own_postgres: Server, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database(own_postgres.url, "test") as db:
        async with db.begin() as connection:
            await ledger.prepare(connection)
        async with owning(bus, db) as owned:
            await own_postgres.kill()
            await put(writer, 1, post("room", "ana", "1"))
            await eventually(lambda: None if notes(owned, 1).get("room") == 1 else "not reduced")
            monkeypatch.setattr(owner, "BOUND_SECONDS", 1.5)

            async def blocked() -> str | None:
                before = notes(owned, 1)["room"]
                await put(writer, 1, post("room", "ana", str(before + 1)))
                await asyncio.sleep(0.1)  # it has a tenth of a second to be reduced
                return None if notes(owned, 1)["room"] == before else "still reduces"

            await eventually(blocked)
            stored = notes(owned, 1)["room"]

            await own_postgres.start()
            await eventually(lambda: None if notes(owned, 1)["room"] > stored else "does not go on")


async def test_an_owner_that_has_not_heard_for_long_that_it_is_one_says_nothing(
    bus: Bus, db: AsyncEngine, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have slept for so long that EVENTS would not know a repetition any more."""

    async def fails(*_: object) -> None:
        raise OSError("PostgreSQL is away for the keeper alone")

    async def said() -> int:
        return len(await Replicas(bus, db, "", "", Path()).read("EVENTS", ">"))

    async with owning(bus, db) as owned:
        with monkeypatch.context() as patch:
            patch.setattr(ownership, "renew", fails)
            patch.setattr(owner, "BOUND_SECONDS", 1.0)
            await eventually(lambda: None if owned.check() else "still renews")
            await asyncio.sleep(1.0)  # the bound
            await put(writer, 1, post("room", "ana", "1"))
            await eventually(lambda: None if notes(owned, 1).get("room") == 1 else "not reduced")
            assert await said() == 0

        async def has_said() -> str | None:
            return None if await said() == 1 else "nothing is said"

        await eventually(has_said)


async def test_an_owner_that_slept_while_the_log_was_purged_says_nothing(
    bus: Bus, db: AsyncEngine, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another has read and checkpointed what it has not: behind such a gap, it would make things up."""
    opens, asleep, awake = Reader._open, list[Reader](), asyncio.Event()

    async def sleeps(self: Reader) -> Any:
        asleep.append(self)
        await awake.wait()
        return await opens(self)

    async def fails(*_: object) -> None:
        raise OSError("PostgreSQL is away for the keeper alone")

    async def has_said(count: int) -> str | None:
        said = len(await Replicas(bus, db, "", "", Path()).read("EVENTS", ">"))
        return None if said == count else f"{said} things are said"

    async with owning(bus, db):
        await put(writer, 1, post("room", "ana", "1"))
        await eventually(lambda: written(db, 1))
        with monkeypatch.context() as patch, capture_logs() as logged:
            patch.setattr(ownership, "renew", fails)
            patch.setattr(owner, "LEASE_SECONDS", 0.0)
            patch.setattr(Reader, "_open", sleeps)
            bus.reconnects += 1  # so that all begin to read again
            await eventually(lambda: None if len(asleep) == ledger.COUNT else "somebody reads")
            await put(writer, 1, post("room", "ana", "2"))
            last = (await bus.js.stream_info(subjects.INGRESS)).state.last_seq
            table = ledger.tables.partitions
            async with db.begin() as connection:
                taken = sa.update(table).where(table.c.partition == 1)
                await connection.execute(taken.values(owner="another", fence=table.c.fence + 1, cursor=last))
            await bus.js.purge_stream(subjects.INGRESS, seq=last + 1)
            await put(writer, 1, post("room", "ana", "3"))
            awake.set()
            await eventually(lambda: None if any("purged" in one["event"] for one in logged) else "it has not noticed")
            assert await has_said(1) is None

        await eventually(lambda: has_said(2))  # by whoever owns it next


async def test_a_stream_that_is_full_holds_an_owner_up_and_does_not_end_it(
    bus: Bus, db: AsyncEngine, writer: Writer
) -> None:
    config = (await bus.js.stream_info(subjects.DELIVERIES)).config
    config.discard = DiscardPolicy.NEW
    config.max_msgs = 1
    await bus.js.update_stream(config)
    async with owning(bus, db) as owned:
        for number in (2, 4, 6):
            await put(writer, 1, post("room", "ana", str(number)))
        await eventually(lambda: None if notes(owned, 1).get("room") else "not reduced")
        config.max_msgs = -1
        await bus.js.update_stream(config)

        await eventually(lambda: written(db, 3))


async def test_what_a_room_says_is_stored_in_order_though_some_of_it_is_lost_on_the_way(
    bus: Bus, db: AsyncEngine, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection breaks in the midst of a large round, or a stream gets another leader: the rest comes through."""
    publish = bus.client.publish
    lost: list[bytes] = []

    async def lossy(subject: str, payload: bytes = b"", **options: Any) -> None:
        if subject.startswith("parley.events.") and b'"sequence":"2"' in payload and not lost:
            lost.append(payload)
        else:
            await publish(subject, payload, **options)

    monkeypatch.setattr(bus_module, "PATIENCE", 0.3)
    monkeypatch.setattr(bus.client, "publish", lossy)
    async with owning(bus, db):
        await asyncio.gather(*(put(writer, 1, post("room", "ana", str(number))) for number in range(2, 20, 2)))
        await eventually(lambda: written(db, 9))
    entries = await Replicas(bus, db, "", "", Path()).read(subjects.EVENTS, subjects.ALL_EVENTS)

    assert lost
    assert [msgspec.json.decode(entry.payload)["sequence"] for entry in entries] == [str(n) for n in range(1, 10)]


async def test_a_partition_that_another_has_taken_is_forgotten(bus: Bus, db: AsyncEngine, writer: Writer) -> None:
    """The checkpoint's fence is another; what was not checkpointed is replayed by whoever claims it next."""
    async with owning(bus, db) as owned:
        table = ledger.tables.partitions
        async with db.begin() as connection:
            taken = sa.update(table).where(table.c.partition == 1)
            await connection.execute(taken.values(owner="another", fence=table.c.fence + 1))

        await put(writer, 1, post("room", "ana", "1"))
        await eventually(lambda: None if 1 not in owned else "still owned")
        await eventually(owned.check)
        await eventually(lambda: None if notes(owned, 1).get("room") == 1 else "not reduced by the next")

        async with db.connect() as connection:
            row = (
                await connection.execute(sa.select(table.c.owner, table.c.fence).where(table.c.partition == 1))
            ).one()
        assert row == (owned.name, 3)


class Sleeper:
    """An owner who has slept while another has taken its partition."""

    def __init__(self, claim: ownership.Claim, snapshot: owner.Snapshot) -> None:
        self.partition, self.fence = claim.partition, claim.fence
        self.snapshot = lambda: snapshot

    def saved(self) -> None:
        raise AssertionError("it is not saved")


async def test_a_checkpoint_of_an_earlier_owner_writes_nothing(db: AsyncEngine) -> None:
    tables = ledger.tables
    async with db.begin() as connection:
        await ownership.prepare(connection, tables, 1)
        (before,) = await ownership.claim(connection, tables, "before", 1)
        assert await ownership.claim(connection, tables, "after", 1) == []
        await connection.execute(sa.update(tables.partitions).values(until=sa.text("'-infinity'")))
        (after,) = await ownership.claim(connection, tables, "after", 1)
    progress = ownership.Progress(0, before.fence, 100, 1, "stream", {"g": (7, 1)})
    changes = Changes(0, [{("room", "ana"): ledger.Line("room", "ana", 1, 1)}, {}])
    sleeper: Any = Sleeper(before, owner.Snapshot(progress, changes))
    lost: list[Any] = []

    await Checkpoints(db, tables, ledger.store, lambda: [sleeper], lost.append).write([sleeper])

    assert lost == [sleeper]
    assert await written(db, 0) is None
    async with db.connect() as connection:
        assert (await connection.execute(sa.select(tables.partitions.c.cursor))).scalar_one() == 0
        moved = await ownership.advance(connection, tables, [progress._replace(fence=after.fence)])
    assert moved == {0}


async def test_what_a_wiped_nats_left_behind_is_closed_once(
    nats_server: Server, bus: Bus, db: AsyncEngine, writer: Writer
) -> None:
    async with owning(bus, db) as owned:
        await put(writer, 1, post("room", "ana", "5"))
        await eventually(lambda: written(db, 1))

        await wipe(nats_server)
        await eventually(lambda: None if "closed at" in notes(owned, 1) else "not closed")
        await put(writer, 1, post("room", "ana", "1"))
        await eventually(lambda: None if notes(owned, 1).get("room") == 2 else "not reduced")
        replicas = Replicas(bus, db, "", "", Path())
        texts = [msgspec.json.decode(entry.payload)["data"]["text"] for entry in await replicas.read("EVENTS", ">")]

    assert texts == ["closed", "1"]


async def test_what_a_wiped_nats_left_behind_is_closed_by_whoever_comes_next(
    nats_server: Server, db: AsyncEngine
) -> None:
    async with (
        nats_bus(nats_server.url, "before") as bus,
        writing(bus, "gateway") as writer,
        owning(bus, db) as owned,
    ):
        await put(writer, 1, post("room", "ana", "5"))
        await eventually(lambda: None if notes(owned, 1).get("room") == 1 else "not reduced")
    await wipe(nats_server)
    async with nats_bus(nats_server.url, "after") as bus:
        async with owning(bus, db) as owned:
            assert "closed at" in notes(owned, 1)
        async with owning(bus, db) as owned:
            replicas = Replicas(bus, db, "", "", Path())
            assert len(await replicas.read("EVENTS", ">")) == 1


async def test_time_passes_while_a_state_waits(bus: Bus, db: AsyncEngine, writer: Writer) -> None:
    async with owning(bus, db) as owned:
        await put(writer, 1, post("room", "ana", "note wait"))

        await eventually(lambda: None if notes(owned, 1).get("ticks", 0) >= 2 else "no ticks")

        assert "ticks" not in notes(owned, 0)


async def test_a_gateway_without_a_lease_is_lost_and_may_come_back(bus: Bus, db: AsyncEngine, writer: Writer) -> None:
    leases = await bus.js.key_value(subjects.LEASES)
    loop = asyncio.get_running_loop()
    async with owning(bus, db) as owned:
        began = loop.time()
        await put(writer, 1, post("room", "ana", "note watch gone"))
        await eventually(lambda: None if "lost gone" in notes(owned, 1) else "not lost")
        assert loop.time() - began > 3

        await leases.put("gone", b"")
        await eventually(lambda: None if "lost gone" not in notes(owned, 1) else "not back")


async def test_the_log_is_purged_behind_its_slowest_reader(
    bus: Bus, db: AsyncEngine, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "EVERY_SECONDS", 0.1)
    monkeypatch.setattr(purge, "FAR_AHEAD", 10)
    kept = await bus.js.key_value("cursors")

    async def first() -> int:
        return (await bus.js.stream_info(subjects.INGRESS)).state.first_seq

    async with owning(bus, db, readers=("ledger", "other")):
        for number in range(1, 41):  # in one partition only: the others must not hold the log for ever
            await put(writer, 1, post("room", "ana", str(number)))

        async def said() -> str | None:
            try:
                await kept.get("ledger")
            except KeyNotFoundError:
                return "not said"
            return None

        await eventually(said)
        assert await first() == 1

        created = await bus.created(subjects.INGRESS)
        await kept.put("other", msgspec.json.encode(purge.Read(created, 20)))

        async def purged() -> str | None:
            return None if await first() == 21 else f"begins at {await first()}"

        await eventually(purged)


async def test_another_number_of_partitions_is_refused(bus: Bus, db: AsyncEngine) -> None:
    async with owning(bus, db):
        pass

    with pytest.raises(Exception, match="fixed for the life of an installation"):
        async with partitions(bus, db, service="ledger", count=2, store=ledger.store, tables=ledger.tables):
            pass


async def test_an_owner_whose_code_raises_ends_the_process(
    bus: Bus, db: AsyncEngine, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise LookupError("the loop broke")

    async def own() -> None:
        async with owning(bus, db):
            monkeypatch.setattr(owner.Owner, "_say", breaks)
            await put(writer, 1, post("room", "ana", "1"))
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as caught:
        await own()
    assert caught.group_contains(LookupError, match="the loop broke")

    table = ledger.tables.partitions
    async with db.connect() as connection:
        held = await connection.execute(sa.select(table.c.partition).where(table.c.owner != ""))
    assert held.all() == []


class Overtaken:
    """A store whose first look finds PostgreSQL away, and by the second another replica has taken the partition."""

    def __init__(self, db: AsyncEngine) -> None:
        self._db = db
        self.looks = 0

    async def load(self, db: AsyncConnection, partition: int) -> State:
        """Fail once, and have the partition taken meanwhile."""
        if partition == 1:
            self.looks += 1
        if partition == 1 and self.looks == 1:
            table = ledger.tables.partitions
            async with self._db.begin() as connection:
                taken = sa.update(table).where(table.c.partition == 1)
                await connection.execute(taken.values(owner="another", fence=table.c.fence + 1, cursor=100))
            raise OSError("PostgreSQL is away")
        return await ledger.store.load(db, partition)

    async def save(self, db: AsyncConnection, changes: Sequence[Changes]) -> None:
        """Save."""
        await ledger.store.save(db, changes)


async def test_rows_are_loaded_only_as_they_were_at_the_claim(bus: Bus, db: AsyncEngine) -> None:
    """Rows that are newer than the cursor would be reduced again, and other words said than the present owner's."""
    store = Overtaken(db)
    async with partitions(
        bus, db, service="ledger", count=ledger.COUNT, store=store, tables=ledger.tables, readers=("ledger",)
    ) as owned:
        await eventually(lambda: None if store.looks == 2 else f"looked {store.looks} times")
        await eventually(owned.check)

    async with db.connect() as connection:
        table = ledger.tables.partitions
        fence = (await connection.execute(sa.select(table.c.fence).where(table.c.partition == 1))).scalar_one()
    assert fence == 3
