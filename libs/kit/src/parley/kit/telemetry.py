"""
Traces: spans around the work, carried from process to process as a W3C ``traceparent`` in each envelope.

    with span("join", parent=event.traceparent) as current:
        outgoing.traceparent = current.traceparent

Without an endpoint nothing of OpenTelemetry is imported and a span costs next to nothing; a ``traceparent`` that
came in goes out unchanged, so a trace is not cut by the one process that does not record. With one, the SDK's
own variables hold (``OTEL_TRACES_SAMPLER``, ``OTEL_BSP_SCHEDULE_DELAY``, ``OTEL_RESOURCE_ATTRIBUTES`` ...).

A span that was not sampled is recorded after all when it ends in an error or was slow: that one, not its whole trace.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from hashlib import sha256
from types import TracebackType
from typing import Final, Literal, Protocol, Self

from parley.protocol.envelope import traceparent as accepted

__all__ = [
    "accepted",
    "call_of",
    "current_trace_id",
    "described",
    "messaging",
    "recording",
    "refused",
    "slow",
    "span",
    "span_of_call",
    "telemetry",
    "trace_of",
    "unsampled",
]

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | bool | int | float
Attributes = Mapping[str, Value]
Described = Attributes | Callable[[], Attributes] | None
"""The attributes of a span, or what gives them if it is recorded: of most frames it is not."""


Operation = Literal["send", "receive", "process"]

SLOW_SECONDS: Final = 1.0
"""From when on work is slow, unless a setting says otherwise."""

NOT_SAMPLED: Final = frozenset("02468ace")
"""How a `traceparent` ends whose flags do not say `sampled`."""

_FLUSH_SECONDS = 5.0


class Span(Protocol):
    """One piece of work. Leaving its block ends it; an error that passes through marks it."""

    traceparent: str | None
    """What the envelope of everything that follows from this work carries."""
    recording: bool
    """Whether anybody will see it, as far as is known: what costs something to find out is not worth it otherwise."""

    def set(self, key: str, value: Value) -> None:
        """Add an attribute."""

    def rename(self, name: str) -> None:
        """Call it *name*, once it is known what it was."""

    def link(self, traceparent: str) -> None:
        """Link it to another trace."""

    def fail(self, error: str) -> None:
        """Mark it: it ended in an *error*, in a word for programs, though nothing was raised."""

    def end(self, at: int | None = None) -> None:
        """End a span that is not used as a block, now or *at* nanoseconds since the epoch."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Tracing(Protocol):
    """What records spans; see ``tracing.py``."""

    slow: int
    """Nanoseconds from when on work is slow."""
    follows: bool
    """Whether what goes on from a trace that is not sampled is not sampled either."""

    def begin(
        self,
        name: str,
        kind: Kind,
        parent: str | None,
        *,
        links: Iterable[str],
        attributes: Described,
        at: int | None,
        since: int | None = None,
        own: str | None = None,
    ) -> Span:
        """Begin a span; see `span`, `messaging` and `span_of_call`, whose `traceparent` is its *own*."""

    def current_trace_id(self) -> str | None:
        """Return the trace of the span whose block this is."""

    def close(self) -> None:
        """Send what is there, and end; takes as long as the collector does."""


