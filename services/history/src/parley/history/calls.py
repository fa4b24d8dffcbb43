"""``GET /v1/calls``: which calls took place, who took part, and how they ended."""

from typing import Annotated, Literal

from fastapi import FastAPI, Query
from msgspec import Struct
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.history import queries
from parley.history.parameters import (
    MAX_NAME,
    From,
    Milliseconds,
    To,
    in_order,
    in_room,
    maybe,
    maybe_rfc3339,
    moment,
    ms,
)
from parley.history.queries import CallFilter, CallPlace
from parley.kit.cursors import cursor as cursor_of
from parley.kit.cursors import place
from parley.kit.rest import Caller, Cursor, Limit, Page, Shape, Time, require
from parley.protocol.clock import milliseconds, rfc3339
from parley.protocol.codes import ErrorCode, Refusal


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
    participants: list[Participant]
    """While the call lasts: who began it."""


class _CallCursor(Struct, frozen=True, array_like=True):
    started_at: Milliseconds
    id: str


def add_calls(app: FastAPI, db: AsyncEngine) -> None:
    """Add the routes."""

    @app.get("/v1/calls")
    async def list_calls(
        caller: Caller,
        limit: Limit = 100,
        cursor: Cursor = None,
        room: Annotated[str | None, Query(min_length=1, max_length=MAX_NAME)] = None,
        user: Annotated[
            str | None, Query(min_length=1, max_length=MAX_NAME, description="Who took part: a user, or a connection.")
        ] = None,
        from_: From = None,
        to: To = None,
        state: Annotated[Literal["active", "ended"] | None, Query()] = None,
    ) -> Page[Call]:
        """List calls, the latest first. Without `room` the app's `admin` is needed; times are those of the start."""
        if room is None:
            require(caller.admin, "`admin`, which listing the calls of all rooms needs")
        else:
            in_room(caller.may(room, "history"))
        in_order(from_, to)
        at = None if cursor is None else place(cursor, _CallCursor)
        wanted = CallFilter(
            app=caller.app,
            room=room,
            user=user,
            since=maybe(from_),
            until=maybe(to),
            state=state,
            before=CallPlace(moment(at.started_at), at.id) if at else None,
        )
        async with db.connect() as connection:
            found = await queries.calls_of(connection, wanted, limit + 1)
        following = None
        if len(found) > limit:
            last = found[limit - 1]
            following = cursor_of(_CallCursor(ms(last["started_at"]), last["id"]))
        return Page(items=[_call(row) for row in found[:limit]], next=following)

    @app.get("/v1/calls/{call:name}")
    async def show_call(caller: Caller, call: str) -> Call:
        """Show a call: who took part and when, how long it lasted and how it ended."""
        async with db.connect() as connection:
            found = await queries.calls_of(connection, CallFilter(app=caller.app, id=call), 1)
        if not found or not caller.may(found[0]["room"], "history"):  # who may not see it learns nothing of it
            raise Refusal(ErrorCode.NOT_FOUND, "There is no call of this id, or the token does not grant its room.")
        return _call(found[0])


def _call(row: RowMapping) -> Call:
    return Call(
        id=row["id"],
        room=row["room"],
        epoch=row["epoch"],
        state="active" if row["ended_at"] is None else "ended",
        started_at=rfc3339(ms(row["started_at"])),
        ended_at=maybe_rfc3339(row["ended_at"]),
        duration_ms=row["duration_ms"],
        reason=row["reason"],
        participants=[
            Participant(
                connection_id=part["connection_id"],
                user_id=part["user_id"],
                joined_at=rfc3339(milliseconds(part["joined_at"])),
                left_at=None if part["left_at"] is None else rfc3339(milliseconds(part["left_at"])),
            )
            for part in row["participants"]
        ],
    )
