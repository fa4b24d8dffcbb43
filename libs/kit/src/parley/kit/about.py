"""What spans say of a command: whose it is, where it goes and what it asks for; nothing of what is said in it."""

from typing import Any, Final

from msgspec import Struct

from parley.kit.telemetry import Value
from parley.protocol.commands import AnyCommand, Asked, FromConnection, PresenceSet

CALL: Final = "parley.call.id"
CONNECTION: Final = "parley.connection.id"
ROOM: Final = "parley.room"


def about(command: AnyCommand) -> dict[str, Value]:
    """Return the attributes of a span of *command*."""
    if isinstance(command, Asked | PresenceSet):
        asked: Any = command.request
        said: dict[str, Value] = {
            "parley.app": command.app,
            CONNECTION: command.connection,
            "parley.route": _TAGS[type(asked)],
        }
        room = getattr(asked, "room", None)
    else:
        said = {"parley.app": command.app, "parley.route": _TAGS[type(command)]}
        if isinstance(command, FromConnection):
            said[CONNECTION] = command.connection
        room = getattr(command, "room", None)
    if room is not None:
        said[ROOM] = room
    return said


class _Tags(dict[type[Struct], str]):
    """The names of what is asked, by class; looked up once each."""

    def __missing__(self, kind: type[Struct]) -> str:
        self[kind] = tag = str(kind.__struct_config__.tag)
        return tag


_TAGS: Final = _Tags()
