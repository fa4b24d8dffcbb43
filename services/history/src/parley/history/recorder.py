"""
Events into PostgreSQL: a batch, one transaction, and only then the acknowledgements.

With PostgreSQL away the batch in hand is kept and tried again; nothing is acknowledged that is not written. An event
that cannot be written, whatever is tried, is parked in a table of its own and stops nobody.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeVar

import structlog
from msgspec import Struct
from nats.aio.msg import Msg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from parley.history import store
from parley.history.activity import Arrived, Happened
from parley.history.inbox import Inbox, number, stored_at
from parley.history.metrics import DELAY, PARKED, WRITTEN, reported, waited
from parley.history.records import CallRecord, Epoch, Message, Quality, Record, Step, Unreadable, read
from parley.history.store import Learned
from parley.history.story import Story, stories
from parley.kit import telemetry
from parley.kit.lifecycle import background
from parley.kit.telemetry import messaging, span

_PAUSES: Final = (0.1, 0.25, 0.5, 1.0)
GATHER_SECONDS: Final = 0.05
"""How long events gather before the next transaction. The first after a silence waits for nothing; under load a batch
costs a third of what its events would cost one by one, and nobody waits for history but its readers."""

_LATE_SECONDS: Final = 2.0
"""A batch that took longer to write has made others wait."""
_WRONG: Final = ("22", "23", "54")
"""SQLSTATE classes of what is wrong with the rows, and would be wrong again: data, constraints, limits."""
_TABLES: Final[dict[type[Record], str]] = {
    Message: "messages",
    Epoch: "epochs",
    CallRecord: "calls",
    Step: "steps",
    Quality: "reports",
}

_log = structlog.get_logger("parley.history")

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]


class Entry(Struct, frozen=True):
    """A message, and what is to be kept of it."""

    message: Msg
    record: Record | None
    happened: Happened | None
    traceparent: str | None


class Recorder:
    """What one replica does with its share of the events."""

    def __init__(self, inbox: Inbox, database: AsyncEngine) -> None:
        self._inbox = inbox
        self._database = database
        self._behind = True
        """Whether events from before may not be written yet: at the start, and after an outage."""
        self._target: int | None = None
        """The sequence at which we are level again; None as long as that cannot be said."""

    async def run(self) -> None:
        """Write events as they come, for as long as the process lives."""
        self._target = await self._inbox.newest()
        while True:
            batch = await self._inbox.batch()
            began = time.monotonic()
            await self._record(batch)
            WRITTEN.inc(len(batch))
            DELAY.observe(max(0.0, time.time() - stored_at(batch[0])))
            await self._inbox.acknowledge()
            await asyncio.sleep(GATHER_SECONDS - (time.monotonic() - began))

    async def behind(self) -> str | None:
        """Return None when history has caught up, else what is missing; for readiness."""
        if not self._behind:
            return None
        if self._target is None:
            return "Events wait to be written."
        missing = await self._inbox.level(self._target)
        if missing is None:
            self._behind = False
        return missing

    async def _record(self, batch: Sequence[Msg]) -> None:
        began = time.monotonic()
        entries = []
        for message in batch:
            try:
                event = read(message.data)
            except Unreadable as error:
                await self._park(message, error)
                continue
            entries.append(Entry(message, event.record, event.happened, event.traceparent))
        if entries:
            with _traced(entries):
                await self._write(entries)
            for entry in entries:
                if isinstance(entry.record, Quality):
                    reported(entry.record)
        if self._target is None or time.monotonic() - began > _LATE_SECONDS:
            self._behind = True
            self._target = await self._inbox.newest()

    async def _write(self, entries: Sequence[Entry]) -> None:
        """Write them all; or all but those whose rows are wrong."""
        records = [entry.record for entry in entries if entry.record is not None]
        arrived = Arrived(self._inbox.stream, [(number(entry.message), entry.happened) for entry in entries])

        async def work(db: AsyncConnection) -> tuple[Learned, Sequence[Story]]:
            learned = await store.write(db, records, arrived)
            return learned, await stories(db, learned.ended)

        try:
            learned, begun = await self._patiently(work)
        except DBAPIError as error:
            if len(entries) == 1:
                await self._park(entries[0].message, error.orig or error)
                return
            for entry in entries:
                await self._write([entry])
            return
        waited(learned.waited)
        for story in begun:
            story.tell()

    async def _park(self, message: Msg, error: BaseException) -> None:
        place = message.metadata
        PARKED.inc()
        _log.error("event parked", subject=message.subject, sequence=place.sequence.stream, error=error)
        parked = store.Parked(
            sequence=place.sequence.stream,
            stored_at=place.timestamp.timestamp(),
            subject=message.subject,
            payload=message.data,
            reason=str(error).replace("\0", "\ufffd"),
        )
        try:
            await self._patiently(lambda db: store.park(db, parked, self._inbox.stream))
        except DBAPIError:
            _log.exception("event could not even be parked", subject=message.subject, payload=message.data)

    async def _patiently(self, work: Work[T]) -> T:
        """Return what *work* in a transaction does, as often as it takes; raise only what would be wrong every time."""
        tries = 0
        while True:
            try:
                async with self._database.begin() as db:
                    done = await work(db)
            except (DBAPIError, PoolTimeout, OSError, TimeoutError) as error:
                if isinstance(error, DBAPIError) and _is_wrong(error):
                    raise
                self._behind, self._target = True, None
                if not tries:
                    _log.warning("events wait for PostgreSQL", error=error)
                await self._inbox.still_busy()
                await asyncio.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
                tries += 1
            else:
                if tries:
                    _log.info("PostgreSQL takes events again", times=tries)
                return done


@asynccontextmanager
async def recording(inbox: Inbox, database: AsyncEngine) -> AsyncIterator[Recorder]:
    """Write events for the length of the block."""
    recorder = Recorder(inbox, database)
    async with background(recorder.run(), "recorder"):
        yield recorder


def _is_wrong(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None) or ""
    return not error.connection_invalidated and state.startswith(_WRONG)


@contextmanager
def _traced(entries: Sequence[Entry]) -> Iterator[None]:
    """End the trace of each event, that began in somebody's browser, with its row's way into the database."""
    if not telemetry.recording():
        yield
        return
    spans = []
    for entry in entries:
        if entry.traceparent and entry.record is not None:
            outer = messaging("process", "parley.events.{app}.{type}", parent=entry.traceparent)
            table = f"history.{_TABLES[type(entry.record)]}"
            insert = span(
                f"INSERT {table}",
                kind="client",
                parent=outer.traceparent,
                attributes={"db.system.name": "postgresql", "db.collection.name": table},
            )
            spans += [insert, outer]
    try:
        yield
    finally:
        for each in spans:
            each.end()
