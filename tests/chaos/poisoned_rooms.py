"""The rooms service with one rule that breaks half-way: no message of a client makes the real one do so."""

from collections.abc import Iterator

from parley.kit.lifecycle import run
from parley.protocol import requests as ask
from parley.protocol.commands import AnyCommand, Asked
from parley.protocol.envelope import CloudEvent, Place
from parley.protocol.outputs import Output
from parley.rooms import store
from parley.rooms.__main__ import main
from parley.rooms.rooms import Rooms
from parley.rooms.settings import Settings

POISON = b"poison"


class Poisoned(Rooms):
    """Drops everybody from a room and says so, before it notices that it should not have."""

    def reduce(self, event: CloudEvent[AnyCommand], at: Place) -> Iterator[Output]:
        command = event.data
        yield from super().reduce(event, at)
        if (
            isinstance(command, Asked)
            and isinstance(command.request, ask.Send)
            and POISON in bytes(command.request.data)
        ):
            key = (command.app, command.request.room)
            for member in self.rows.members.of(key):
                del self.rows.members[member.key]
            del self.rows.rooms[key]
            raise RuntimeError("This was poison.")


if __name__ == "__main__":
    store.Rooms = Poisoned  # type: ignore[attr-defined] # the name under which the store finds the rules
    run(main, Settings)
