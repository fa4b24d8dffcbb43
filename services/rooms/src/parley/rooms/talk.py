"""What connections and backends say: to the others, to all, to one."""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from parley.protocol import events, says
from parley.protocol.clock import rfc3339
from parley.protocol.codes import ErrorCode
from parley.protocol.commands import Asked, Negotiated, PostToConnection, PostToRoom
from parley.protocol.envelope import Place
from parley.protocol.outputs import Fact, Forward, Output, Reply
from parley.protocol.requests import NULL, Chat, Publish, Relay, Send, Signal
from parley.rooms import calls, keeping
from parley.rooms.content import Signaling, read
from parley.rooms.negotiation import Offer
from parley.rooms.room import RoomKey
from parley.rooms.rows import Rows

_encode: Final = msgspec.json.Encoder().encode

NO_ROOM: Final = {"code": ErrorCode.NOT_FOUND, "message": "No such room: nobody is in it."}
NO_CONNECTION: Final = {"code": ErrorCode.GONE, "message": "No such connection: it is closed, or never was."}


def send(rows: Rows, command: Asked, request: Send, at: Place) -> Iterator[Output]:
    """Pass data to the other members."""
    key = (command.app, request.room)
    if (*key, command.connection) not in rows.members:
        yield from not_member(rows, command, request.ref, request.room)
        return
    if request.waits and rows.rooms[key].size == 1:
        yield from keeping.keep(rows, command, request, at)
    else:
        message = says.Message(room=request.room, from_=command.connection, data=request.data)
        yield from rows.to_members(key, message, but=command.connection)
    if (said := read(bytes(request.data))) is not None:
        yield from _negotiation(rows, key, command, said, at)
    if request.ref is not None:
        yield from rows.to(command.connection, says.Ok(ref=request.ref))


def publish(rows: Rows, command: Asked, request: Publish, at: Place) -> Iterator[Output]:
    """Pass data to all members of a topic, the sender too; nothing if it has none."""
    key = (command.app, request.room)
    if (room := rows.rooms.get(key)) is not None:
        published = says.Published(room=room.name, from_=command.connection, data=request.data, members=room.size)
        yield from rows.to_members(key, published)
        if (said := read(bytes(request.data))) is not None:
            yield from _negotiation(rows, key, command, said, at)
    if request.ref is not None:
        yield from rows.to(command.connection, says.Ok(ref=request.ref))


def relay(rows: Rows, command: Asked, request: Relay, at: Place) -> Iterator[Output]:
    """Pass the workshop's text to the others in the room, wherever the sender is; what is no signaling is chat."""
    key = (command.app, request.room)
    if key not in rows.rooms:
        return
    data = request.text.encode()
    said = read(data)
    if said is None:
        user = _user(command)
        yield from _post(rows, key, command.connection, user, f"{at.sequence:x}-{at.index:x}", request.text, NULL, at)
        return
    message = says.Message(room=request.room, from_=command.connection, data=Raw(_encode(request.text)))
    yield from rows.to_members(key, message, but=None if request.echo else command.connection)
    yield from _negotiation(rows, key, command, said, at)


def chat(rows: Rows, command: Asked, request: Chat, at: Place) -> Iterator[Output]:
    """Post to all members; a retry with an id that is still kept is answered with the same position."""
    key = (command.app, request.room)
    if (*key, command.connection) not in rows.members:
        yield from not_member(rows, command, request.ref, request.room)
        return
    position = rows.window.chats.get((*key, command.connection, request.id))
    if position is None:
        user = _user(command)
        yield from _post(rows, key, command.connection, user, request.id, request.text, request.data, at)
        position = rows.rooms[key].position
    if request.ref is not None:
        said = rows.window[*key, position].said
        time = said.time if isinstance(said, says.ChatPosted) else rfc3339(at.time)
        yield from rows.to(
            command.connection,
            says.ChatOk(ref=request.ref, room=request.room, id=request.id, position=position, time=time),
        )


def post_to_room(rows: Rows, command: PostToRoom, at: Place) -> Iterator[Output]:
    """Let a backend speak in a room."""
    key = (command.app, command.room)
    if key not in rows.rooms:
        yield Reply(command.reply, NO_ROOM)
        return
    position = rows.window.chats.get((*key, None, command.id))
    if position is None:
        data = Raw(command.data.encode())
        yield from _post(rows, key, None, command.user, command.id, command.text, data, at)
        position = rows.rooms[key].position
    said = rows.window[*key, position].said
    time = said.time if isinstance(said, says.ChatPosted) else rfc3339(at.time)
    yield Reply(command.reply, {"id": command.id, "position": position, "time": time, "epoch": rows.rooms[key].epoch})


