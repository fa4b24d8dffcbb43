"""The REST of rooms: who is in them, and what a backend can do there."""

import secrets
import time
from typing import Annotated, Any, Final

import msgspec
from fastapi import Depends, FastAPI, Query, Request
from msgspec import Meta, Raw, Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.kit.ask import Ask
from parley.kit.cursors import cursor as cursor_of
from parley.kit.cursors import place
from parley.kit.identity import Verb
from parley.kit.rest import Caller, Cursor, Limit, Page, Shape, Time, api, require
from parley.kit.tokens import Tokens
from parley.protocol.clock import rfc3339
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.commands import PostToRoom, RemoveMember
from parley.protocol.dialects import name as checked
from parley.protocol.ids import partition_of
from parley.protocol.requests import NULL
from parley.rooms import queries, turn
from parley.rooms.room import Call, Member, Room

MAX_TEXT: Final = 100_000
"""Characters of a message: with four bytes each it still fits the bus."""

ID: Final = "The backend's own: saying it again with the same id says it once."


class CallNow(Shape):
    """A call that lasts."""

    id: str
    started_at: Time
    participants: list[str]
    """The connections that take part now."""


class Count(Shape):
    """How many there are."""

    count: int


class RoomSummary(Shape):
    """A room in a list."""

    room: str
    epoch: str
    position: int
    members: int
    opened_at: Time
    call: CallNow | None


class MemberShown(Shape):
    """A member of a room."""

    connection_id: str
    user_id: str | None
    device_id: str | None
    metadata: dict[str, Any]
    availability: str
    joined_at: Time


class RoomShown(Shape):
    """A room with its members, the earliest first."""

    room: str
    epoch: str
    position: int
    opened_at: Time
    members: list[MemberShown]
    call: CallNow | None


