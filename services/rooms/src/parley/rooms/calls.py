"""Calls: the time in which a room has two or more negotiated members."""

from collections.abc import Iterator

from msgspec.structs import replace

from parley.protocol import events, says
from parley.protocol.clock import rfc3339
from parley.protocol.commands import Negotiated, Reason
from parley.protocol.envelope import Place
from parley.protocol.outputs import Output
from parley.rooms.room import Call, Member, Part, RoomKey, remembered, seen
from parley.rooms.rows import Rows


def answered(rows: Rows, command: Negotiated, at: Place) -> Iterator[Output]:
    """Pair two connections, that negotiated directly, in every room here that held both at that time."""
    one, other = command.pair
    both = set(rows.members.rooms_of(one)) & set(rows.members.rooms_of(other))
    for ordinal, key in enumerate(sorted(both)):
        members = (rows.members[*key, one], rows.members[*key, other])
        if key[0] == command.app and all(member.joined_at <= command.time > member.hung_up_at for member in members):
            yield from pair(rows, key, one, other, at, ordinal)


def pair(rows: Rows, key: RoomKey, one: str, other: str, at: Place, ordinal: int = 0) -> Iterator[Output]:
    """Note that two members have negotiated; the first pair starts the call. Saying it twice changes nothing.

    *ordinal* tells the calls apart that one answer starts, when both are in several rooms.
    """
    first, second = rows.members[*key, one], rows.members[*key, other]
    if other in first.peers:
        return
    rows.members[first.key] = replace(first, peers=(*first.peers, other))
    rows.members[second.key] = replace(second, peers=(*second.peers, one))
    room = rows.rooms[key]
    starts = room.call is None
    call = room.call or Call(
        id=f"{at.time:x}-{at.partition:x}-{at.sequence:x}-{at.index:x}-{ordinal:x}", started_at=at.time, parts=()
    )
    fresh = [member for member in (first, second) if not call.has(member.connection)]
    parts = (Part(member.connection, member.profile.user_id, joined_at=at.time) for member in fresh)
    call = replace(call, parts=remembered((*call.parts, *parts)))
    rows.rooms[key] = replace(room, call=call)
    if starts:
        yield rows.fact(
            key,
            events.CallStarted(
                app=room.app, room=room.name, epoch=room.epoch, call_id=call.id, participants=_participants(call)
            ),
        )
    for member in fresh:
        yield from rows.calling(room.app, member.connection, call.id, lasting=True)
        yield from _changed(rows, key, member)


def hung_up(rows: Rows, member: Member, at: Place) -> Iterator[Output]:
    """Note that a member has ended what it had negotiated, and stays in the room."""
    rows.members[member.key] = replace(member, peers=(), hung_up_at=at.time)
    yield from left(rows, member, "left", at)


def left(rows: Rows, gone: Member, reason: Reason, at: Place) -> Iterator[Output]:
    """Note that a member has left, the room or its call; this ends when fewer than two negotiated members remain."""
    key = (gone.app, gone.room)
    for name in gone.peers:
        peer = rows.members.get((*key, name))
        if peer is not None:
            rows.members[peer.key] = replace(peer, peers=tuple(id_ for id_ in peer.peers if id_ != gone.connection))
    room = rows.rooms[key]
    call = room.call
    if call is None or not call.has(gone.connection):
        return
    out = [part.connection for part in call.parts if part.left_at is None and not _negotiated(rows, key, part)]
    parts = tuple(
        replace(part, left_at=at.time) if part.connection in out and part.left_at is None else part
        for part in call.parts
    )
    call = replace(call, parts=parts)
    over = all(part.left_at is not None for part in parts)
    rows.rooms[key] = replace(room, call=None if over else call)
    if over:
        yield rows.fact(
            key,
            events.CallEnded(
                app=room.app,
                room=room.name,
                epoch=room.epoch,
                call_id=call.id,
                started_at=rfc3339(call.started_at),
                duration_ms=at.time - call.started_at,
                reason=reason,
                participants=_participants(call),
            ),
        )
    for connection in out:
        yield from rows.calling(room.app, connection, call.id, lasting=False)
        member = rows.members.get((*key, connection))
        if member is not None:
            yield from _changed(rows, key, member)


def _negotiated(rows: Rows, key: RoomKey, part: Part) -> bool:
    member = rows.members.get((*key, part.connection))
    return member is not None and bool(member.peers)


def _changed(rows: Rows, key: RoomKey, member: Member) -> Iterator[Output]:
    now = seen(member, rows.rooms[key], polite=False)
    changed = says.MemberChanged(
        room=key[1], connection_id=member.connection, availability=now.availability, metadata=now.metadata
    )
    yield from rows.to_members(key, changed, but=member.connection)


def _participants(call: Call) -> list[events.Participant]:
    return [
        events.Participant(
            connection_id=part.connection,
            user_id=part.user,
            joined_at=rfc3339(part.joined_at),
            left_at=None if part.left_at is None else rfc3339(part.left_at),
        )
        for part in call.parts
    ]
