"""
How long a call took to come about.

That is from the first offer among those who began it to the first answer, and to its start; and how long the first of
them waited for media.

A step or a report and the call that it belongs to may be written in either order, so whoever writes one looks for the
other. Writers come one after the other (activity.py's lock), so the later one finds what the earlier one wrote.
"""

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.history.records import Call, FirstMedia, Step

WINDOW: Final = "60 seconds"
"""How long before a call its negotiation may have begun."""

EARLIEST: Final = f"""greatest(
    c.started_at - interval '{WINDOW}',
    (select b.ended_at from history.calls b
     where b.app = c.app and b.room = c.room and b.started_at < c.started_at and b.ended_at <= c.started_at
     order by b.started_at desc limit 1))"""  # noqa: S608 - our own words
"""From when on the steps are those of the call `c`: what came before is the one's before it in its room."""

_MEASURE: Final = sa.text(f"""
    with touched as (
        select c.app, c.id from history.calls c
        join unnest(cast(:call_apps as text[]), cast(:calls as text[])) as t (app, id) on c.app = t.app and c.id = t.id
        union
        select p.app, p.call_id
        from unnest(cast(:apps as text[]), cast(:steppers as text[]), cast(cast(:times as text[]) as timestamptz[]))
            as o (app, connection_id, time)
        join history.participants p on p.app = o.app and p.connection_id = o.connection_id
            and p.joined_at between o.time and o.time + interval '{WINDOW}'
    ), looked_at as (
        select c.*, s.offered_at, s.answered_at, (
            select min(f.first_media_ms) from history.first_media f
            where f.app = c.app and f.call_id = c.id and (
                select count(distinct p.connection_id) from history.participants p
                where p.app = c.app and p.call_id = c.id and p.joined_at = c.started_at
                and p.connection_id in (f.connection_id, f.peer)) = 2
        ) as media_ms
        from touched t join history.calls c on c.app = t.app and c.id = t.id
        cross join lateral (
            select min(s.time) filter (where s.type = 'offered') as offered_at,
                min(s.time) filter (where s.type = 'answered') as answered_at
            from history.participants p
            join history.steps s on s.app = p.app and s.connection_id = p.connection_id
                and s.type in ('offered', 'answered') and s.time between {EARLIEST} and c.started_at
                and (s.room = c.room or s.room is null and s.to_id is not null)
                and (s.to_id is null or exists (
                    select from history.participants q where q.app = c.app and q.call_id = c.id
                    and q.connection_id = s.to_id and q.joined_at = c.started_at))
            where p.app = c.app and p.call_id = c.id and p.joined_at = c.started_at
        ) s
    ), measured as (
        select app, id, first_answer_ms as answer_before, first_media_ms as media_before,
            coalesce(round(1000 * extract(epoch from started_at - offered_at)), setup_ms) as setup_ms,
            coalesce(
                case when answered_at >= offered_at then round(1000 * extract(epoch from answered_at - offered_at)) end,
                first_answer_ms) as first_answer_ms,
            coalesce(media_ms, first_media_ms) as first_media_ms
        from looked_at
    )
    update history.calls c
    set setup_ms = m.setup_ms, first_answer_ms = m.first_answer_ms, first_media_ms = m.first_media_ms
    from measured m where c.app = m.app and c.id = m.id
    and (c.setup_ms, c.first_answer_ms, c.first_media_ms)
        is distinct from (cast(m.setup_ms as bigint), cast(m.first_answer_ms as bigint), m.first_media_ms)
    returning case when m.answer_before is null then c.first_answer_ms end as answer_ms,
        case when m.media_before is null then c.first_media_ms end as media_ms
""")  # noqa: S608 - our own words


class Waited(Struct, frozen=True):
    """How long a call waited, as far as it was not known before; in milliseconds."""

    answer_ms: int | None
    media_ms: float | None


async def measure(
    db: AsyncConnection, calls: Iterable[Call], steps: Iterable[Step], heard: Iterable[FirstMedia]
) -> list[Waited]:
    """Measure these calls, those that *steps* led to and those whose media was *heard*; return what is new."""
    touched = {(call.app, call.id) for call in calls} | {(media.app, media.call_id) for media in heard}
    leading = [step for step in steps if step.type in ("offered", "answered")]
    if not touched and not leading:
        return []
    found = await db.execute(
        _MEASURE,
        {
            "call_apps": [app for app, _ in touched],
            "calls": [id_ for _, id_ in touched],
            "apps": [step.app for step in leading],
            "steppers": [step.connection_id for step in leading],
            "times": [step.time for step in leading],
        },
    )
    return [Waited(answer, media) for answer, media in found if answer is not None or media is not None]
