"""
How often what happened in each second and minute: counters, to which each event is added once.

An event can come again: to the same replica, to another one, after a commit of which nobody knows. A row per event
would tell, and cost as much as chat. But all come from one stream, where each has a number, and nearly all come in
order; so which are counted is a handful of ranges, and most of the time one. They are changed in the transaction that
counts, and locked by it: of two replicas that count, one waits for the other.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.protocol.clock import rfc3339

COUNTED: Final[Mapping[str, str]] = {
    "connection.opened": "connections_opened",
    "connection.closed": "connections_closed",
    "room.joined": "joins",
    "room.left": "leaves",
    "message.posted": "messages",
    "call.started": "calls_started",
    "call.ended": "calls_ended",
    "negotiation.offered": "offers",
    "negotiation.failed": "negotiations_failed",
    "event.failed": "events_failed",
}
"""The counter of each event that is counted."""

GRAINS: Final = (1, 60)
"""Seconds of the steps for which counters are kept."""

_COLUMNS: Final = tuple(COUNTED.values())


class Happened(Struct, frozen=True):
    """Something to be counted."""

    app: str
    counter: str
    time: int
    """In milliseconds since the epoch."""


class Arrived(Struct, frozen=True):
    """Events as a batch brings them, with their numbers in the stream."""

    stream: str
    """Which incarnation of EVENTS: when it was made."""
    events: Sequence[tuple[int, Happened | None]]
    """With None for what is not counted: numbers that were left out would cut the ranges to pieces."""


_DONE: Final = sa.text(
    # Whoever vanishes with the lock in hand is ended by PostgreSQL, lest all others wait for as long as TCP believes.
    "select done, set_config('idle_in_transaction_session_timeout', '10s', true)"
    " from history.counted where stream = :stream for update"
)
_BEGIN: Final = sa.text("insert into history.counted values (:stream, '{}') on conflict do nothing")
_DO: Final = sa.text(
    "update history.counted set done = done + cast(cast(:ranges as text) as int8multirange) where stream = :stream"
)
_ADD: Final = sa.text(
    f"insert into history.activity (grain, app, time, {', '.join(_COLUMNS)})"  # noqa: S608 - our own names
    " select cast(grain as smallint), app, cast(time as timestamptz),"
    f" {', '.join(f'cast({name} as bigint)' for name in _COLUMNS)}"
    " from unnest(cast(:grain as text[]), cast(:app as text[]), cast(:time as text[]), "
    f"{', '.join(f'cast(:{name} as text[])' for name in _COLUMNS)})"
    f" as given (grain, app, time, {', '.join(_COLUMNS)})"
    " on conflict (grain, app, time) do update set "
    + ", ".join(f"{name} = activity.{name} + excluded.{name}" for name in _COLUMNS)
)


async def count(db: AsyncConnection, arrived: Arrived) -> None:
    """Add what was not added before; from here to the end of the transaction nobody else does."""
    fresh = await _fresh(db, arrived)
    if not fresh:
        return
    ranges = "{" + ",".join(f"[{first},{last}]" for first, last in _runs(number for number, _ in fresh)) + "}"
    await db.execute(_DO, {"stream": arrived.stream, "ranges": ranges})
    if counters := _counters(happened for _, happened in fresh if happened):
        await db.execute(_ADD, counters)


async def _fresh(db: AsyncConnection, arrived: Arrived) -> list[tuple[int, Happened | None]]:
    found = (await db.execute(_DONE, {"stream": arrived.stream})).first()
    if found is None:
        await db.execute(_BEGIN, {"stream": arrived.stream})
        found = (await db.execute(_DONE, {"stream": arrived.stream})).one()
    begins = [each.lower for each in found.done]
    ends = [each.upper for each in found.done]

    def done(number: int) -> bool:
        place = bisect_right(begins, number)
        return place > 0 and number < ends[place - 1]

    once = dict(arrived.events)
    return [(number, happened) for number, happened in sorted(once.items()) if not done(number)]


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return the first and the last of each run in sorted *numbers*."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _counters(what: Iterable[Happened]) -> dict[str, list[str]]:
    """Return rows of `activity` by column, in the order of their keys; nothing when nothing happened."""
    sums: dict[tuple[int, str, int], dict[str, int]] = {}
    for each in what:
        for grain in GRAINS:
            key = (grain, each.app, each.time // (grain * 1000) * (grain * 1000))
            row = sums.setdefault(key, dict.fromkeys(_COLUMNS, 0))
            row[each.counter] += 1
    if not sums:
        return {}
    rows = sorted(sums.items())
    return {
        "grain": [str(grain) for (grain, _, _), _ in rows],
        "app": [app for (_, app, _), _ in rows],
        "time": [rfc3339(time) for (_, _, time), _ in rows],
        **{name: [str(row[name]) for _, row in rows] for name in _COLUMNS},
    }