class Message(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What a backend says in a room."""

    text: Annotated[str, Meta(max_length=MAX_TEXT)]
    id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    user_id: Annotated[str, Meta(max_length=255)] | None = None
    data: Raw = NULL


_MESSAGE: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["text"],
                    "additionalProperties": False,
                    "properties": {
                        "text": {"type": "string", "maxLength": MAX_TEXT},
                        "id": {"type": "string", "minLength": 1, "maxLength": 128, "description": ID},
                        "userId": {"type": "string", "maxLength": 255, "description": "In whose name."},
                        "data": {"description": "What the clients receive, any JSON, to the letter."},
                    },
                },
            },
        },
    },
}


class Posted(Shape):
    """Where a message stands in its room."""

    id: str
    epoch: str
    position: int
    time: Time


class IceServer(Shape):
    """As RTCPeerConnection takes it."""

    urls: list[str]
    username: str | None = None
    credential: str | None = None


class IceServers(Shape):
    """STUN and TURN servers, with credentials that hold for a while."""

    ice_servers: list[IceServer]
    ttl: int
    """Seconds for which the credentials hold."""


def wanted(
    prefix: Annotated[str | None, Query(max_length=1024, description="Only rooms whose name begins so.")] = None,
    q: Annotated[
        str | None,
        Query(
            min_length=1, max_length=1024, description="Only rooms with this text in their name, in capitals or not."
        ),
    ] = None,
    call: Annotated[
        bool | None, Query(description="Only rooms in which a call lasts; `false`: in which none does.")
    ] = None,
) -> queries.Filters:
    """Return the filters of a request."""
    return queries.Filters(prefix=prefix, part=q, call=call)


Wanted = Annotated[queries.Filters, Depends(wanted)]


def rooms_api(db: AsyncEngine, ask: Ask, tokens: Tokens, relay: turn.Relay, *, development: bool) -> FastAPI:
    """Return the app."""
    app = api("Parley rooms", tokens, development=development)

    @app.get("/v1/rooms")
    async def list_rooms(
        caller: Caller, wanted: Wanted, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[RoomSummary]:
        """List the rooms that have members, by name."""
        require(caller.admin, "admin")
        after = None if cursor is None else place(cursor, str)
        async with db.connect() as connection:
            found = await queries.rooms_of(connection, caller.app, wanted, after, limit + 1)
        items = [_summary(row) for row in found[:limit]]
        return Page(items=items, next=cursor_of(items[-1].room) if len(found) > limit else None)

    @app.get("/v1/rooms/count")
    async def count_rooms(caller: Caller, wanted: Wanted) -> Count:
        """Count the rooms that a list with the same filters would hold."""
        require(caller.admin, "admin")
        async with db.connect() as connection:
            return Count(count=await queries.count(connection, caller.app, wanted))

    @app.get("/v1/rooms/{room:name}")
    async def show_room(caller: Caller, room: str) -> RoomShown:
        """Show a room, its members and its call."""
        _may(caller.may(room, "join"), "join")
        partition = partition_of(caller.app, checked(room), ask.partitions)
        async with db.connect() as connection:
            found = await queries.room(connection, partition, caller.app, room)
            if found is None:
                raise Refusal(ErrorCode.NOT_FOUND, "No such room: nobody is in it.")
            members = await queries.members_of(connection, partition, caller.app, room)
        return RoomShown(
            room=found.name,
            epoch=found.epoch,
            position=found.position,
            opened_at=rfc3339(found.opened_at),
            members=[_member(row, found.call) for row in members],
            call=_call(found.call),
        )

    @app.delete("/v1/rooms/{room:name}/members/{connection:name}", status_code=204)
    async def remove_member(caller: Caller, room: str, connection: str) -> None:
        """Take a member out of a room; its socket stays open, and it is told `member.left` about itself."""
        _may(caller.may(room, "admin"), "admin")
        partition = partition_of(caller.app, checked(room), ask.partitions)
        await ask(partition, lambda reply: RemoveMember(app=caller.app, room=room, connection=connection, reply=reply))

    @app.post("/v1/rooms/{room:name}/messages", status_code=201, openapi_extra=_MESSAGE)
    async def post_message(caller: Caller, room: str, request: Request) -> Posted:
        """Say something to all members of a room, durably, as chat."""
        _may(caller.may(room, "admin"), "admin")
        partition = partition_of(caller.app, checked(room), ask.partitions)
        message = _message(await request.body())
        answer = await ask(
            partition,
            lambda reply: PostToRoom(
                app=caller.app,
                room=room,
                id=message.id or secrets.token_urlsafe(12),
                text=message.text,
                data=bytes(message.data).decode(),
                user=message.user_id,
                reply=reply,
            ),
        )
        return Posted.model_validate(answer)

    @app.get("/v1/ice-servers", response_model_exclude_none=True)
    async def ice_servers(caller: Caller) -> IceServers:
        """Return the STUN and TURN servers, with time-limited credentials for the caller."""
        servers = relay.servers(caller.subject or "anonymous", int(time.time()))
        return IceServers(ice_servers=[IceServer(**server) for server in servers], ttl=relay.ttl)

    return app


def _message(body: bytes) -> Message:
    """Return what the body of a request says."""
    try:
        message = msgspec.json.decode(body, type=Message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(ErrorCode.BAD_REQUEST, f'The body must be {{"text": "...", ...}}: {error}.') from None
    if any("\0" in text for text in (message.text, message.id, message.user_id) if text is not None):
        raise Refusal(ErrorCode.BAD_REQUEST, "`text`, `id` and `userId` must not contain the character U+0000.")
    return message


def _may(granted: bool, verb: Verb) -> None:
    require(granted, f"`{verb}` in this room")


def _summary(room: Room) -> RoomSummary:
    return RoomSummary(
        room=room.name,
        epoch=room.epoch,
        position=room.position,
        members=room.size,
        opened_at=rfc3339(room.opened_at),
        call=_call(room.call),
    )


def _call(call: Call | None) -> CallNow | None:
    if call is None:
        return None
    now = [part.connection for part in call.parts if part.left_at is None]
    return CallNow(id=call.id, started_at=rfc3339(call.started_at), participants=now)


def _member(member: Member, call: Call | None) -> MemberShown:
    profile = member.profile
    return MemberShown(
        connection_id=member.connection,
        user_id=profile.user_id,
        device_id=profile.device_id,
        metadata=profile.metadata,
        availability="inCall" if call and call.has(member.connection) else profile.availability,
        joined_at=rfc3339(member.joined_at),
    )
