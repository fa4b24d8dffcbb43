"""
A service's share of the partitions: claimed, kept, balanced, given back.

    async with partitions(bus, db, service="rooms", count=16, store=store, tables=ownership) as owned:
        ...

One owner at a time, by a row in the service's schema. A replica that falls silent loses its rows when their lease is
over; one that ends gives them back at once. An owner whose code raises ends the process; one that loses its row is
only forgotten.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
from nats.aio.msg import Msg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.kit import metrics, ownership
from parley.kit.bus import Bus, pauses
from parley.kit.checkpoints import Checkpoints
from parley.kit.lifecycle import CannotStart
from parley.kit.owner import Owner
from parley.kit.ownership import Ownership
from parley.kit.purge import READERS, Purge
from parley.kit.state import State, Store
from parley.kit.watch import Watch
from parley.kit.writer import Writer, writing
from parley.protocol import subjects

RENEW_SECONDS: Final = 1.0
_HUNGRY_SECONDS: Final = 0.1
"""How often a replica looks that others are about to give something to."""
_STATEMENT_SECONDS: Final = 5.0
_STOP_SECONDS: Final = 5.0
_AWAY: Final = (SQLAlchemyError, OSError, TimeoutError)

_CLAIMED: Final = metrics.counter("partitions_claimed", "Partitions that this process has taken.")
_LOST: Final = metrics.counter(
    "partitions_lost",
    "Partitions that another process took while this one thought to own them: it slept, or was cut off.",
)
_LAG: Final = metrics.asked(
    "partition_lag", "Entries of the log that the owner here has still to read, as far as NATS has told.", "partition"
)
_UNSAVED: Final = metrics.asked(
    "partition_unsaved_seconds",
    "How long ago the oldest entry was read that is in no checkpoint; an owner stops at 90.",
    "partition",
)

_log = structlog.get_logger("parley.partitions")


class Owned:
    """The partitions of this replica."""

    def __init__(
        self,
        bus: Bus,
        db: AsyncEngine,
        writer: Writer,
        group: asyncio.TaskGroup,
        *,
        service: str,
        count: int,
        store: Store,
        tables: Ownership,
        classes: str,
    ) -> None:
        """Use `partitions`."""
        self.name: Final = writer.name
        self.checkpoints: Final = Checkpoints(db, tables, store, self.running, self._lose)
        self._bus = bus
        self._db = db
        self._writer = writer
        self._group = group
        self._service = service
        self._count = count
        self._store = store
        self._tables = tables
        self._classes = classes
        self._owners: dict[int, Owner] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._leaving: set[int] = set()
        """Partitions that are being given back."""
        self._look = asyncio.Event()
        self._free = count
        self._away = "The first look at PostgreSQL is still to come."

    def __len__(self) -> int:
        return len(self._owners)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._owners))

    @property
    def states(self) -> dict[int, State]:
        """The states by partition, as far as they are loaded; to be read, never to be changed."""
        return {owner.partition: owner.state for owner in self._owners.values() if owner.state is not None}

    def check(self) -> str | None:
        """Return None when every partition has an owner and ours are level with the log; for readiness."""
        if self._away:
            return self._away
        if self._free:
            return f"{self._free} of {self._count} partitions have no owner yet."
        behind = sum(not owner.level for owner in self.running())
        return f"{behind} partitions are behind the log." if behind else None

    async def keep(self) -> None:
        """Renew, claim and balance, for as long as the process lives."""
        while True:
            try:
                pause = await self._tend()
                self._away = ""
            except _AWAY as error:
                if not self._away:
                    _log.warning("PostgreSQL is away; our partitions stay ours", error=error)
                self._away = "PostgreSQL does not answer."
                pause = RENEW_SECONDS
            self._look.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), pause)

    async def look(self, _: Msg) -> None:
        """Look at once: another replica says that it has given something back."""
        self._look.set()

    async def close(self) -> None:
        """Give everything back at once, after a last checkpoint."""
        try:
            async with asyncio.timeout(_STATEMENT_SECONDS):
                async with self._db.begin() as connection:
                    await ownership.leave(connection, self._tables, self.name)
        except _AWAY:
            _log.debug("nobody to say goodbye to")
        await self._give_back(list(self._owners))

    async def _tend(self) -> float:
        """Do what is to be done now, and return how long it may rest then."""
        began = self._owners.copy()
        asked = asyncio.get_running_loop().time()
        async with asyncio.timeout(_STATEMENT_SECONDS), self.checkpoints.rows, self._db.begin() as connection:
            fences = await ownership.renew(connection, self._tables, self.name)
            spread = await ownership.standing(connection, self._tables, self.name)
            share = spread.share(self._count)
            room = share - len(self._owners)
            claimed = []
            if room > 0 and spread.free:
                claimed = await ownership.claim(connection, self._tables, self.name, room)
            unknown = {
                partition: fence
                for partition, fence in fences.items()
                if partition not in began or began[partition].fence != fence
            }
            if unknown:  # claimed by a transaction whose end we never heard: to be claimed properly
                await ownership.give_back(connection, self._tables, unknown)
        for partition, owner in began.items():
            if fences.get(partition) == owner.fence:
                owner.renewed(asked)
            elif partition not in self._leaving:
                self._lose(owner)
        for claim in claimed:
            self._own(claim, asked)
        self._free = spread.free - len(claimed)
        excess = len(self._owners) - len(self._leaving) - share
        if excess > 0:
            extra = sorted(set(self._owners) - self._leaving)[-excess:]
            self._leaving.update(extra)
            self._group.create_task(self._give_back(extra), name="give back")
        hungry = len(self._owners) < share
        return min(RENEW_SECONDS, max(0.02, spread.expires + 0.02), _HUNGRY_SECONDS if hungry else RENEW_SECONDS)

    def lag(self) -> metrics.Readings:
        """Return how far each of ours is behind the log, where that is known."""
        found = ((owner.partition, owner.behind) for owner in self.running())
        return {(str(partition),): behind for partition, behind in found if behind is not None}

    def unsaved(self) -> metrics.Readings:
        """Return for how long each of ours has had something that is not checkpointed."""
        return {(str(owner.partition),): owner.unsaved_seconds for owner in self.running()}

    def running(self) -> Iterable[Owner]:
        """Return the owners who are neither lost nor about to hand over."""
        return [owner for partition, owner in self._owners.items() if partition not in self._leaving]

    def _own(self, claim: ownership.Claim, asked: float) -> None:
        _CLAIMED.inc()
        _log.info("claimed", partition=claim.partition, fence=claim.fence, cursor=claim.cursor)
        owner = Owner(self._bus, self._writer, self._service, self._classes, claim)
        owner.renewed(asked)
        self._owners[claim.partition] = owner
        task = self._group.create_task(self._live(owner), name=f"own partition {claim.partition}")
        self._tasks[claim.partition] = task

    async def _live(self, owner: Owner) -> None:
        for pause in pauses():
            try:
                state = await self._load(owner)
                break
            except _AWAY as error:
                _log.warning("the state cannot be loaded yet", partition=owner.partition, error=error)
                await asyncio.sleep(pause)
        if state is None:
            self._lose(owner)
        else:
            await owner.run(state)

    async def _load(self, owner: Owner) -> State | None:
        """
        Return the rows as they were when the partition was claimed, None if it is another's by now.

        All of it is one snapshot of the database: where the fence is ours nobody has written since our claim, so the
        rows agree with the cursor that came with it.
        """
        async with self._db.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            if not await ownership.is_held(connection, self._tables, owner.partition, owner.fence):
                return None
            return await self._store.load(connection, owner.partition)

    def _lose(self, owner: Owner) -> None:
        """Forget everything: the partition is another's."""
        if self._owners.get(owner.partition) is not owner:
            return
        _LOST.inc()
        _log.warning("lost", partition=owner.partition, fence=owner.fence)
        self.checkpoints.forget(owner)
        del self._owners[owner.partition]
        self._leaving.discard(owner.partition)
        owner.forget()
        self._tasks.pop(owner.partition).cancel()

    async def _give_back(self, which: list[int]) -> None:
        """Let others have these partitions, after a last checkpoint."""
        self._leaving.update(which)
        owners = [self._owners[partition] for partition in which if partition in self._owners]
        if not owners:
            return
        for owner in owners:
            owner.stop()
        tasks = [self._tasks[owner.partition] for owner in owners]
        _, slow = await asyncio.wait(tasks, timeout=_STOP_SECONDS)
        for task in slow:
            task.cancel()  # NATS is away: the successor will say it
        try:
            await self.checkpoints.last(owners)
            mine = {owner.partition: owner.fence for owner in owners if self._owners.get(owner.partition) is owner}
            if mine:
                async with asyncio.timeout(_STATEMENT_SECONDS), self.checkpoints.rows, self._db.begin() as connection:
                    await ownership.give_back(connection, self._tables, mine)
        except _AWAY as error:
            _log.warning("partitions could not be given back; their lease will end", error=error)
        for owner in owners:
            if self._owners.get(owner.partition) is owner:
                self.checkpoints.forget(owner)
                del self._owners[owner.partition], self._tasks[owner.partition]
            self._leaving.discard(owner.partition)
        await self._bus.say(subjects.free(self._service), b"")
        _log.info("gave back", partitions=[owner.partition for owner in owners])


