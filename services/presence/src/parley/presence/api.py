"""The REST of presence: who is connected, and what a backend can do to one connection."""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import Depends, FastAPI, Query, Request
from msgspec import Raw, Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.kit import cursors
from parley.kit.ask import Ask
from parley.kit.bus import Bus
from parley.kit.identity import Identity
from parley.kit.rest import Caller, Cursor, Limit, Page, Shape, Time, api, require
from parley.kit.tokens import Tokens
from parley.presence import queries
from parley.presence.discovery import add_discovery
from parley.presence.filters import BY_METADATA, Filters, filters
from parley.presence.frames import add_frames
from parley.presence.parts import add_parts
from parley.protocol.clock import rfc3339
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.commands import AnyCommand, PostToConnection, Remove
from parley.protocol.ids import home_of
from parley.protocol.requests import Availability

MAX_DATA_BYTES: Final = 128 * 1024
"""As for a client's own message."""

_NOWHERE: Final = Refusal(ErrorCode.NOT_FOUND, "There is no such connection, or it is over.")

_MESSAGE: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["data"],
                    "additionalProperties": False,
                    "properties": {"data": {"description": "What the client receives, any JSON, to the letter."}},
                },
            },
        },
    },
}


class Message(Struct, frozen=True, forbid_unknown_fields=True):
    """What a backend says to one connection."""

    data: Raw


class ConnectionShown(Shape):
    """A connection that lives."""

    connection_id: str
    user_id: str | None
    device_id: str | None
    metadata: dict[str, Any]
    availability: Availability
    rooms: list[str]
    dialect: str
    address: str
    """The client's, as the front door reported it."""
    user_agent: str
    connected_at: Time


class Count(Shape):
    """How many there are."""

    count: int


def backend(caller: Caller) -> Identity:
    """Return a caller who may see and touch everybody's connections."""
    require(caller.admin, "admin")
    return caller


Backend = Annotated[Identity, Depends(backend)]
Wanted = Annotated[Filters, Depends(filters)]
Order = Annotated[Literal["oldest", "newest"], Query(description="Which come first.")]


def presence_api(db: AsyncEngine, bus: Bus, ask: Ask, tokens: Tokens, *, development: bool) -> FastAPI:
    """Return the app."""
    app = api("Parley presence", tokens, development=development)

    @app.get("/v1/connections", openapi_extra=BY_METADATA)
    async def list_connections(
        backend: Backend, wanted: Wanted, limit: Limit = 100, cursor: Cursor = None, order: Order = "oldest"
    ) -> Page[ConnectionShown]:
        """List the connections that live."""
        after = None if cursor is None else cursors.place(cursor, queries.Place)
        page = queries.newest if order == "newest" else queries.page
        async with db.connect() as connection:
            found = await page(connection, backend.app, wanted, after, limit + 1)
        more = cursors.cursor(found[limit - 1].place) if len(found) > limit else None
        return Page(items=[_shown(each) for each in found[:limit]], next=more)

    @app.get("/v1/connections/count", openapi_extra=BY_METADATA)
    async def count_connections(backend: Backend, wanted: Wanted) -> Count:
        """Count the connections that a list with the same filters would hold."""
        async with db.connect() as connection:
            return Count(count=await queries.count(connection, backend.app, wanted))

    @app.get("/v1/connections/{connection_id:name}")
    async def show_connection(backend: Backend, connection_id: str) -> ConnectionShown:
        """Show one connection."""
        async with db.connect() as connection:
            found = await queries.one(connection, backend.app, connection_id, _home(connection_id, ask))
        if found is None:
            raise _NOWHERE
        return _shown(found)

    @app.post("/v1/connections/{connection_id:name}/messages", status_code=204, openapi_extra=_MESSAGE)
    async def post_message(backend: Backend, connection_id: str, request: Request) -> None:
        """Say something to one connection; answered once it is on its way to the connection's gateway."""
        data = _data(await request.body())
        await _ask(
            ask,
            connection_id,
            lambda reply: PostToConnection(app=backend.app, connection=connection_id, data=data, reply=reply),
        )

    @app.delete("/v1/connections/{connection_id:name}", status_code=204)
    async def remove_connection(backend: Backend, connection_id: str) -> None:
        """End a connection: it leaves its rooms, and its socket is closed with 4504."""
        await _ask(ask, connection_id, lambda reply: Remove(app=backend.app, connection=connection_id, reply=reply))

    add_discovery(app, db)
    add_frames(app, db, bus, ask)
    add_parts(app, bus)
    return app


def _home(connection: str, ask: Ask) -> int:
    """Return the partition that knows a connection."""
    home = home_of(connection, ask.partitions)
    if home is None:
        raise _NOWHERE
    return home


async def _ask(ask: Ask, connection: str, command: Callable[[str], AnyCommand]) -> None:
    """Have the owner of a connection's home do it. Whether the connection ever was is no caller's business."""
    try:
        await ask(_home(connection, ask), command)
    except Refusal as refusal:
        if refusal.code is ErrorCode.GONE:
            raise _NOWHERE from None
        raise


def _data(body: bytes) -> str:
    """Return the ``data`` of a message, as it was written."""
    try:
        text = bytes(msgspec.json.decode(body, type=Message).data).decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(ErrorCode.BAD_REQUEST, f'The body must be {{"data": any JSON}}: {error}.') from None
    if len(text.encode()) > MAX_DATA_BYTES:
        raise Refusal(ErrorCode.TOO_LARGE, f"The data must not be larger than {MAX_DATA_BYTES} bytes.")
    return text


def _shown(found: queries.Found) -> ConnectionShown:
    return ConnectionShown.model_construct(
        connection_id=found.id,
        user_id=found.user,
        device_id=found.device,
        metadata=found.metadata,
        availability=found.availability,
        rooms=sorted(found.rooms),
        dialect=found.dialect,
        address=found.address,
        user_agent=found.agent,
        connected_at=rfc3339(found.opened_at),
    )
