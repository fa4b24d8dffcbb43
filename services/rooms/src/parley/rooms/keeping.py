"""What a member says while it is alone in its room, kept for whoever comes next."""

from collections.abc import Iterator
from typing import Final

from parley.protocol import says
from parley.protocol.codes import ErrorCode
from parley.protocol.commands import Asked
from parley.protocol.envelope import Place
from parley.protocol.outputs import Output
from parley.protocol.requests import Send
from parley.rooms.addresses import Address, Waiting
from parley.rooms.post import FULL, PER_BATCH
from parley.rooms.room import RoomKey
from parley.rooms.rows import Rows

NEXT: Final = "*"
"""The address in a room of whoever comes next; no dialect has a name like this."""

KEPT_MS: Final = 86_400_000
"""How long it waits at most."""


def keep(rows: Rows, command: Asked, request: Send, at: Place) -> Iterator[Output]:
    """Keep what a member says."""
    waiting = Waiting(
        app=command.app,
        box=request.room,
        name=NEXT,
        number=at.sequence * PER_BATCH + at.index,
        connection=command.connection,
        sender="",
        kind="",
        data=request.data,
        due=at.time + KEPT_MS,
        notify=False,
        step=None,
    )
    if rows.post.room_for(waiting):
        rows.post.letters[waiting.key] = waiting
    else:
        yield from rows.to(command.connection, says.Error(code=ErrorCode.RATE_LIMITED, message=FULL))


def hand_over(rows: Rows, key: RoomKey, connection: str) -> Iterator[Output]:
    """Tell a new member what was kept."""
    for waiting in rows.post.letters.at(_next(key)):
        del rows.post.letters[waiting.key]
        message = says.Message(room=waiting.box, from_=waiting.connection, data=waiting.data)
        yield from rows.to(connection, message)


def drop(rows: Rows, key: RoomKey, connection: str) -> None:
    """Forget what a member has said that leaves."""
    for waiting in rows.post.letters.at(_next(key)):
        if waiting.connection == connection:
            del rows.post.letters[waiting.key]


def _next(key: RoomKey) -> Address:
    return (*key, NEXT)
