"""What members report of the media between them: one public event each, and not a word to anybody else."""

from collections.abc import Iterator

from parley.protocol import events, says
from parley.protocol.commands import Asked
from parley.protocol.outputs import Output
from parley.protocol.requests import Report
from parley.rooms.rows import Rows
from parley.rooms.talk import not_member


def report(rows: Rows, command: Asked, request: Report) -> Iterator[Output]:
    """Announce a member's report, with the call that lasts in its room. It takes no position: nobody need catch up."""
    key = (command.app, request.room)
    member = rows.members.get((*key, command.connection))
    if member is None:
        yield from not_member(rows, command, request.ref, request.room)
        return
    room = rows.rooms[key]
    yield rows.fact(
        key,
        events.CallQuality(
            app=room.app,
            room=room.name,
            epoch=room.epoch,
            call_id=None if room.call is None else room.call.id,
            connection_id=command.connection,
            user_id=member.profile.user_id,
            peers=request.peers,
        ),
    )
    if request.ref is not None:
        yield from rows.to(command.connection, says.Ok(ref=request.ref))
