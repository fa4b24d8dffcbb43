"""SQL that sums up: what each step of a span of time holds. Steps without anything are left out."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.history.activity import COUNTED
from parley.history.parameters import ms
from parley.history.spans import MINUTE, Span

Figures = Mapping[str, Any]
"""Of one step, by column."""

_BIN: Final = "date_bin(:step, {time}, timestamptz 'epoch') as step"

_CALLS: Final = f"""
    select {_BIN.format(time="started_at")}, count(*) as calls,
        percentile_cont(array[0.5, 0.95]) within group (order by duration_ms) as duration_ms,
        percentile_cont(array[0.5, 0.95, 0.99]) within group (order by setup_ms) as setup_ms
    from history.calls where app = :app and started_at >= :since and started_at < :until"""  # noqa: S608 - our own names
_STEPS: Final = f"""
    select {_BIN.format(time="time")},
        count(*) filter (where type = 'offered') as offers,
        count(*) filter (where type = 'answered') as answered,
        count(*) filter (where type = 'failed') as failed
    from history.steps where app = :app and time >= :since and time < :until"""  # noqa: S608
_FIRST_MEDIA: Final = f"""
    select {_BIN.format(time="time")},
        percentile_cont(array[0.5, 0.95, 0.99]) within group (order by first_media_ms) as first_media_ms
    from history.first_media where app = :app and time >= :since and time < :until"""  # noqa: S608
_ACTIVITY: Final = f"""
    select {_BIN.format(time="time")},
        {", ".join(f"cast(sum({name}) as bigint) as {name}" for name in COUNTED.values())}
    from history.activity
    where app = :app and grain = :grain and time >= :since and time < :until group by 1"""  # noqa: S608 - our own names


async def calls_by_step(db: AsyncConnection, app: str, room: str | None, over: Span) -> Sequence[Mapping[int, Figures]]:
    """Return the calls that began, the steps of negotiations and the first media of each step that has any."""
    given = {"app": app, "step": over.step, "since": over.since, "until": over.until}
    if room is not None:
        given["room"] = room
    here = " and room = :room" if room is not None else ""
    found = []
    for query in (_CALLS, _STEPS, _FIRST_MEDIA):
        rows = await db.execute(sa.text(f"{query}{here} group by 1"), given)
        found.append(_by_step(rows))
    return found


async def activity_by_step(db: AsyncConnection, app: str, over: Span) -> Mapping[int, Figures]:
    """Return how often what happened in each step in which anything did."""
    given = {"app": app, "step": over.step, "since": over.since, "until": over.until}
    given["grain"] = 1 if over.length < MINUTE else 60
    return _by_step(await db.execute(sa.text(_ACTIVITY), given))


def _by_step(rows: CursorResult[Any]) -> Mapping[int, Figures]:
    return {ms(row["step"]): {name: row[name] for name in row if name != "step"} for row in rows.mappings()}
