"""``GET /v1/calls``: which calls took place, who took part, how they came about and how they ended."""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, FastAPI, Query
from msgspec import Struct
from msgspec.structs import replace
from pydantic import Field
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from parley.history import queries
from parley.history.parameters import (
    MAX_NAME,
    MAX_WORDS,
    From,
    Milliseconds,
    To,
    in_order,
    in_room,
    maybe,
    maybe_rfc3339,
    moment,
    ms,
    storable,
)
from parley.history.queries import CallFilter, CallPlace
from parley.kit.cursors import cursor as cursor_of
from parley.kit.cursors import place
from parley.kit.identity import Identity
from parley.kit.rest import Caller, Cursor, Limit, Page, Shape, Time, require
from parley.protocol.clock import milliseconds, rfc3339
from parley.protocol.codes import ErrorCode, Refusal

MAX_STEPS: Final = 500


class Participant(Shape):
    """Somebody's part in a call."""

    connection_id: str
    user_id: str | None
    joined_at: Time
    left_at: Time | None


class Call(Shape):
    """The time in which a room had two or more negotiated members."""

    id: str
    room: str
    epoch: str
    state: Literal["active", "ended"]
    started_at: Time
    ended_at: Time | None
    duration_ms: int | None
    reason: str | None
    """How the member left whose leaving ended it."""
    trace_id: str | None
    """The trace of the frame that started it, if it was kept."""
    setup_ms: int | None
    """From the first offer among those who began it to its start, if that is known."""
    first_answer_ms: int | None
    """From the same offer to the first answer."""
    first_media_ms: float | None
    """From the start of a negotiation to the first media between those who began it: the least that one reported."""
    own_trace_id: str | None
    """The call's own trace, which tells of it as a whole and links to those of its steps: once it has ended, if it
    was kept."""
    participants: list[Participant]
    """While the call lasts: who began it."""


class Step(Shape):
    """An offer, an answer, or an offer that had none in time."""

    time: Time
    type: Literal["offered", "answered", "failed"]
    from_: str = Field(alias="from")
    to: str | None
    """Null when it went to a whole room."""
    trace_id: str | None
    """The trace of the frame that it was in, if it was kept."""
    trace_url: str | None
    """Where an operator looks at it."""


class CallDetails(Call):
    """A call with how it was negotiated."""

    trace_url: str | None
    """Where an operator looks at the trace of the frame that started it (`HISTORY_TRACE_URL`)."""
    own_trace_url: str | None
    """Where an operator looks at the call's own trace."""
    steps: list[Step]
    """Of those who took part, the earliest first; at most 500."""


class CallCount(Shape):
    """How many calls there are."""

    count: int


class _CallCursor(Struct, frozen=True, array_like=True):
    started_at: Milliseconds
    id: str


def _sought(
    caller: Caller,
    room: Annotated[str | None, Query(min_length=1, max_length=MAX_NAME)] = None,
    user: Annotated[
        str | None, Query(min_length=1, max_length=MAX_NAME, description="Who took part: a user, or a connection.")
    ] = None,
    from_: From = None,
    to: To = None,
    state: Annotated[Literal["active", "ended"] | None, Query()] = None,
    q: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=MAX_WORDS,
            description="Part of the room's name, or of the user or connection of somebody who took part.",
        ),
    ] = None,
) -> CallFilter:
    """Return what a list and a count have in common: which calls are wanted, by somebody who may ask."""
    if room is None:
        require(caller.admin, "`admin`, which listing the calls of all rooms needs")
    else:
        in_room(caller.may(room, "history"))
    in_order(from_, to)
    return CallFilter(
        app=caller.app,
        room=storable(room, "room"),
        user=storable(user, "user"),
        since=maybe(from_),
        until=maybe(to),
        state=state,
        part=storable(q, "q"),
    )


Sought = Annotated[CallFilter, Depends(_sought)]


def add_calls(app: FastAPI, db: AsyncEngine, trace_url: str) -> None:
    """Add the routes. *trace_url* is a template with ``{traceId}``, or empty."""

    def address(trace: str | None) -> str | None:
        return trace_url.replace("{traceId}", trace) if trace and trace_url else None

    @app.get("/v1/calls")
    async def list_calls(sought: Sought, limit: Limit = 100, cursor: Cursor = None) -> Page[Call]:
        """List calls, the latest first. Without `room` the app's `admin` is needed; times are those of the start."""
        at = None if cursor is None else place(cursor, _CallCursor)
        wanted = replace(sought, before=CallPlace(moment(at.started_at), at.id) if at else None)
        async with db.connect() as connection:
            found = await queries.calls_of(connection, wanted, limit + 1)
        following = None
        if len(found) > limit:
            last = found[limit - 1]
            following = cursor_of(_CallCursor(ms(last["started_at"]), last["id"]))
        return Page(items=[Call(**_call(row)) for row in found[:limit]], next=following)

    @app.get("/v1/calls/count")
    async def count_calls(sought: Sought) -> CallCount:
        """Count the calls that a list with the same filters would hold."""
        async with db.connect() as connection:
            return CallCount(count=await queries.count_calls(connection, sought))

    @app.get("/v1/calls/{call:name}")
    async def show_call(caller: Caller, call: str) -> CallDetails:
        """Show a call: who took part and when, how it was negotiated, how long it lasted and how it ended."""
        async with db.connect() as connection:
            found = await visible(connection, caller, call)
            steps = await queries.steps_of(connection, caller.app, call, MAX_STEPS)
        return CallDetails(
            **_call(found),
            trace_url=address(found["trace_id"]),
            own_trace_url=address(found["own_trace_id"]),
            steps=[_step(row, address) for row in steps],
        )


async def visible(db: AsyncConnection, caller: Identity, call: str) -> RowMapping:
    """Return a call; to those who may not see it, it is not there."""
    found = await queries.calls_of(db, CallFilter(app=caller.app, id=call), 1)
    if not found or not caller.may(found[0]["room"], "history"):  # who may not see it learns nothing of it
        raise Refusal(ErrorCode.NOT_FOUND, "There is no call of this id, or the token does not grant its room.")
    return found[0]


def _step(row: RowMapping, address: Callable[[str | None], str | None]) -> Step:
    trace = row["traceparent"].split("-")[1] if row["traceparent"] else None
    return Step(
        time=rfc3339(ms(row["time"])),
        type=row["type"],
        **{"from": row["connection_id"]},
        to=row["to_id"],
        trace_id=trace,
        trace_url=address(trace),
    )


def _call(row: RowMapping) -> dict[str, Any]:
    return {
        "id": row["id"],
        "room": row["room"],
        "epoch": row["epoch"],
        "state": "active" if row["ended_at"] is None else "ended",
        "started_at": rfc3339(ms(row["started_at"])),
        "ended_at": maybe_rfc3339(row["ended_at"]),
        "duration_ms": row["duration_ms"],
        "reason": row["reason"],
        "trace_id": row["trace_id"],
        "setup_ms": row["setup_ms"],
        "first_answer_ms": row["first_answer_ms"],
        "first_media_ms": row["first_media_ms"],
        "own_trace_id": row["own_trace_id"],
        "participants": [
            Participant(
                connection_id=part["connection_id"],
                user_id=part["user_id"],
                joined_at=rfc3339(milliseconds(part["joined_at"])),
                left_at=None if part["left_at"] is None else rfc3339(milliseconds(part["left_at"])),
            )
            for part in row["participants"]
        ],
    }
