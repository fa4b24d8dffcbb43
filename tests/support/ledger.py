"""
A service with next to no rules, to prove ownership with: it counts what each sender says, and repeats it.

Run as a process it owns partitions until told to stop. Tests break it from inside: LEDGER_FAULT names a file, and
once that holds the name of a fault, the process kills itself there.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
import uvloop
from msgspec import Raw, Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.kit import checkpoints, logs
from parley.kit.bus import Bus, Message, nats_bus
from parley.kit.db import database
from parley.kit.ownership import ownership_tables
from parley.kit.partitions import partitions
from parley.kit.rows import Kept, Rows
from parley.protocol.commands import AnyCommand, FromConnection, GatewayBack, GatewayLost, Negotiated, PostToRoom, Tick
from parley.protocol.envelope import CloudEvent, Place
from parley.protocol.events import EventFailed, MessagePosted
from parley.protocol.outputs import Deliver, Fact, Forward, Output, Reply
from parley.protocol.says import SignalFrom
from parley.protocol.table import Table

COUNT: Final = 4
GATEWAYS: Final = ("left", "right")
RAISES: Final = "raise"
RAISES_TWICE: Final = "raise and fail"
UNSPEAKABLE: Final = "unspeakable"

metadata: Final = sa.MetaData(schema="ledger")
tables: Final = ownership_tables(metadata)
_lines: Final = sa.Table(
    "lines",
    metadata,
    sa.Column("partition", sa.SmallInteger, primary_key=True),
    sa.Column("room", sa.Text, primary_key=True),
    sa.Column("sender", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("in_order", sa.Boolean, nullable=False),
)
_notes: Final = sa.Table(
    "notes",
    metadata,
    sa.Column("partition", sa.SmallInteger, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)


class Line(Struct, frozen=True):
    """What one sender has said in a room."""

    room: str
    sender: str
    count: int = 0
    last: int = 0
    in_order: bool = True
    """Whether each number was above the last."""


class Note(Struct, frozen=True):
    """A number by name."""

    name: str
    value: int


class Ledger:
    """The rules of one partition."""

    moves: Sequence[type[FromConnection]] = ()

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.lines: Table[tuple[str, str], Line] = Table()
        self.notes: Table[str, Note] = Table()

    def tables(self) -> Sequence[Table[Any, Any]]:
        return [self.lines, self.notes]

    def reduce(self, event: CloudEvent[AnyCommand], at: Place) -> Iterator[Output]:
        match event.data:
            case PostToRoom() as post:
                yield from self._post(post, at)
            case Negotiated(pair=pair):
                self._note(f"heard of {pair[0]}", 1)
            case Tick():
                self._add("ticks")
            case GatewayLost(gateway=gateway):
                self._note(f"lost {gateway}", at.time)
                yield Deliver("left", (gateway,), SignalFrom(from_="lost", data=Raw(b"1")))
            case GatewayBack(gateway=gateway):
                if f"lost {gateway}" in self.notes:
                    del self.notes[f"lost {gateway}"]

    def failed(self, event: CloudEvent[AnyCommand], at: Place, error: Exception) -> Iterator[Output]:
        if isinstance(event.data, PostToRoom) and event.data.text == RAISES_TWICE:
            raise error
        self._add("failed")
        yield Fact(
            EventFailed(app="a", service="rooms", command=event.type, connection_id=None, error=str(error)),
            subject="failed",
        )

    def call_of(self, command: AnyCommand) -> str | None:
        return command.room if isinstance(command, PostToRoom) and command.room.startswith("call") else None

    def log_lost(self, at: Place) -> Iterator[Output]:
        for key, _ in sorted(self.lines.rows()):
            del self.lines[key]
            yield Fact(_posted(key[0], key[1], "closed"), subject=key[0])
        self._note("closed at", at.time)

    def gateways(self) -> Iterable[tuple[str, bool]]:
        watched = [name.removeprefix("watch ") for name in self.notes if name.startswith("watch ")]
        return [(gateway, f"lost {gateway}" in self.notes) for gateway in watched]

    def waiting(self) -> bool:
        return "wait" in self.notes

    def _post(self, post: PostToRoom, at: Place) -> Iterator[Output]:
        if post.text.startswith("note "):
            self._note(post.text.removeprefix("note "), 1)
            return
        old = self.lines.get((post.room, post.id)) or Line(post.room, post.id)
        number = old.last + 1 if not post.text.isdecimal() else int(post.text)
        new = Line(post.room, post.id, old.count + 1, number, old.in_order and number > old.last)
        self.lines[post.room, post.id] = new
        if post.text in (RAISES, RAISES_TWICE):
            raise LookupError("a rule broke after it had changed something")
        app = "not.a.token" if post.text == UNSPEAKABLE else "a"
        yield Fact(_posted(post.room, post.id, post.text, app), subject=post.room, sequence=self._add(post.room))
        for gateway in GATEWAYS[: 1 + number % 2]:
            yield Deliver(gateway, (post.room,), SignalFrom(from_=post.id, data=Raw(post.text.encode())))
        if number % 5 == 0:
            pair = (f"{post.room} {post.id} {number}", "")
            yield Forward((self.partition + 1) % COUNT, Negotiated(app="a", pair=pair, time=at.time))
        if post.reply:
            yield Reply(post.reply, {"count": new.count})

    def _add(self, name: str) -> int:
        value = self.notes[name].value + 1 if name in self.notes else 1
        self._note(name, value)
        return value

    def _note(self, name: str, value: int) -> None:
        self.notes[name] = Note(name, value)


store: Final = Rows(Ledger, [Kept(_lines, Line), Kept(_notes, Note)])


async def prepare(db: AsyncConnection) -> None:
    """Make the schema."""
    await db.execute(sa.text("create schema ledger"))
    await db.run_sync(metadata.create_all)


def _posted(room: str, sender: str, text: str, app: str = "a") -> MessagePosted:
    data = Raw(b"null")
    return MessagePosted(
        app=app, room=room, epoch="e", position=0, id=sender, connection_id=None, user_id=None, text=text, data=data
    )


def break_at(fault: Callable[[], str]) -> None:
    """Put the faults in."""
    publish_all, commit = Bus.publish_all, checkpoints.Checkpoints._commit
    unsaved = False  # deliveries that no checkpoint knows of

    async def break_publish(self: Bus, messages: Sequence[Message]) -> int:
        nonlocal unsaved
        if messages[0].subject.startswith("parley.out.") and fault() == "delivered":
            for message in messages:
                await self.client.publish(message.subject, message.payload)
            await self.client.flush()
            _die()
        if messages[0].subject.startswith("parley.out.") and fault() == "unsaid":
            await asyncio.sleep(0.5)  # time enough for a checkpoint that should not know of this yet
            _die()
        stored = await publish_all(self, messages)
        unsaved = unsaved or (stored > 0 and messages[0].subject.startswith("parley.out."))
        return stored

    async def break_commit(self: checkpoints.Checkpoints, owners: Any) -> None:
        nonlocal unsaved
        if fault() == "published" and unsaved:
            _die()
        unsaved = False
        await commit(self, owners)

    Bus.publish_all = break_publish  # type: ignore[method-assign]
    checkpoints.Checkpoints._commit = break_commit  # type: ignore[method-assign]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main() -> None:
    """Own partitions until told to stop."""
    file = Path(os.environ["LEDGER_FAULT"])
    break_at(lambda: file.read_text() if file.exists() else "")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with (
        database(os.environ["DATABASE_URL"], "ledger") as db,
        nats_bus(os.environ["NATS_URL"], "ledger") as bus,
        partitions(bus, db, service="ledger", count=COUNT, store=store, tables=tables) as owned,
    ):
        sys.stdout.write(f"{owned.name}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    logs.configure("ledger", os.environ.get("LEDGER_LOG", "info"))
    uvloop.run(main())
