"""``GET /v1/analytics``: calls and what happened, over time."""

import time
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Query
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.history import figures
from parley.history.activity import COUNTED
from parley.history.parameters import MAX_NAME, From, To, storable
from parley.history.spans import HOUR, MINUTE, span
from parley.kit.rest import Caller, Page, Shape, Time, require
from parley.protocol.clock import rfc3339
from parley.protocol.codes import ErrorCode, Refusal

SECONDS_KEPT: Final = HOUR + 5 * MINUTE
"""How long activity by the second is kept, in milliseconds: the hour that is promised, and time to ask for it."""

_NO_CALLS: Final = {"calls": 0, "duration_ms": (None, None), "setup_ms": (None, None, None)}
_NO_STEPS: Final = {"offers": 0, "answered": 0, "failed": 0}
_NO_MEDIA: Final = {"first_media_ms": (None, None, None)}
_NOTHING: Final = dict.fromkeys(COUNTED.values(), 0)


class Middle(Shape):
    """How long it took half of them at most, and 95 of a hundred."""

    p50: float | None
    p95: float | None


class Spread(Middle):
    """How long it took half of them at most, 95 of a hundred, and 99."""

    p99: float | None


class CallsInStep(Shape):
    """What was negotiated, and which calls began, in one step."""

    time: Time
    """When the step begins."""
    calls: int
    """That began."""
    offers: int
    answered: int
    failed: int
    success_rate: float | None
    """Of the offers that were answered or failed, how many were answered: 0 to 1."""
    duration_ms: Middle
    """Of those of these calls that have ended."""
    setup_ms: Spread
    first_media_ms: Spread


class Activity(Shape):
    """How often what happened in one step."""

    time: Time
    """When the step begins."""
    connections_opened: int
    connections_closed: int
    joins: int
    leaves: int
    messages: int
    calls_started: int
    calls_ended: int
    offers: int
    negotiations_failed: int
    events_failed: int


def add_analytics(app: FastAPI, db: AsyncEngine) -> None:
    """Add the routes."""

    @app.get("/v1/analytics/calls")
    async def calls_over_time(
        caller: Caller,
        from_: From = None,
        to: To = None,
        step: Annotated[Literal["minute", "hour", "day"], Query()] = "hour",
        room: Annotated[str | None, Query(min_length=1, max_length=MAX_NAME)] = None,
    ) -> Page[CallsInStep]:
        """Sum up the calls that began in each step, how they came about and how long they lasted."""
        require(caller.admin, "`admin`, which analytics need")
        over = span(from_, to, step, _now())
        async with db.connect() as connection:
            found = await figures.calls_by_step(connection, caller.app, storable(room, "room"), over)
        calls, steps, media = found
        items = [
            _calls_in(at, {**calls.get(at, _NO_CALLS), **steps.get(at, _NO_STEPS), **media.get(at, _NO_MEDIA)})
            for at in over.times()
        ]
        return Page(items=items, next=None)

    @app.get("/v1/analytics/activity")
    async def activity_over_time(
        caller: Caller,
        from_: From = None,
        to: To = None,
        step: Annotated[Literal["second", "minute", "hour"], Query()] = "minute",
    ) -> Page[Activity]:
        """Count what happened in each step. By the second only the last hour is known."""
        require(caller.admin, "`admin`, which analytics need")
        now = _now()
        over = span(from_, to, step, now)
        if step == "second" and over.begin < now - SECONDS_KEPT:
            raise Refusal(ErrorCode.BAD_REQUEST, "By the second only the last hour is kept: ask for minutes.")
        async with db.connect() as connection:
            found = await figures.activity_by_step(connection, caller.app, over)
        return Page(
            items=[Activity(**{**found.get(at, _NOTHING), "time": rfc3339(at)}) for at in over.times()],
            next=None,
        )


def _calls_in(at: int, row: dict[str, Any]) -> CallsInStep:
    settled = row["answered"] + row["failed"]
    return CallsInStep(
        time=rfc3339(at),
        calls=row["calls"],
        offers=row["offers"],
        answered=row["answered"],
        failed=row["failed"],
        success_rate=row["answered"] / settled if settled else None,
        duration_ms=Middle(**_percentiles(Middle, row["duration_ms"])),
        setup_ms=Spread(**_percentiles(Spread, row["setup_ms"])),
        first_media_ms=Spread(**_percentiles(Spread, row["first_media_ms"])),
    )


def _percentiles(shape: type[Middle], found: Any) -> dict[str, float | None]:
    """Return percentiles by name, to a tenth of a millisecond. PostgreSQL has null for the percentiles of nothing."""
    values = found or [None] * len(shape.model_fields)
    return {
        name: None if value is None else round(value, 1) for name, value in zip(shape.model_fields, values, strict=True)
    }


def _now() -> int:
    return time.time_ns() // 1_000_000
