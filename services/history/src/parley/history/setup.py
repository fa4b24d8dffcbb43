"""
How long a call took to come about: from the first offer among those who began it.

An offer and the call that follows may be written in either order, so whoever writes one looks for the other. Writers
come one after the other (activity.py's lock), so the later one finds what the earlier one wrote.
"""

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.history.records import Call, Step

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
        from unnest(cast(:apps as text[]), cast(:offerers as text[]), cast(cast(:times as text[]) as timestamptz[]))
            as o (app, connection_id, time)
        join history.participants p on p.app = o.app and p.connection_id = o.connection_id
            and p.joined_at between o.time and o.time + interval '{WINDOW}'
    ), measured as (
        select c.app, c.id, (
            select min(s.time) from history.participants p
            join history.steps s on s.app = p.app and s.connection_id = p.connection_id and s.type = 'offered'
                and s.time between {EARLIEST} and c.started_at
                and (s.room = c.room or s.room is null and s.to_id is not null)
                and (s.to_id is null or exists (
                    select from history.participants q where q.app = c.app and q.call_id = c.id
                    and q.connection_id = s.to_id and q.joined_at = c.started_at))
            where p.app = c.app and p.call_id = c.id and p.joined_at = c.started_at
        ) as offered_at
        from touched t join history.calls c on c.app = t.app and c.id = t.id
    )
    update history.calls c set setup_ms = round(1000 * extract(epoch from c.started_at - m.offered_at))
    from measured m where c.app = m.app and c.id = m.id and m.offered_at is not null
    and c.setup_ms is distinct from round(1000 * extract(epoch from c.started_at - m.offered_at))
""")  # noqa: S608 - our own words


async def measure(db: AsyncConnection, calls: Iterable[Call], steps: Iterable[Step]) -> None:
    """Set `setup_ms` of the calls among these and of those that offers among *steps* led to."""
    touched = list(calls)
    offers = [step for step in steps if step.type == "offered"]
    if not touched and not offers:
        return
    await db.execute(
        _MEASURE,
        {
            "call_apps": [call.app for call in touched],
            "calls": [call.id for call in touched],
            "apps": [offer.app for offer in offers],
            "offerers": [offer.connection_id for offer in offers],
            "times": [offer.time for offer in offers],
        },
    )
