"""One partition of presence on paper: commands go in, and what became known is collected; its rows can be stored."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from support.flat import flat

from parley.kit.state import Changes
from parley.presence.presence import Presence
from parley.presence.store import store_of
from parley.protocol import commands as c
from parley.protocol.envelope import CloudEvent, Place
from parley.protocol.events import Data
from parley.protocol.ids import connection_id
from parley.protocol.outputs import Deliver, Fact, Reply
from parley.protocol.requests import SetPresence

PARTITIONS = 4
HOME = 2


def id_of(number: int, home: int = HOME) -> str:
    """Return a connection id with its home in partition *home*."""
    return connection_id(home, number.to_bytes(9))


class Log:
    """Feeds a state with commands as its owner would, on a clock that the test turns."""

    def __init__(self, partition: int = HOME) -> None:
        self.state = Presence(PARTITIONS)
        self.partition = partition
        self.time = 1_000
        self.sequence = 0
        self.answered: list[Reply] = []

    def says(self, *commands: c.AnyCommand, after: int = 1, writer: str = "g1") -> Sequence[Data]:
        """Reduce *commands*, and return what became known."""
        said: list[Data] = []
        for command in commands:
            self.time += after
            self.sequence += 1
            event = CloudEvent[c.AnyCommand](id="1", source="test", type=c.type_of(command), data=command)
            at = Place(self.partition, self.sequence, 0, self.time, writer)
            for output in flat(self.state.reduce(event, at)):
                assert not isinstance(output, Deliver), "presence delivers nothing: its places would clash with rooms'"
                if isinstance(output, Reply):
                    self.answered.append(output)
                else:
                    assert isinstance(output, Fact)
                    said.append(output.data)
            for table in self.state.tables():
                table.keep()
        return said

    @property
    def known(self) -> list[str]:
        """Who is connected."""
        return list(self.state.rows.profiles)

    async def store(self, db: AsyncEngine) -> None:
        """Write what has changed."""
        changes = Changes(self.partition, [table.take_changes() for table in self.state.tables()])
        async with db.begin() as connection:
            await store_of(PARTITIONS).save(connection, [changes])


def opened(connection: str, *, app: str = "a", resumable: bool = True, **profile: Any) -> c.Opened:
    """Return how a gateway says that a socket was accepted."""
    return c.Opened(
        app=app,
        connection=connection,
        profile=c.Profile(**profile),
        dialect="parley.v1",
        resumable=resumable,
        address="192.0.2.1",
        agent="UA",
    )


def closed(connection: str, session: int = 1) -> c.Closed:
    """Return how a gateway says that a session is over."""
    return c.Closed(
        app="a", connection=connection, session=session, reason="disconnected", code=1001, frames_in=3, frames_out=4
    )


def set_to(connection: str, **profile: Any) -> c.PresenceSet:
    """Return how a gateway says what a client's presence is now."""
    return c.PresenceSet(app="a", connection=connection, request=SetPresence(), profile=c.Profile(**profile))


def calling(connection: str, call: str, *, lasting: bool) -> c.Calling:
    """Return how rooms tells of a call."""
    return c.Calling(app="a", connection=connection, call=call, lasting=lasting)


def in_room(connection: str, room: str, *, member: bool = True) -> c.InRoom:
    """Return how rooms tells of a membership."""
    return c.InRoom(app="a", connection=connection, room=room, member=member)
