"""
Gathers the evidence and asks the checker, in a process of its own: reading a long story takes its time, and the
proxies of a run must not wait for it.

``python -m chaos.judge`` reads a ``Trial`` and prints a ``Verdict``, a JSON line each, until its input ends.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final

import msgspec
from chaos import evidence, history
from chaos.checker import check
from chaos.history import Came, Event, Heard, History, Read, Said
from chaos.violation import Violation
from msgspec import Struct
from msgspec.structs import replace

MOST: Final = 200


class Trial(Struct, frozen=True):
    """Where the evidence is."""

    books: tuple[str, ...]
    nats: str
    database: str
    front_door: str
    excused: tuple[tuple[float, float], ...] = ()
    earlier: str = ""
    """A file with the events of a stream that is gone."""
    keep_events: str = ""
    """Where to put the events for such a trial."""


class Verdict(Struct, frozen=True):
    """What the checker said, and of how much."""

    violations: tuple[Violation, ...]
    broken: int
    """How many violations there are in all."""
    said: int = 0
    heard: int = 0
    resumed: int = 0
    begun_anew: int = 0
    events: int = 0
    posted: int = 0


async def judge(trial: Trial) -> Verdict:
    """Return what the checker says now."""
    tables = await evidence.tables(trial.database)
    rest = await evidence.rest(trial.front_door)
    rooms = tuple(sorted({posted.room for posted in tables.posted}))
    rest = replace(rest, posted=await evidence.said(trial.front_door, rooms))
    events = await evidence.events(trial.nats)
    if trial.keep_events:
        _keep(events, Path(trial.keep_events))
    if trial.earlier:
        events = _kept(Path(trial.earlier)) + events
    records = tuple(history.read([Path(book) for book in trial.books]))
    found = check(History(records=records, events=events, tables=tables, rest=rest, excused=trial.excused))
    came = [record for record in records if isinstance(record, Came)]
    return Verdict(
        violations=tuple(found[:MOST]),
        broken=len(found),
        said=sum(isinstance(record, Said) for record in records),
        heard=sum(isinstance(record, Heard | Read) for record in records),
        resumed=sum(record.resumed for record in came),
        begun_anew=sum(not record.resumed for record in came),
        events=len(events),
        posted=len(tables.posted),
    )


def _keep(events: tuple[Event, ...], path: Path) -> None:
    path.write_bytes(msgspec.json.encode(events))


def _kept(path: Path) -> tuple[Event, ...]:
    return msgspec.json.decode(path.read_bytes(), type=tuple[Event, ...])


def main() -> None:
    for line in sys.stdin:
        try:
            verdict = asyncio.run(judge(msgspec.json.decode(line, type=Trial)))
        except Exception as error:  # noqa: BLE001 - a server may still be away; the next trial will tell
            verdict = Verdict((Violation("rest", "the evidence", repr(error)),), 1)
        sys.stdout.buffer.write(msgspec.json.encode(verdict) + b"\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
