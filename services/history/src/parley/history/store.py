"""
SQL that writes, one statement per table for as many rows as there are; the caller owns the transaction.

Writing the same again changes nothing: an event may be delivered more than once, to any replica, and in
another order than it was said.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import Raw, Struct
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.history import activity, setup, tables
from parley.history.activity import Arrived
from parley.history.records import (
    Call,
    CallRecord,
    Epoch,
    FirstMedia,
    Message,
    Part,
    Quality,
    Record,
    Report,
    Step,
)
from parley.history.setup import Waited


class Parked(Struct, frozen=True):
    """A message of EVENTS that could not be stored, and why."""

    sequence: int
    stored_at: float
    """In seconds since the epoch."""
    subject: str
    payload: bytes
    reason: str


def _insert(table: sa.Table, row: type[Struct], then: str) -> sa.TextClause:
    """
    Rows travel as one array of text for each column, which PostgreSQL takes for the column's type.

    One JSON document for all would be shorter, but then U+0000 or half a surrogate pair in `data`, which
    the type json keeps, is refused. Every name in the statement is the program's own.
    """
    names = row.__struct_fields__
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy leaves it so
    kinds = [table.columns[name].type.compile(dialect) for name in names]
    values = ", ".join(f"cast({name} as {kind})" for name, kind in zip(names, kinds, strict=True))
    given = ", ".join(f"cast(:{name} as text[])" for name in names)
    columns = ", ".join(names)
    return sa.text(
        f"insert into {table.fullname} ({columns}) select {values} from unnest({given}) as given ({columns}) {then}"  # noqa: S608 - as said
    )


_MESSAGES: Final = _insert(tables.messages, Message, "on conflict do nothing")
_EPOCHS: Final = _insert(tables.epochs, Epoch, "on conflict do nothing")
_STARTED: Final = _insert(tables.calls, Call, "on conflict do nothing returning app, id")
_ENDED: Final = _insert(
    tables.calls,
    Call,
    "on conflict (app, id) do update set started_at = excluded.started_at, ended_at = excluded.ended_at,"
    " duration_ms = excluded.duration_ms, reason = excluded.reason"
    " where calls.ended_at is null or calls.ended_at <> excluded.ended_at returning app, id",
)
_TRACED: Final = sa.text(
    "update history.calls as c set trace_id = t.trace_id"
    " from unnest(cast(:app as text[]), cast(:id as text[]), cast(:trace_id as text[])) as t (app, id, trace_id)"
    " where c.app = t.app and c.id = t.id and c.trace_id is null"
)
_STEPS: Final = _insert(tables.steps, Step, "on conflict do nothing")
_REPORTS: Final = _insert(tables.reports, Report, "on conflict do nothing")
_FIRST_MEDIA: Final = _insert(
    tables.first_media,
    FirstMedia,
    "on conflict (app, call_id, connection_id, peer) do update set time = excluded.time,"
    " first_media_ms = excluded.first_media_ms where excluded.time < first_media.time returning app, call_id",
)
_PARTS: Final = _insert(tables.participants, Part, "on conflict do nothing")
_NOBODY: Final = sa.text(
    "delete from history.participants as p using unnest(cast(:app as text[]), cast(:id as text[])) as c (app, id)"
    " where p.app = c.app and p.call_id = c.id"
)
_PARK: Final = sa.text(
    "insert into history.parked (sequence, stored_at, subject, payload, reason)"
    " values (:sequence, to_timestamp(:stored_at), :subject, :payload, :reason) on conflict do nothing"
)


class _Batch:
    """Rows of each kind, each once."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.messages: dict[tuple[str, str, str, int], Message] = {}
        self.epochs: dict[tuple[str, str, str], Epoch] = {}
        self.started: dict[tuple[str, str], CallRecord] = {}
        self.ended: dict[tuple[str, str], CallRecord] = {}
        self.steps: dict[tuple[str, str, str, str], Step] = {}
        self.reported: list[Quality] = []
        for record in records:
            match record:
                case Message():
                    self.messages[record.app, record.room, record.epoch, record.position] = record
                case Epoch():
                    self.epochs[record.app, record.room, record.epoch] = record
                case CallRecord(call=call):
                    (self.ended if record.ended else self.started)[call.app, call.id] = record
                case Step():
                    self.steps[record.app, record.connection_id, record.time, record.id] = record
                case Quality():
                    self.reported.append(record)


