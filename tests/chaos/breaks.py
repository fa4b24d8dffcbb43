"""
Parley with one of its rules broken, so that it can be seen what the rule is for, and that the checker notices.

    python breaks.py fence rooms        # the rooms service, whose checkpoints ask nobody whether they may be written

Each function below breaks one rule in the process that calls it. The services' own modules are not touched.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from itertools import count

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.gateway import returns
from parley.gateway.connection import Back, Connection
from parley.gateway.deliveries import PER_MESSAGE, Deliveries
from parley.gateway.lives import Lives
from parley.gateway.reception import Reception
from parley.gateway.resume import ResumeTokens
from parley.kit import checkpoints, ownership
from parley.kit.identity import Identity
from parley.kit.lifecycle import run
from parley.kit.ownership import Ownership, Progress
from parley.kit.rounds import Rules
from parley.kit.writer import Writer
from parley.protocol import requests as ask
from parley.protocol import subjects
from parley.protocol.commands import AnyCommand, Asked
from parley.protocol.envelope import CloudEvent, Place
from parley.protocol.outputs import Output
from parley.protocol.says import Attached, ToClient
from parley.protocol.subjects import Class
from parley.rooms.rooms import Rooms

POISON = b"poison"


def drop() -> None:
    """One in two hundred deliveries is written to nobody."""
    whole, numbers = Deliveries._tell, count(1)

    def tell(self: Deliveries, to: tuple[str, ...], say: ToClient, n: int) -> int:
        return whole(self, to, say, n) if next(numbers) % 200 else 0

    Deliveries._tell = tell  # type: ignore[method-assign]


def flight() -> None:
    """Two batches of a partition are on their way at once."""

    async def send(self: Writer, partition: int, queue: deque[tuple[Class, bytes, asyncio.Future[None]]]) -> None:
        async def batch() -> None:
            kind, events, stored = self._cut(queue)
            number = self._numbers[partition] = self._numbers.get(partition, 0) + 1
            payload = self._opening + b'%d,"events":[' % number + b",".join(events) + b"]}"
            await self._store(subjects.ingress(partition, kind), payload)
            for future in stored:
                if not future.done():
                    future.set_result(None)

        flying: set[asyncio.Task[None]] = set()
        while queue or flying:
            while queue and len(flying) < 2:
                flying.add(asyncio.ensure_future(batch()))
                await asyncio.sleep(0)
            _, flying = await asyncio.wait(flying, timeout=0.005, return_when=asyncio.FIRST_COMPLETED)
        del self._queues[partition]

    Writer._send = send  # type: ignore[method-assign]


def fence() -> None:
    """A checkpoint is written whoever owns the partition by now."""
    fenced = ownership.advance

    async def advance(db: AsyncConnection, tables: Ownership, progress: Sequence[Progress]) -> set[int]:
        rows = tables.partitions
        fences = {row.partition: row.fence for row in await db.execute(rows.select())}
        return await fenced(db, tables, [step._replace(fence=fences[step.partition]) for step in progress])

    checkpoints.advance = advance  # type: ignore[attr-defined] # the name under which it is called


def number() -> None:
    """Nobody looks at the number of a batch."""
    Rules._is_new = lambda *_: True  # type: ignore[method-assign]


def moved() -> None:
    """The gateway does not ask the home which session it is, and where the client was: it believes the token."""
    sign, welcome, attached = ResumeTokens.sign, Lives._welcome, Lives._attached
    about: list[str] = []

    def welcomed(self: Lives, connection: Connection, *, resumed: bool) -> bytes | None:
        about[:] = [f"{connection.session.number}|{self._name}"]
        return welcome(self, connection, resumed=resumed)

    def signed(self: ResumeTokens, app: str, connection: str, subject: str | None) -> str:
        return sign(self, app, f"{connection}|{about[0]}", subject)

    async def asked(self: Lives, connection: Connection, back: Back) -> None:
        id_, session, gateway = back.connection.split("|")
        self._count += 1
        attempt = f"{self._name}.{self._count}"
        publish = connection.session.resume(attempt, id_, back.count)
        self._ingress.put(publish.partitions, publish.command)
        self._attempts[attempt] = connection
        believed = Attached(
            partition=publish.partitions[0], session=int(session) + 1, attempt=attempt, gateways=(gateway,)
        )
        attached(self, id_, attempt, believed)

    def told(self: Lives, id_: str, attempt: str, say: Attached) -> None:
        """Take from the home, late, what the client had said of itself: this is not about that."""
        connection = self._connections.find(id_)
        if connection is not None and say.profile is not None:
            connection.session._profile = say.profile

    Lives._welcome, Lives._ask, Lives._attached = welcomed, asked, told  # type: ignore[method-assign]
    ResumeTokens.sign = signed  # type: ignore[method-assign]


def place() -> None:
    """A place in DELIVERIES is a message, and not a frame in it: who has one frame of it counts as having all."""
    back = Reception._back

    def whole(self: Reception, query: dict[str, str], identity: Identity) -> Back | None:
        found = back(self, query, identity)
        return None if found is None else replace(found, n=found.n | (PER_MESSAGE - 1))

    Reception._back = whole  # type: ignore[method-assign]


def marks() -> None:
    """What a client missed is read from its place on, and not from a while before."""
    returns.BEFORE_SECONDS = 0  # type: ignore[misc]


def poison() -> None:
    """A rule breaks half-way when it sees a certain word, which no message of a client makes a real one do."""
    reduce = Rooms.reduce

    def poisoned(self: Rooms, event: CloudEvent[AnyCommand], at: Place) -> Iterator[Output]:
        command = event.data
        yield from reduce(self, event, at)
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

    Rooms.reduce = poisoned  # type: ignore[method-assign]


BREAKS: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (drop, flight, fence, number, moved, place, marks, poison)
}


if __name__ == "__main__":
    _, which, service = sys.argv
    del sys.argv[1:]  # the service has arguments of its own
    BREAKS[which]()
    run(
        import_module(f"parley.{service}.__main__").main,
        import_module(f"parley.{service}.settings").Settings,
    )
