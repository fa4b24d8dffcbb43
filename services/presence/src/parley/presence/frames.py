"""``GET /v1/connections/{id}/frames``: what came and went lately on a connection, which its gateway alone knows."""

from typing import Final, Literal

import msgspec
import nats.errors
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.kit.ask import Ask
from parley.kit.bus import Bus
from parley.kit.rest import Caller, Page, Shape, Time, require
from parley.presence import queries
from parley.protocol import subjects
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.frames import FrameSeen, FramesSought
from parley.protocol.ids import home_of

PATIENCE_SECONDS: Final = 1.0
"""A gateway that is there answers in a millisecond; of one that was killed NATS knows at once."""

_seen: Final = msgspec.json.Decoder(list[FrameSeen]).decode


class FrameShown(Shape):
    """A frame, without what it says."""

    time: Time
    direction: Literal["in", "out"]
    """As the gateway sees it: `in` is what the client said."""
    route: str
    """What the client asked for, or the type of what it was told; empty where it has no name."""
    bytes: int
    ref: str | None


def add_frames(app: FastAPI, db: AsyncEngine, bus: Bus, ask: Ask) -> None:
    """Add the route."""

    @app.get("/v1/connections/{connection_id:name}/frames")
    async def list_frames(caller: Caller, connection_id: str) -> Page[FrameShown]:
        """List the latest frames of a connection, the newest first, without pings and without what they say."""
        require(caller.admin, "admin")
        gateway = None
        if (home := home_of(connection_id, ask.partitions)) is not None:
            async with db.connect() as connection:
                gateway = await queries.gateway_of(connection, caller.app, connection_id, home)
        if gateway is None:
            raise Refusal(ErrorCode.NOT_FOUND, "There is no such connection, or it is over.")
        seen = await _ask(bus, gateway, FramesSought(app=caller.app, connection=connection_id))
        return Page(items=[FrameShown(**msgspec.structs.asdict(each)) for each in seen], next=None)


async def _ask(bus: Bus, gateway: str, sought: FramesSought) -> list[FrameSeen]:
    try:
        answer = await bus.client.request(
            subjects.frames(gateway), msgspec.json.encode(sought), timeout=PATIENCE_SECONDS
        )
    except (nats.errors.Error, TimeoutError):
        message = "The gateway that holds this connection does not answer just now; try again."
        raise Refusal(ErrorCode.DEGRADED, message) from None
    return _seen(answer.data)