def signal(rows: Rows, command: Asked, request: Signal, at: Place) -> Iterator[Output]:
    """Pass data to one connection of the same app."""
    target = rows.registry.connections.get(request.to)
    if target is None or target.app != command.app:
        missing = "No such connection in this app; it may have closed long ago."
        yield from rows.to(command.connection, says.Error(ref=request.ref, code=ErrorCode.NOT_FOUND, message=missing))
        return
    if not target.live:
        gone = "That connection has closed."
        yield from rows.to(command.connection, says.Error(ref=request.ref, code=ErrorCode.GONE, message=gone))
        return
    said = read(bytes(request.data))
    if said is None or not rows.negotiations.stale(command.connection, request.to, said):
        yield from rows.to(request.to, says.SignalFrom(from_=command.connection, data=request.data))
    if said is not None:
        yield from _direct_negotiation(rows, command, request.to, said, at)
    if request.ref is not None:
        yield from rows.to(command.connection, says.Ok(ref=request.ref))


def unanswered(rows: Rows, at: Place) -> Iterator[Output]:
    """Announce the offers that nobody has answered in time."""
    for offer in rows.negotiations.overdue(at.time):
        key = (offer.app, offer.room)
        failed = events.NegotiationFailed(
            app=offer.app, room=offer.room or None, connection_id=offer.offerer, to=offer.to or None
        )
        if not offer.room:
            yield Fact(failed, subject=offer.offerer)
        elif key in rows.rooms:
            yield rows.fact(key, failed)


def post_to_connection(rows: Rows, command: PostToConnection) -> Iterator[Output]:
    """Let a backend say something to one connection."""
    target = rows.registry.connections.get(command.connection)
    if target is None or target.app != command.app or not target.live:
        yield Reply(command.reply, NO_CONNECTION)
        return
    yield from rows.to(command.connection, says.Message(data=Raw(command.data.encode())))
    yield Reply(command.reply, {"ok": True})


def _user(command: Asked) -> str | None:
    return None if command.profile is None else command.profile.user_id


def _post(
    rows: Rows, key: RoomKey, sender: str | None, user: str | None, id_: str, text: str, data: Raw, at: Place
) -> Iterator[Output]:
    room = rows.advance(key)
    posted = says.ChatPosted(
        room=room.name,
        position=room.position,
        id=id_,
        from_=sender,
        user_id=user,
        text=text,
        data=data,
        time=rfc3339(at.time),
    )
    rows.keep(key, room.position, posted)
    yield rows.fact(
        key,
        events.MessagePosted(
            app=room.app,
            room=room.name,
            epoch=room.epoch,
            position=room.position,
            id=id_,
            connection_id=sender,
            user_id=user,
            text=text,
            data=data,
        ),
    )
    yield from rows.to_members(key, posted)


def _negotiation(rows: Rows, key: RoomKey, command: Asked, said: Signaling, at: Place) -> Iterator[Output]:
    """Note what step of a negotiation has passed to a whole room."""
    room, sender = rows.rooms[key], command.connection
    match said.step:
        case "offer":
            rows.rooms[key] = replace(room, offerer=sender)
            if room.size > 1:
                rows.negotiations.offered(Offer(sender, "", room.name, room.app, at.time + command.answer_ms))
            yield rows.fact(key, events.NegotiationOffered(app=room.app, room=room.name, connection_id=sender, to=None))
        case "answer":
            offerer = room.offerer
            yield rows.fact(
                key, events.NegotiationAnswered(app=room.app, room=room.name, connection_id=sender, to=offerer)
            )
            if offerer is not None and offerer != sender:
                rows.negotiations.answered(offerer, "", room.name)
                if all((*key, one) in rows.members for one in (offerer, sender)):
                    yield from calls.pair(rows, key, offerer, sender, at)


def _direct_negotiation(rows: Rows, command: Asked, to: str, said: Signaling, at: Place) -> Iterator[Output]:
    """Note what step of a negotiation has passed from one connection to another."""
    app, sender = command.app, command.connection
    match said.step:
        case "offer":
            rows.negotiations.offered(Offer(sender, to, "", app, at.time + command.answer_ms))
            yield Fact(events.NegotiationOffered(app=app, room=None, connection_id=sender, to=to), subject=sender)
        case "answer":
            yield Fact(events.NegotiationAnswered(app=app, room=None, connection_id=sender, to=to), subject=sender)
            pair = Negotiated(app=app, pair=(to, sender), time=at.time)
            for partition in range(rows.partitions):
                if command.touched >> partition & 1:
                    yield Forward(partition, pair)


def not_member(rows: Rows, command: Asked, ref: str | None, room: str) -> Iterator[Output]:
    """Refuse what only members may do."""
    message = f"Join {room!r} first: only members speak there." if len(room) <= 64 else "Join the room first."  # noqa: PLR2004
    yield from rows.to(command.connection, says.Error(ref=ref, code=ErrorCode.NOT_MEMBER, message=message))
