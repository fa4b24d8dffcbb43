"""``GET /v1/parts``: which processes Parley consists of just now, and how each of them is."""

import nats.errors
from fastapi import FastAPI

from parley.kit.bus import Bus
from parley.kit.parts import Part, roll_call
from parley.kit.rest import Caller, Page, Shape, Time, require
from parley.protocol.codes import ErrorCode, Refusal


class PartShown(Shape):
    """A process that answers on the bus."""

    name: str
    instance: str
    """Its name on the bus, another one after every start."""
    version: str
    started_at: Time
    ready: bool
    missing: dict[str, str]
    """What keeps it from being ready: a sentence by name."""
    figures: dict[str, float | int]


def add_parts(app: FastAPI, bus: Bus) -> None:
    """Add the route."""

    @app.get("/v1/parts")
    async def list_parts(caller: Caller) -> Page[PartShown]:
        """List the processes that answer, by name. It takes half a second, in which they may."""
        require(caller.admin, "admin")
        trouble = bus.check()
        try:
            found = [] if trouble else await roll_call(bus)
        except nats.errors.Error:
            trouble = "NATS does not answer."
        if trouble:
            raise Refusal(ErrorCode.DEGRADED, trouble)
        return Page(items=[_shown(part) for part in found], next=None)


def _shown(part: Part) -> PartShown:
    return PartShown(
        name=part.name,
        instance=part.instance,
        version=part.version,
        started_at=part.started_at,
        ready=part.ready,
        missing=part.missing,
        figures=part.figures,
    )
