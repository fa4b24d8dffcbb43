"""Who else is in a conversation: what yown's page asks before it negotiates (protocols.md 3.2).

The answer has the shape of a scan of DynamoDB, whose writer found it enough to pass on.
"""

from typing import Annotated, Any, Final

import msgspec
from fastapi import Depends, FastAPI, Query, Request
from msgspec import Struct
from pydantic import ConfigDict
from pydantic.alias_generators import to_pascal
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.kit.identity import Identity
from parley.kit.rest import Shape, caller, require
from parley.presence import queries
from parley.presence.filters import Filters
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.requests import Availability

APP: Final = "yown"
"""The app that is asked about by those who name none."""

MOST: Final = 1000
"""How many are told; who needs more pages through `/v1/connections`."""

Conversation = Annotated[str, Query(alias="conversationId", max_length=1024)]
Store = Annotated[str | None, Query(alias="storeId", max_length=1024)]


class Wanted(Struct, frozen=True, rename="camel"):
    """What a body asks for; the rest of it is left alone."""

    conversation_id: str
    store_id: str | None = None


class Present(Shape):
    """Somebody who can be negotiated with."""

    connection_id: str
    user_id: str | None
    metadata: dict[str, Any]
    """All that it said of itself when it connected."""
    availability: Availability


class Scan(Shape):
    """Who was found, as DynamoDB says it."""

    items: list[Present]
    count: int
    scanned_count: int

    model_config = ConfigDict(alias_generator=to_pascal)


async def asking(
    request: Request,
    app: Annotated[str | None, Query(description="The app; else the token's, and without one `yown`.")] = None,
    token: Annotated[str | None, Query(description="A token, where no header can be sent.")] = None,
) -> Identity:
    """Return a caller who may speak to single connections, and so may know whom there is to speak to."""
    named = token or request.headers.get("authorization")
    identity = await caller(request, app if app or named else APP, token)
    require(identity.direct or identity.admin, "direct")
    return identity


Caller = Annotated[Identity, Depends(asking)]

_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["conversationId"],
                    "properties": {"conversationId": {"type": "string"}, "storeId": {"type": "string"}},
                },
            },
        },
    },
}


def add_discovery(app: FastAPI, db: AsyncEngine) -> None:
    """Add the routes."""

    @app.get("/discovery")
    async def discover(caller: Caller, conversation: Conversation, store: Store = None) -> Scan:
        """Find who is connected to a conversation, the oldest first."""
        return await _scan(db, caller.app, conversation, store)

    @app.post("/discovery", openapi_extra=_BODY)
    async def discover_by_body(caller: Caller, request: Request) -> Scan:
        """Find who is connected to a conversation, the oldest first."""
        try:
            wanted = msgspec.json.decode(await request.body(), type=Wanted)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            message = f'The body must be {{"conversationId": "...", "storeId": "..."}}: {error}.'
            raise Refusal(ErrorCode.BAD_REQUEST, message) from None
        return await _scan(db, caller.app, wanted.conversation_id, wanted.store_id)


async def _scan(db: AsyncEngine, app: str, conversation: str, store: str | None) -> Scan:
    metadata = {"conversationId": conversation} | ({} if store is None else {"storeId": store})
    async with db.connect() as connection:
        found = await queries.page(connection, app, Filters(metadata=metadata), None, MOST)
        scanned = await queries.count(connection, app, Filters())
    items = [
        Present.model_construct(
            connection_id=each.id, user_id=each.user, metadata=each.metadata, availability=each.availability
        )
        for each in found
    ]
    return Scan.model_construct(items=items, count=len(items), scanned_count=scanned)
