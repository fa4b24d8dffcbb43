"""What was said: in a room, over all its epochs, and in all rooms."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from fastapi import FastAPI, Query
from fastapi.responses import Response
from msgspec import Meta, Raw, Struct, field
from msgspec.structs import replace
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
    moment,
    ms,
    storable,
)
from parley.history.queries import MessageFilter, Order, Place, Spoken, SpokenFilter
from parley.kit.cursors import cursor as cursor_of
from parley.kit.cursors import place
from parley.kit.rest import Caller, Cursor, Limit, require
from parley.protocol.clock import rfc3339
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.dialects import name

MAX_POSITION: Final = 2**53 - 1
LOOK: Final = 50_000
"""Messages that a search through all rooms looks at before it answers: a tenth of a second."""


class ChatMessage(Struct, frozen=True, kw_only=True, rename="camel"):
    """Chat, as the frame `chat` says it, and with its epoch."""

    room: str
    epoch: str
    position: int
    id: str
    """The sender's own."""
    from_: str | None = field(name="from")
    """The connection; null when a backend spoke."""
    user_id: str | None
    text: str
    data: Raw
    """Exactly as the client wrote it."""
    time: str


class _MessageCursor(Struct, frozen=True, array_like=True):
    """The cursor of a list of messages: its order, and its last item's place."""

    order: Order
    time: Milliseconds
    epoch: str
    position: Annotated[int, Meta(ge=0, le=MAX_POSITION)]


class _SpokenCursor(Struct, frozen=True, array_like=True):
    """The cursor of the messages of all rooms."""

    time: Milliseconds
    room: str
    epoch: str
    position: Annotated[int, Meta(ge=0, le=MAX_POSITION)]


Sender = Annotated[str | None, Query(min_length=1, max_length=MAX_NAME, description="A user, or a connection.")]
Words = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=MAX_WORDS,
        description="Words that the text must have, or a part of it as it stands."
        ' `"two words"` must stand together, `or` and `-without` work.',
    ),
]


def _documented() -> dict[int | str, dict[str, Any]]:
    """Describe the page of messages, which is written without pydantic to keep `data` as it is."""
    _, schemas = msgspec.json.schema_components([ChatMessage])
    properties = {
        "items": {"type": "array", "items": schemas["ChatMessage"]},
        "next": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    }
    schema = {"type": "object", "required": list(properties), "properties": properties}
    return {200: {"content": {"application/json": {"schema": schema}}}}


def add_messages(app: FastAPI, db: AsyncEngine) -> None:
    """Add the route."""

    @app.get("/v1/rooms/{room:name}/messages", response_class=Response, responses=_documented())
    async def list_messages(
        caller: Caller,
        room: str,
        limit: Limit = 100,
        cursor: Cursor = None,
        after: Annotated[
            int | None, Query(ge=0, le=MAX_POSITION, description="Only what is behind this position of `epoch`.")
        ] = None,
        before: Annotated[
            int | None, Query(ge=0, le=MAX_POSITION, description="Only what is before this position of `epoch`.")
        ] = None,
        epoch: Annotated[
            str | None,
            Query(
                min_length=1, max_length=256, description="What `after` and `before` refer to; by default the latest."
            ),
        ] = None,
        order: Annotated[
            Order | None, Query(description="`newest` first, or `oldest`: the default with `after` alone.")
        ] = None,
        sender: Sender = None,
        from_: From = None,
        to: To = None,
        q: Words = None,
    ) -> Response:
        """List what was said in a room, over all its epochs."""
        in_room(caller.may(room, "history"))
        in_order(from_, to)
        at = None if cursor is None else place(cursor, _MessageCursor)
        if at and order and at.order != order:
            raise Refusal(ErrorCode.BAD_REQUEST, "The cursor is of the other order: start again without it.")
        order = order or (at.order if at else None) or ("oldest" if after is not None and before is None else "newest")
        async with db.connect() as connection:
            wanted = MessageFilter(
                app=caller.app,
                room=name(room),
                after=await _places(connection, caller.app, room, epoch, after),
                before=await _places(connection, caller.app, room, epoch, before),
                sender=storable(sender, "sender"),
                since=maybe(from_),
                until=maybe(to),
                words=storable(q, "q"),
            )
            if at:
                wanted = _from(at, wanted)
            found = await queries.messages_of(connection, wanted, order, limit + 1)
        following = None
        if len(found) > limit:
            last = found[limit - 1]
            following = cursor_of(_MessageCursor(order, ms(last["time"]), last["epoch"], last["position"]))
        return _page([_message(room, row) for row in found[:limit]], following)

    @app.get("/v1/messages", response_class=Response, responses=_documented())
    async def list_all_messages(
        caller: Caller,
        limit: Limit = 100,
        cursor: Cursor = None,
        sender: Sender = None,
        from_: From = None,
        to: To = None,
        q: Words = None,
    ) -> Response:
        """
        List what was said in all rooms, the newest first.

        A search looks at a bounded number of messages: a page may hold few items, even none, and go on at `next`.
        """
        require(caller.admin, "`admin`, which listing the messages of all rooms needs")
        in_order(from_, to)
        at = None if cursor is None else place(cursor, _SpokenCursor)
        wanted = SpokenFilter(
            app=caller.app,
            before=Spoken(moment(at.time), at.room, at.epoch, at.position) if at else None,
            sender=storable(sender, "sender"),
            since=maybe(from_),
            until=maybe(to),
            words=storable(q, "q"),
        )
        async with db.connect() as connection:
            found, end = await queries.spoken(connection, wanted, limit, LOOK)
        following = cursor_of(_SpokenCursor(ms(end.time), end.room, end.epoch, end.position)) if end else None
        return _page([_message(row["room"], row) for row in found], following)


def _page(items: Sequence[ChatMessage], following: str | None) -> Response:
    return Response(msgspec.json.encode({"items": items, "next": following}), media_type="application/json")


async def _places(
    db: AsyncConnection, app: str, room: str, epoch: str | None, position: int | None
) -> tuple[Place, ...]:
    """Return the place of a position, if one is given; Refusal if the room never had that epoch."""
    if position is None:
        return ()
    found = await queries.place_of(db, app, room, epoch, position)
    if found is None and epoch is not None:
        raise Refusal(ErrorCode.NOT_FOUND, "The room has had no such epoch: leave `epoch`, `after` and `before` out.")
    return (found,) if found else ()


def _from(at: _MessageCursor, wanted: MessageFilter) -> MessageFilter:
    """Return the same filter, but only what follows the cursor."""
    reached = Place(moment(at.time), at.epoch, at.position)
    if at.order == "oldest":
        return replace(wanted, after=(*wanted.after, reached))
    return replace(wanted, before=(*wanted.before, reached))


def _message(room: str, row: RowMapping) -> ChatMessage:
    return ChatMessage(
        room=room,
        epoch=row["epoch"],
        position=row["position"],
        id=row["id"],
        from_=row["connection_id"],
        user_id=row["user_id"],
        text=row["text"],
        data=Raw(row["data"].encode()),
        time=rfc3339(ms(row["time"])),
    )
