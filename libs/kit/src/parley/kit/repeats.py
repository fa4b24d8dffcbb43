"""
Lines that say the same: a few of them are written, the others counted.

What a client does may make us write a line, and a client can do it ten thousand times a second. The next line of its
kind says how many were left out, and a metric counts them all. Connections that open and close get a line each.
"""

import logging
from collections.abc import Callable, Hashable
from time import monotonic
from typing import Final

import structlog
from structlog.typing import EventDict, WrappedLogger

from parley.kit import metrics

MOST: Final = 10
SECONDS: Final = 10.0
"""So many lines of a kind are written in so many seconds."""

EACH: Final = frozenset({"opened", "resumed", "closed"})
"""Of a connection; they are what is looked for."""

PATIENT: Final = {"opentelemetry": (1, 600.0)}
"""Libraries with a pace of their own: an exporter whose receiver is away says so at every attempt, for days."""

MOST_KINDS: Final = 1000

_LEFT_OUT: Final = metrics.counter(
    "log_left_out", "Lines that were not written to the log, because many of the same kind had just been."
)


class Repeats:
    """What was written lately, by kind: what it says, and of which partition."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._kinds: dict[Hashable, tuple[float, int, int]] = {}  # since when, how many written, how many left out

    def process(self, _: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """Drop a line of ours if there were enough of its kind."""
        if method == "debug" or event["event"] in EACH:
            return event
        left_out = self._take((event["event"], event.get("partition")))
        if left_out is None:
            raise structlog.DropEvent
        if left_out:
            event["left_out"] = left_out
        return event

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop a library's line if there were enough of that library's."""
        library = record.name.partition(".")[0]
        left_out = self._take(library, *PATIENT.get(library, (MOST, SECONDS)))
        if left_out:
            record.left_out = left_out
        return left_out is not None

    def _take(self, kind: Hashable, most: int = MOST, seconds: float = SECONDS) -> int | None:
        """Return how many of *kind* were left out before this one; None if it is to be left out, too."""
        now = self._now()
        since, written, left_out = self._kinds.get(kind, (now, 0, 0))
        if now - since >= seconds:
            since, written = now, 0
        if written >= most:
            self._kinds[kind] = since, written, left_out + 1
            _LEFT_OUT.inc()
            return None
        if len(self._kinds) >= MOST_KINDS:
            self._kinds.clear()  # kinds are few, unless a library thinks otherwise
        self._kinds[kind] = since, written + 1, 0
        return left_out
