"""
What came and went on a connection lately, without what was said: for whoever looks into a client's trouble.

Writing a note must cost next to nothing, also for the garbage collector. So it is a tuple of nothing but text and
numbers, and what many are told is noted once for all of them. Pings and their answers are left out: they would soon be
all that there is.
"""

from collections import deque
from collections.abc import Iterator, Reversible
from types import NoneType
from typing import Final

import msgspec
from msgspec import Struct

from parley.protocol.clock import rfc3339
from parley.protocol.frames import FrameSeen
from parley.protocol.requests import Invoke, Ping
from parley.protocol.says import ChatOk, Error, JoinOk, Ok, ToClient

MOST: Final = 50
"""Notes that are kept of a connection."""

MAX_REF: Final = 128

Note = tuple[float, bool, str, int, str | None]
"""When, in seconds since the epoch; whether it came; its name; its bytes; its ref."""

Notes = deque[Note]
"""The latest `MOST` of a connection, the oldest first."""


def none_yet() -> Notes:
    """Return what a connection has before its first note."""
    return deque(maxlen=MOST)


class _Routes(dict[type, str]):
    """The names of what is asked and said, by class; looked up once each."""

    def __missing__(self, kind: type[Struct]) -> str:
        tag = str(kind.__struct_config__.tag)
        self[kind] = name = "ok" if tag.startswith("ok.") else tag  # one type for clients, several for us
        return name


ROUTES: Final = _Routes({NoneType: "", Ping: "", Invoke: ""})
"""The name of each class; empty for those that have none, or another one each time."""

_ANSWERS: Final = frozenset({Ok, JoinOk, ChatOk, Error})

_PONG: Final = b'{"type":"pong"'


class _Frame(Struct, frozen=True):
    """What a frame in JSON may say of itself."""

    type: str = ""
    ref: str | None = None


_frame: Final = msgspec.json.Decoder(_Frame).decode


def told(now: float, say: ToClient, size: int) -> Note:
    """Note a frame that tells what an owner says."""
    kind = type(say)
    return now, False, ROUTES[kind], size, say.ref if kind in _ANSWERS else None  # type: ignore[union-attr] # these have one


def written(now: float, frame: bytes) -> Note | None:
    """Note a frame of which nothing is known but what it says."""
    if frame.startswith(_PONG):
        return None
    try:
        said = _frame(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return now, False, "", len(frame), None
    return now, False, said.type[:MAX_REF], len(frame), said.ref and said.ref[:MAX_REF]


def shown(notes: Reversible[Note]) -> Iterator[FrameSeen]:
    """Give notes in words, the newest first."""
    for now, came, route, size, ref in reversed(notes):
        yield FrameSeen(rfc3339(int(now * 1000)), "in" if came else "out", route, size, ref)