class Unrecorded:
    """A span that nobody sees; it only hands on the trace it was given."""

    __slots__ = ("traceparent",)
    recording = False

    def __init__(self, traceparent: str | None) -> None:
        self.traceparent = traceparent

    def set(self, key: str, value: Value) -> None:
        """Forget it."""

    def rename(self, name: str) -> None:
        """Forget it."""

    def link(self, traceparent: str) -> None:
        """Forget it."""

    def fail(self, error: str) -> None:
        """Forget it."""

    def end(self, at: int | None = None) -> None:
        """Forget it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        return None


_NOTHING = Unrecorded(None)
_tracing: Tracing | None = None


def span(
    name: str,
    *,
    kind: Kind = "internal",
    parent: str | None = None,
    links: Iterable[str] = (),
    attributes: Described = None,
    at: int | None = None,
) -> Span:
    """
    Begin a span, to be used as a block.

    It continues *parent*, else the span in whose block it begins, else it starts a trace. Work on many things
    at once *links* to the traces of those things.
    """
    if _tracing is None:
        return _NOTHING if parent is None else Unrecorded(parent)
    return _tracing.begin(name, kind, parent, links=links, attributes=attributes, at=at)


def messaging(
    operation: Operation,
    destination: str,
    *,
    parent: str | None = None,
    links: Iterable[str] = (),
    count: int = 1,
    attributes: Described = None,
    at: int | None = None,
    since: int | None = None,
) -> Span:
    """
    Begin a span for messages on the bus, named as OpenTelemetry's messaging conventions say.

    *destination* is the template of the subject, such as ``parley.in.{partition}.{class}``: names of spans are few.
    It is slow if it ends too long after *since*, in nanoseconds since the epoch, when that is not its own beginning.
    """
    if _tracing is None:
        return _NOTHING if parent is None else Unrecorded(parent)
    name, kind, given = _NAMED.get((operation, destination)) or _named(operation, destination)
    if attributes is not None or count > 1:
        given = partial(_merged, given, attributes, count)
    return _tracing.begin(name, kind, parent, links=links, attributes=given, at=at, since=since)


_NAMED: Final[dict[tuple[Operation, str], tuple[str, Kind, Described]]] = {}
"""What is the same of all spans of an operation: frames come by the ten thousand."""


def _named(operation: Operation, destination: str) -> tuple[str, Kind, Described]:
    attributes: Attributes = {
        "messaging.system": "nats",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": destination,
    }
    kind: Kind = "producer" if operation == "send" else "consumer"
    named = _NAMED[operation, destination] = f"{operation} {destination}", kind, attributes
    return named


def _merged(given: Described, attributes: Described, count: int) -> Attributes:
    batch = {"messaging.batch.message_count": count} if count > 1 else {}
    return {**described(given), **described(attributes), **batch}


def described(attributes: Described) -> Attributes:
    """Return what is said of a span."""
    if attributes is None:
        return {}
    return attributes() if callable(attributes) else attributes


def trace_of(call: str) -> str:
    """Return the id of a call's own trace: whoever knows the call finds it."""
    return sha256(call.encode()).hexdigest()[:32]


def call_of(call: str) -> str:
    """Return the `traceparent` of the span in a call's own trace, for links to it."""
    digest = sha256(call.encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-01"


def span_of_call(
    call: str, *, links: Iterable[str] = (), attributes: Attributes | None = None, at: int | None = None
) -> Span:
    """
    Begin the one span of a call's own trace.

    Its ids follow from the call's, so that others link to it before there is one, and a receiver that gets it twice
    has the same span twice.
    """
    if _tracing is None:
        return _NOTHING
    given = {"parley.call.id": call} | dict(attributes or {})
    return _tracing.begin("call", "internal", None, links=links, attributes=given, at=at, own=call_of(call))


def recording() -> bool:
    """Whether this process records spans at all."""
    return _tracing is not None


def refused(traceparent: object) -> bool:
    """Whether a span that goes on from *traceparent* is recorded only if it fails or is slow.

    Where there are many such it is cheaper to make none, and one when that has happened.
    """
    tracing = _tracing
    return tracing is None or (tracing.follows and isinstance(traceparent, str) and traceparent[-1:] in NOT_SAMPLED)


def unsampled(traceparent: str) -> str:
    """Return *traceparent* as one that is not sampled."""
    return f"{traceparent[:-2]}00"


def slow(seconds: float) -> bool:
    """Whether what took so long is recorded in any case."""
    return _tracing is not None and seconds * 1e9 >= _tracing.slow


def current_trace_id() -> str | None:
    """Return the trace of the span in whose block this is called."""
    return _tracing.current_trace_id() if _tracing else None


@asynccontextmanager
async def telemetry(service: str, endpoint: str, slow_seconds: float = SLOW_SECONDS) -> AsyncIterator[None]:
    """
    Record the spans of *service* and send them to the OTLP receiver at *endpoint*, if there is one.

    What took longer than *slow_seconds* is recorded even where it was not sampled.
    """
    global _tracing  # noqa: PLW0603 - one process, one receiver; passing it to every function would be the cost
    if not endpoint:
        yield
        return
    from parley.kit.tracing import Otlp  # noqa: PLC0415 - the SDK takes a tenth of a second to import

    tracing = Otlp(service, endpoint, slow_seconds)
    _tracing = tracing
    try:
        yield
    finally:
        _tracing = None
        await _flush(tracing)


async def _flush(tracing: Tracing) -> None:
    """Send the last spans, but do not wait long for a receiver that is away."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def close() -> None:
        tracing.close()
        if not loop.is_closed():
            loop.call_soon_threadsafe(done.set)

    # Not to_thread: the interpreter waits for that one, and a receiver that hangs would hold the process.
    threading.Thread(target=close, name="telemetry-flush", daemon=True).start()
    with suppress(TimeoutError):  # the spans are lost; the process is not
        await asyncio.wait_for(done.wait(), _FLUSH_SECONDS)
