"""How connections become members of rooms, and how they stop."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from parley.protocol import events, says
from parley.protocol.codes import ErrorCode
from parley.protocol.commands import Asked, Profile, Reason
from parley.protocol.envelope import Place
from parley.protocol.outputs import Deliver, Output
from parley.protocol.requests import Join, Metadata
from parley.rooms import calls, keeping
from parley.rooms.room import PRESENTED_BYTES, Member, Room, RoomKey, presented, seen
from parley.rooms.rows import Rows

TOO_MUCH: Final = "The members' metadata together is more than one answer can hold; try again when somebody has left."


def join(rows: Rows, command: Asked, request: Join, at: Place) -> Iterator[Output]:
    """Let a connection into a room; a member that joins again is answered again, and nothing changes."""
    key = (command.app, request.room)
    connection = command.connection
    room = rows.rooms.get(key)
    member = rows.members.get((*key, connection))
    if room is not None and member is not None:
        if request.announce_again:
            again = says.MemberJoined(
                room=room.name, position=room.position, member=seen(member, room, polite=False), again=True
            )
            yield from rows.to_members(key, again, but=connection)
    elif room is not None and (full := _full(rows, room, command)):
        refusal = says.Error(ref=request.ref, code=ErrorCode.ROOM_FULL, message=full, room=request.room)
        yield from rows.to(connection, refusal)
        return
    else:
        profile = command.profile or Profile()
        rows.know(connection, profile)
        if request.metadata:
            profile = replace(profile, metadata={**profile.metadata, **request.metadata})
        yield from admit(rows, key, connection, profile, at)
        yield from keeping.hand_over(rows, key, connection)
    if request.ref is None:
        return
    if member is not None and presented(rows.members.profiles(key)) > PRESENTED_BYTES:  # the others have grown since
        yield from rows.to(connection, says.Error(ref=request.ref, code=ErrorCode.TOO_LARGE, message=TOO_MUCH))
    else:
        yield from rows.to(connection, _joined(rows, key, connection, request, request.ref))


def _full(rows: Rows, room: Room, command: Asked) -> str | None:
    """Return why nobody more can come in, None if somebody can. Without a capacity anybody can."""
    # Who needs no list of the members may be one of any number.
    if not command.capacity:
        return None
    if room.size >= command.capacity:
        return f"The room has its {command.capacity:,} members; join when somebody has left."
    if presented(rows.members.profiles(room.key)) > PRESENTED_BYTES:
        return TOO_MUCH
    return None


def admit(rows: Rows, key: RoomKey, connection: str, profile: Profile, at: Place) -> Iterator[Output]:
    """Make a connection a member, and the room with it if it is the first."""
    app, name = key
    if key not in rows.rooms:
        room = Room(app=app, name=name, epoch=f"{at.time:x}-{at.sequence:x}-{at.index:x}", opened_at=at.time)
        rows.rooms[key] = room
        yield rows.fact(key, events.RoomCreated(app=app, room=name, epoch=room.epoch))
    room = rows.advance(key)
    room = replace(room, size=room.size + 1, arrivals=room.arrivals + 1)
    rows.rooms[key] = room
    member = Member(app=app, room=name, connection=connection, order=room.arrivals, joined_at=at.time, profile=profile)
    rows.members[member.key] = member
    joined = says.MemberJoined(room=name, position=room.position, member=seen(member, room, polite=False))
    rows.keep(key, room.position, joined)
    yield rows.fact(
        key,
        events.RoomJoined(
            app=app,
            room=name,
            epoch=room.epoch,
            position=room.position,
            connection_id=connection,
            user_id=profile.user_id,
            device_id=profile.device_id,
            metadata=profile.metadata,
            members=room.size,
        ),
    )
    yield from rows.to_members(key, joined, but=connection)
    yield from rows.in_room(key, connection, member=True)


def leave(rows: Rows, key: RoomKey, connection: str, reason: Reason, at: Place) -> Iterator[Output]:
    """Take a member out of a room; nothing if it is none. A room without members is closed."""
    member = rows.members.get((*key, connection))
    if member is None:
        return
    app, name = key
    del rows.members[member.key]
    room = rows.advance(key)
    room = replace(room, size=room.size - 1, offerer=None if room.offerer == connection else room.offerer)
    rows.rooms[key] = room
    rows.negotiations.answered(connection, "", name)
    keeping.drop(rows, key, connection)
    left = says.MemberLeft(room=name, position=room.position, connection_id=connection, reason=reason)
    rows.keep(key, room.position, left)
    yield rows.fact(
        key,
        events.RoomLeft(
            app=app,
            room=name,
            epoch=room.epoch,
            position=room.position,
            connection_id=connection,
            user_id=member.profile.user_id,
            reason=reason,
            members=room.size,
        ),
    )
    yield from rows.to_members(key, left)
    row = rows.registry.connections[connection]
    if reason in {"removed", "expired"} or (reason == "disconnected" and row.resumable):  # it may come back even so
        yield Deliver(row.gateway, (connection,), left)
    yield from rows.in_room(key, connection, member=False)
    yield from calls.left(rows, member, reason, at)
    if room.size == 0:
        yield from _close(rows, key, at)


def leave_all(rows: Rows, connection: str, reason: Reason, at: Place) -> Iterator[Output]:
    """Take a connection out of every room of this partition."""
    for key in rows.members.rooms_of(connection):
        yield from leave(rows, key, connection, reason, at)


def _close(rows: Rows, key: RoomKey, at: Place) -> Iterator[Output]:
    room = rows.rooms[key]
    yield rows.fact(
        key, events.RoomClosed(app=room.app, room=room.name, epoch=room.epoch, duration_ms=at.time - room.opened_at)
    )
    rows.window.clear(room)
    del rows.rooms[key]


def _joined(rows: Rows, key: RoomKey, connection: str, request: Join, ref: str) -> says.JoinOk:
    room = rows.rooms[key]
    me = rows.members[*key, connection]
    others = [other for other in rows.members.of(key) if other.connection != connection]
    since = request.since
    missed = rows.window.after(room, since.position) if since is not None and since.epoch == room.epoch else None
    return says.JoinOk(
        ref=ref,
        room=room.name,
        epoch=room.epoch,
        position=room.position,
        members=[seen(other, room, polite=other.order < me.order) for other in others],
        recovered=missed is not None,
        missed=[said for said in missed or [] if not _own_join(said, connection)],
    )


def _own_join(said: says.Missed, connection: str) -> bool:
    return isinstance(said, says.MemberJoined) and said.member.connection_id == connection


def present(rows: Rows, member: Member, profile: Profile, metadata: Metadata, at: Place) -> Iterator[Output]:
    """Show a member otherwise available, or with other metadata. Who was available and is not any more has hung up."""
    key = (member.app, member.room)
    hangs_up = member.profile.availability == "available" != profile.availability
    member = replace(member, profile=replace(profile, metadata=metadata))
    rows.members[member.key] = member
    if hangs_up:
        yield from calls.hung_up(rows, member, at)
    now = seen(member, rows.rooms[key], polite=False)
    changed = says.MemberChanged(
        room=member.room, connection_id=member.connection, availability=now.availability, metadata=now.metadata
    )
    yield from rows.to_members(key, changed, but=member.connection)
