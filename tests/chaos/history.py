"""
What a run left behind, and all that the checker looks at: what clients said and heard, and what Parley kept.

Clients write their records down as they go, a JSON line each; one file holds the clients of one process.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field


class Member(Struct, frozen=True, rename="camel"):
    """A member, as a room shows it."""

    connection_id: str
    availability: str = ""
    metadata: dict[str, Any] = {}


class Frame(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A frame of parley.v1, of either side, as far as anything depends on it."""

    action: str = ""
    type: str = ""
    n: int = 0
    ref: str | None = None
    code: str = ""
    room: str = ""
    epoch: str = ""
    position: int = 0
    connection_id: str = ""
    member: Member | None = None
    members: tuple[Member, ...] = ()
    recovered: bool = False
    missed: tuple["Frame", ...] = ()
    reason: str = ""
    to: str = ""
    from_: str | None = field(default=None, name="from")
    data: Any = None
    id: str = ""
    text: str = ""
    availability: str = ""
    metadata: dict[str, Any] | None = None
    since: dict[str, Any] | None = None


class Record(Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """Something that happened to a client."""

    client: str
    at: float
    """Seconds since the epoch."""


class Came(Record, kw_only=True, frozen=True):
    """It has a connection: welcomed as one of ours, or with an open socket as one of the workshop's."""

    connection: str
    resumed: bool = False
    dialect: str = "parley.v1"
    room: str = ""
    """Of the workshop's: the one room it joins. Its id nobody tells it; see `EventsRead.who`."""


class Said(Record, kw_only=True, frozen=True):
    """It has written a frame; what it repeats is written again."""

    frame: Frame


class Heard(Record, kw_only=True, frozen=True):
    """It was told something."""

    frame: Frame


class Read(Record, kw_only=True, frozen=True):
    """One of the workshop's was told something."""

    text: str


class Broke(Record, kw_only=True, frozen=True):
    """Its socket is gone; it means to come back."""

    code: int | None
    how: str


class Went(Record, kw_only=True, frozen=True):
    """It does not come back: it has said goodbye (`left`), is silent (`vanished`), or was shut out (`evicted`)."""

    how: str


AnyRecord = Came | Said | Heard | Read | Broke | Went


class Event(Struct, frozen=True, kw_only=True):
    """An entry of EVENTS, as far as anything depends on it."""

    id: str
    type: str
    subject: str = ""
    sequence: str = ""
    data: dict[str, Any] = {}


class Posted(Struct, frozen=True, order=True):
    """A row of history, or a line of its list."""

    room: str
    epoch: str
    position: int
    id: str
    connection: str | None
    text: str


class Present(Struct, frozen=True):
    """A live connection, as presence has it."""

    connection: str
    availability: str
    metadata: dict[str, Any]
    rooms: tuple[str, ...]


class Kept(Struct, frozen=True, kw_only=True):
    """What PostgreSQL holds, or what REST says that it does."""

    present: tuple[Present, ...] = ()
    rooms: dict[str, tuple[str, int]] = {}
    """Epoch and position of each."""
    members: dict[str, tuple[Member, ...]] = {}
    """By room."""
    posted: tuple[Posted, ...] = ()
    heard_of: tuple[str, ...] = ()
    """Connections that some partition of rooms takes for live, each once."""
    lost: tuple[str, ...] = ()
    """Gateways that some partition takes for lost."""


class History(Struct, frozen=True, kw_only=True):
    """All of it."""

    records: tuple[AnyRecord, ...] = ()
    """Each client's in their order."""
    events: tuple[Event, ...] = ()
    """In the stream's order."""
    tables: Kept = Kept()
    rest: Kept = Kept()
    grace: float = 30.0
    """Seconds in which a client can come back to its connection."""
    excused: tuple[tuple[float, float], ...] = ()
    """From when to when connections may have ended without their clients' fault, because their log was lost."""


Records = list[AnyRecord]

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyRecord)


class Book:
    """Writes records down as they come; a process that is killed has lost the last of them at most."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")

    def write(self, record: AnyRecord) -> None:
        self._file.write(_encoder.encode(record) + b"\n")

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read(paths: Iterable[Path]) -> Records:
    """Return what was written in several books."""
    return list(_read(paths))


def _read(paths: Iterable[Path]) -> Iterator[AnyRecord]:
    for path in paths:
        with path.open("rb") as lines:
            for line in lines:
                yield _decoder.decode(line)
