"""
A call's own trace: one span from its begin to its end, which links to the traces of its negotiation steps.

Its ids follow from the call's id (telemetry.py): whoever knows the call finds it, and who is told of it twice has it
once. It is made when the end of the call is written for the first time. So an end that is delivered again makes no
second one, and a replica that dies between writing and sending leaves a call without.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.history import queries
from parley.history.queries import CallFilter
from parley.history.records import Call
from parley.kit import telemetry
from parley.kit.telemetry import Attributes, Span
from parley.protocol.clock import milliseconds

MAX_LINKS: Final = 64
_LOOKED_AT: Final = 500
"""Steps among which those with a trace are sought."""
_NANOSECONDS: Final = 1_000_000
"""In a millisecond."""

_TOLD: Final = sa.text(
    "update history.calls set own_trace_id = :trace where app = :app and id = :id and own_trace_id is null"
)


class Story(Struct, frozen=True):
    """A span that has begun, and when it is to end."""

    span: Span
    ends_at: int
    """In nanoseconds since the epoch."""

    def tell(self) -> None:
        """Send it: what it tells of is written."""
        self.span.end(self.ends_at)


async def stories(db: AsyncConnection, ended: Iterable[Call]) -> Sequence[Story]:
    """Return what there is to tell of calls that have *ended* and that the sampler keeps, and write that there is."""
    return [story for call in ended if (story := await _story(db, call))]


async def _story(db: AsyncConnection, call: Call) -> Story | None:
    if not telemetry.span_of_call(call.id).recording:  # the sampler's word; what is never ended is never sent
        return None
    (known,) = await queries.calls_of(db, CallFilter(app=call.app, id=call.id), 1)
    steps = await queries.steps_of(db, call.app, call.id, _LOOKED_AT)
    links = [step["traceparent"] for step in steps if step["traceparent"]][:MAX_LINKS]
    said = {
        "parley.app": call.app,
        "parley.room": call.room,
        "parley.call.outcome": call.reason,
        "parley.call.participants": len(known["participants"]),
        "parley.call.setup_ms": known["setup_ms"],
        "parley.call.first_answer_ms": known["first_answer_ms"],
        "parley.call.first_media_ms": known["first_media_ms"],
    }
    attributes: Attributes = {name: value for name, value in said.items() if value is not None}
    assert call.ended_at is not None
    span = telemetry.span_of_call(
        call.id, links=links, attributes=attributes, at=milliseconds(call.started_at) * _NANOSECONDS
    )
    await db.execute(_TOLD, {"app": call.app, "id": call.id, "trace": telemetry.trace_of(call.id)})
    return Story(span, milliseconds(call.ended_at) * _NANOSECONDS)