@asynccontextmanager
async def partitions(
    bus: Bus,
    db: AsyncEngine,
    *,
    service: str,
    count: int,
    store: Store,
    tables: Ownership,
    classes: str = "*",
    readers: Iterable[str] = READERS,
) -> AsyncIterator[Owned]:
    """
    Own a share of the *count* partitions of *service*.

    *classes* is what is read of them: ``*`` for everything, ``c`` for the life of connections alone. *readers* are all
    the services for which the log is kept.
    """
    try:
        async with db.begin() as connection:
            found = await ownership.prepare(connection, tables, count)
    except _AWAY as error:
        raise CannotStart(f"PostgreSQL does not let {service} find its partitions ({error}).") from error
    if found != count:
        raise CannotStart(
            f"This installation has {found} partitions, and PARLEY_PARTITIONS says {count}:"
            " the number is fixed for the life of an installation.",
        )
    name = f"{service}-{secrets.token_hex(4)}"
    async with writing(bus, name) as writer, asyncio.TaskGroup() as group:
        owned = Owned(bus, db, writer, group, service=service, count=count, store=store, tables=tables, classes=classes)
        watch = Watch(bus, writer, service, owned.running)
        purge = Purge(bus, db, tables, service, owned.running, watch.tick, readers)
        hears = await bus.client.subscribe(subjects.free(service), cb=owned.look)
        tasks = [group.create_task(work) for work in (owned.keep(), owned.checkpoints.run(), watch.run(), purge.run())]
        try:
            with _LAG.by(owned.lag), _UNSAVED.by(owned.unsaved):
                yield owned
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await hears.unsubscribe()
            await owned.close()