class Learned(Struct, frozen=True):
    """What nobody knew before a batch was written. The same events once more teach nothing."""

    ended: Sequence[Call]
    """Calls that have ended by it."""
    waited: Sequence[Waited]


async def write(db: AsyncConnection, records: Iterable[Record], arrived: Arrived | None = None) -> Learned:
    """
    Write records of any kind, count what happened in the batch that *arrived* with them, and return what is new.

    Rows are written in the order of their keys, so that two replicas that were given the same events wait
    for one another and not crosswise.
    """
    batch = _Batch(records)
    if batch.messages:
        await db.execute(_MESSAGES, _columns(_sorted(batch.messages)))
    if batch.epochs:
        await db.execute(_EPOCHS, _columns(_sorted(batch.epochs)))
    heard = await _write_quality(db, batch.reported) if batch.reported else []
    if arrived:  # from here on one replica after the other: what follows looks at what others wrote
        await activity.count(db, arrived)
    return await _write_calls(db, batch, heard)


async def _write_calls(db: AsyncConnection, batch: _Batch, heard: Sequence[FirstMedia]) -> Learned:
    if batch.started:
        await _write_started(db, batch.started)
    ended = await _write_ended(db, batch.ended) if batch.ended else []
    if batch.steps:
        await db.execute(_STEPS, _columns(_sorted(batch.steps)))
    calls = [record.call for record in (*batch.started.values(), *batch.ended.values())]
    waited = await setup.measure(db, calls, batch.steps.values(), heard)
    return Learned([record.call for record in ended], waited)


async def _write_quality(db: AsyncConnection, reported: Sequence[Quality]) -> Sequence[FirstMedia]:
    """Write reports, and return what is new of first media: each report says it again."""
    reports = {
        (report.app, report.call_id, report.time, report.connection_id, report.peer): report
        for quality in reported
        for report in quality.reports
    }
    waited: dict[tuple[str, str, str, str], FirstMedia] = {}
    for quality in reported:
        for first in quality.first_media:
            key = (first.app, first.call_id, first.connection_id, first.peer)
            if key not in waited or first.time < waited[key].time:
                waited[key] = first
    if reports:
        await db.execute(_REPORTS, _columns(_sorted(reports)))
    if not waited:
        return []
    fresh = {(app, call) for app, call in await db.execute(_FIRST_MEDIA, _columns(_sorted(waited)))}
    return [first for first in waited.values() if (first.app, first.call_id) in fresh]


async def _write_started(db: AsyncConnection, records: dict[tuple[str, str], CallRecord]) -> None:
    """Where the call is known already it may have ended, and whoever said so knew better who took part."""
    added = await db.execute(_STARTED, _columns([record.call for record in _sorted(records)]))
    fresh = [records[app, id_] for app, id_ in added]
    await _write_parts(db, fresh)
    if known := [record.call for record in _sorted(records) if record not in fresh and record.call.trace_id]:
        await db.execute(_TRACED, {name: [getattr(call, name) for call in known] for name in ("app", "id", "trace_id")})


async def _write_ended(db: AsyncConnection, records: dict[tuple[str, str], CallRecord]) -> Sequence[CallRecord]:
    """
    Write the ends that are not written yet, and return them.

    The call's row comes before who took part: it makes another replica with the call's start wait for us.
    """
    ended = await db.execute(_ENDED, _columns([record.call for record in _sorted(records)]))
    fresh = [records[app, id_] for app, id_ in ended]
    await db.execute(_NOBODY, {"app": [each.call.app for each in fresh], "id": [each.call.id for each in fresh]})
    await _write_parts(db, fresh)
    return fresh


async def _write_parts(db: AsyncConnection, records: Iterable[CallRecord]) -> None:
    if parts := [part for record in records for part in record.parts]:
        await db.execute(_PARTS, _columns(parts))


async def park(db: AsyncConnection, message: Parked, stream: str) -> None:
    """Keep a message for a person to look at. It counts for nothing."""
    await db.execute(_PARK, msgspec.structs.asdict(message))
    await activity.count(db, Arrived(stream, [(message.sequence, None)]))


def _sorted(rows: dict[Any, Any]) -> list[Any]:
    return [rows[key] for key in sorted(rows)]


def _columns(rows: Sequence[Struct]) -> dict[str, list[str | None]]:
    return {name: [_text(getattr(row, name)) for row in rows] for name in rows[0].__struct_fields__}


def _text(value: str | float | Raw | None) -> str | None:
    match value:
        case None | str():
            return value
        case Raw():
            return bytes(value).decode()
        case _:
            return str(value)
