"""What the history service counts and measures: how far behind the events it is."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

import nats.errors
from nats.js.errors import APIError

from parley.kit import metrics
from parley.kit.lifecycle import background

if TYPE_CHECKING:
    from parley.history.inbox import Inbox
    from parley.history.records import Quality
    from parley.history.setup import Waited
    from parley.history.stream import Viewers

LOOK_SECONDS: Final = 5.0
"""How often NATS is asked how many events wait."""

WRITTEN: Final = metrics.counter("history_events", "Events that this replica is done with.")
PARKED: Final = metrics.counter(
    "history_parked", "Events that could not be written and were parked in `history.parked`: bugs, must be none."
)
DELAY: Final = metrics.histogram(
    "history_delay_seconds", "From storing an event in its stream until it was in PostgreSQL: the first of each batch."
)
_WAITS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
"""Bounds in seconds for what somebody waits for who has called."""
_ANSWER: Final = metrics.histogram(
    "history_call_first_answer_seconds",
    "From the first offer among those who began a call to the first answer: once for each call, as soon as both are in "
    "PostgreSQL. Delivered again they count no second time; what a replica wrote when it died may be missing.",
    buckets=_WAITS,
)
_MEDIA: Final = metrics.histogram(
    "history_call_first_media_seconds",
    "From the start of a negotiation to the first media, as the first who reports it says: once for each call, in the "
    "same way. Calls of which nobody reports are missing.",
    buckets=_WAITS,
)
_REPORTS: Final = metrics.counter(
    "history_reports",
    "What members of calls reported of a peer: the state of the connection, and its path: `relay` if TURN carries it, "
    "else `direct`; `unknown` if it has none.",
    "state",
    "path",
)
_WAITING: Final = metrics.asked(
    "history_events_waiting",
    "Events that all replicas together have still to write; each tells the same. Absent as long as NATS does not say.",
)
_OLDEST: Final = metrics.asked(
    "history_oldest_seconds",
    "How old the oldest event is that this replica has and has not written yet; 0 if it has none.",
)
_VIEWERS: Final = metrics.asked("history_viewers", "Readers of the event stream at `GET /v1/events`.")


def reported(quality: "Quality") -> None:
    """Count what a member of a call has told of its peers."""
    for report in quality.reports:
        sides = (report.local_candidate, report.remote_candidate)
        path = "relay" if "relay" in sides else "direct" if any(sides) else "unknown"
        _REPORTS.labels(report.state, path).inc()


def waited(calls: "Iterable[Waited]") -> None:
    """Measure how long calls waited."""
    for call in calls:
        if call.answer_ms is not None:
            _ANSWER.observe(call.answer_ms / 1000)
        if call.media_ms is not None:
            _MEDIA.observe(call.media_ms / 1000)


@asynccontextmanager
async def counting(inbox: "Inbox", viewers: "Viewers") -> AsyncIterator[None]:
    """Tell how far behind this replica is, for the length of the block."""
    known: dict[tuple[str, ...], float] = {}

    async def look() -> None:
        while True:
            try:
                known[()] = (await inbox.figures())["waiting"]
            except (nats.errors.Error, APIError, TimeoutError):
                known.clear()
            await asyncio.sleep(LOOK_SECONDS)

    with ExitStack() as stack:
        stack.enter_context(_WAITING.by(lambda: known))
        stack.enter_context(_OLDEST.by(lambda: {(): _age(inbox)}))
        stack.enter_context(_VIEWERS.by(lambda: {(): len(viewers)}))
        async with background(look(), "history's metrics"):
            yield


def _age(inbox: "Inbox") -> float:
    oldest = inbox.oldest
    return 0.0 if oldest is None else max(0.0, time.time() - oldest)
