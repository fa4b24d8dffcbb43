"""``GET /v1/calls/{callId}/quality``: how media went in a call, as those who took part reported it."""

from typing import Literal

from fastapi import FastAPI
from msgspec import Struct
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.history import queries
from parley.history.calls import visible
from parley.history.parameters import Milliseconds, moment, ms
from parley.history.queries import ReportPlace
from parley.kit.cursors import cursor as cursor_of
from parley.kit.cursors import place
from parley.kit.rest import Caller, Cursor, Limit, Page, Shape, Time
from parley.protocol.clock import rfc3339

CandidateType = Literal["host", "srflx", "prflx", "relay"]


class Report(Shape):
    """What one member says of the path between it and one peer, since it last said so."""

    time: Time
    connection_id: str
    """Who says so."""
    peer: str
    """The other one's connection."""
    state: str
    """Of the RTCPeerConnection."""
    bytes_sent: int
    bytes_received: int
    packets_received: int
    packets_lost: int
    jitter_ms: float | None
    round_trip_ms: float | None
    local_candidate: CandidateType | None
    remote_candidate: CandidateType | None
    setup_ms: float | None
    """From the start of the negotiation until it was connected."""
    first_media_ms: float | None
    """From the same start to the first media that was decoded."""


class _ReportCursor(Struct, frozen=True, array_like=True):
    time: Milliseconds
    connection_id: str
    peer: str


def add_quality(app: FastAPI, db: AsyncEngine) -> None:
    """Add the route."""

    @app.get("/v1/calls/{call:name}/quality")
    async def list_reports(caller: Caller, call: str, limit: Limit = 100, cursor: Cursor = None) -> Page[Report]:
        """List what members of a call reported about the paths between them, the oldest first."""
        at = None if cursor is None else place(cursor, _ReportCursor)
        after = ReportPlace(moment(at.time), at.connection_id, at.peer) if at else None
        async with db.connect() as connection:
            await visible(connection, caller, call)
            found = await queries.reports_of(connection, caller.app, call, after, limit + 1)
        following = None
        if len(found) > limit:
            last = found[limit - 1]
            following = cursor_of(_ReportCursor(ms(last["time"]), last["connection_id"], last["peer"]))
        return Page(items=[_report(row) for row in found[:limit]], next=following)


def _report(row: RowMapping) -> Report:
    return Report(**{**row, "time": rfc3339(ms(row["time"]))})
