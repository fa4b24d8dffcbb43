"""Letters from outside: who has no connection writes one to an address, and waits for what is written back."""

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Raw

from parley.protocol import commands as c
from parley.protocol import says
from parley.protocol.codes import ErrorCode
from parley.protocol.envelope import Place
from parley.protocol.outputs import Output, Reply
from parley.protocol.requests import Letter
from parley.rooms import post
from parley.rooms.addresses import Writer
from parley.rooms.rows import Rows

NOBODY: Final = {"code": ErrorCode.GONE, "message": "Nobody has answered in time."}
REPLACED: Final = {"code": ErrorCode.GONE, "message": "The same name has written anew, and waits for that answer."}


def write(rows: Rows, command: c.WriteLetter, at: Place) -> Iterator[Output]:
    """Send a letter as if by a connection of that name, and wait for its answer."""
    address = (command.app, command.box, command.sender)
    before = rows.post.writers.get(address)
    if before is not None:
        if before.reply == command.reply:
            return  # it was asked twice
        yield Reply(before.reply, REPLACED)
    rows.post.writers[address] = Writer(
        app=command.app,
        box=command.box,
        name=command.sender,
        kind=command.answer,
        reply=command.reply,
        due=at.time + command.keep_ms,
    )
    letter = Letter(
        box=command.box,
        name=command.name,
        sender=command.sender,
        kind=command.kind,
        data=Raw(command.data.encode()),
        keep_ms=command.keep_ms,
        replaces=True,
    )
    yield from post.letter(rows, c.Asked(app=command.app, connection="", request=letter), letter, at)


def answers(rows: Rows, app: str, letter: Letter) -> Writer | None:
    """Return who waits outside for this letter, if somebody does."""
    writer = rows.post.writers.get((app, letter.box, letter.name))
    return writer if writer is not None and writer.kind == letter.kind else None


def answer(rows: Rows, writer: Writer, command: c.Asked, letter: Letter) -> Iterator[Output]:
    """Give a letter to who waits for it."""
    del rows.post.writers[writer.address]
    body: dict[str, Any] = {"data": letter.data}
    yield Reply(writer.reply, body)
    if letter.ref is not None:
        yield from rows.to(command.connection, says.Ok(ref=letter.ref))


def unanswered(rows: Rows, at: Place) -> Iterator[Output]:
    """Tell those who have waited in vain."""
    late = sorted(key for key, writer in rows.post.writers.rows() if writer.due <= at.time)
    for key in late:
        writer = rows.post.writers[key]
        del rows.post.writers[key]
        yield Reply(writer.reply, NOBODY)
