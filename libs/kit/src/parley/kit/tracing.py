"""Spans that are recorded: the OpenTelemetry SDK behind ``telemetry.py``, imported only where traces are wanted."""

import time
from collections.abc import Iterable
from random import randbytes
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self

from msgspec import Struct
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

from parley.kit import discretion, resource
from parley.kit.flow import Flow, Rate
from parley.kit.telemetry import NOT_SAMPLED, Described, Kind, Span, Value, described, unsampled

if TYPE_CHECKING:
    from contextvars import Token

_KINDS: dict[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}
_PARTS = 4

Reason = Literal["error", "slow"]

KEPT: Final = Rate(per_second=100, burst=200)
"""How many spans are recorded for being slow or wrong alone: when all is, the recording must not make it worse."""
_NO_CONTEXT = Context()


class Otlp:
    """
    The spans of one process, on their way to an OTLP receiver.

    The SDK takes its time also for a span that the sampler refuses. So the sampler is asked first, and what it
    refuses is never made, unless it ends badly: with few calls sampled, the others cost hardly more than without
    tracing.
    """

    def __init__(self, service: str, endpoint: str, slow_seconds: float) -> None:
        self.slow = int(slow_seconds * 1e9)
        """In nanoseconds."""
        self._ids = _Ids()
        about = Resource.create(resource.attributes(service))
        exporter = BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces"))
        self._provider = TracerProvider(resource=about, shutdown_on_exit=False, id_generator=self._ids)
        self._provider.add_span_processor(exporter)
        self._tracer = self._provider.get_tracer("parley")
        keeper = TracerProvider(ALWAYS_ON, about, shutdown_on_exit=False, id_generator=self._ids)
        keeper.add_span_processor(exporter)
        self._keeper = keeper.get_tracer("parley")
        self._kept = Flow(KEPT, time.monotonic())
        self.follows = isinstance(self._provider.sampler, ParentBased)
        self._bound = _bound(self._provider.sampler)

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
        """Begin a span; see `telemetry.span`, `telemetry.messaging` and `telemetry.span_of_call`."""
        began = time.time_ns() if at is None else at
        if parent is not None and self.follows and parent[-1:] in NOT_SAMPLED:
            return Unsampled(self, parent, name, kind, attributes, links, began, began if since is None else since)
        remote = _context_of(parent) if parent is not None else None
        above = remote or trace.get_current_span().get_span_context()
        begun = Unsampled(self, "", name, kind, attributes, links, began, began if since is None else since)
        if own is not None or not above.is_valid:
            begun.traceparent = own = own or _fresh()
            if self._samples(own, name):
                return self._recorded(self._tracer, begun, own=own)
            begun.traceparent = unsampled(own)
            begun.own = True
        elif above.trace_flags.sampled or not self.follows:
            return self._recorded(self._tracer, begun, above)
        else:
            begun.traceparent = _traceparent_of(above)
        return begun

    def keep(self, span: "Unsampled", reason: Reason) -> "Recorded | None":
        """Begin a span that was not sampled after all; None if too many were lately."""
        if not self._kept.take(time.monotonic()):
            return None
        if span.own:
            kept = self._recorded(self._keeper, span, own=span.traceparent)
        else:
            kept = self._recorded(self._keeper, span, _context_of(span.traceparent or ""))
        kept.set("parley.kept", reason)
        return kept

    def _samples(self, own: str, name: str) -> bool:
        """Whether a trace that begins here is recorded."""
        if self._bound is not None:
            return own[19:35] < self._bound  # both have all their digits
        return self._provider.sampler.should_sample(None, int(own[3:35], 16), name).decision is not Decision.DROP

    def _recorded(
        self, tracer: trace.Tracer, begun: "Unsampled", above: SpanContext | None = None, own: str | None = None
    ) -> "Recorded":
        around = _NO_CONTEXT if above is None else trace.set_span_in_context(NonRecordingSpan(above), _NO_CONTEXT)
        if own is not None:
            self._ids.prepared, self._ids.prepared_span = int(own[3:35], 16), int(own[36:52], 16)
        return Recorded(
            tracer.start_span(
                begun.name,
                context=around,
                kind=_KINDS[begun.kind],
                attributes=described(begun.attributes),
                links=[Link(linked) for link in begun.links if (linked := _context_of(link))],
                start_time=begun.began,
                record_exception=False,
                set_status_on_exception=False,
            ),
        )

    def current_trace_id(self) -> str | None:
        """Return the trace of the span whose block this is."""
        current = trace.get_current_span().get_span_context()
        return f"{current.trace_id:032x}" if current.is_valid else None

    def close(self) -> None:
        """Send what is there, and end."""
        self._provider.shutdown()


class Unsampled(Struct, gc=False):
    """A span that the sampler refused: it is made after all if it fails or takes too long.

    There is one for nearly every frame, so it is of the kind that is made fastest and does not ask the garbage
    collector for anything. So nothing that it holds may know it for long: see `end`.
    """

    tracing: Otlp
    traceparent: str | None
    name: str
    kind: Kind
    attributes: Described
    links: Iterable[str]
    began: int
    """Nanoseconds since the epoch."""
    since: int
    """When the work began that may be slow, which may be before."""
    own: bool = False
    """Whether `traceparent` names this span, and not the one above it."""
    recording: bool = False
    """Until it is made after all."""
    error: str | Exception | None = None
    token: "Token[Context] | None" = None
    """While its block is entered."""

    def set(self, key: str, value: Value) -> None:
        """Keep it for the case."""
        self.attributes = {**described(self.attributes), key: value}

    def rename(self, name: str) -> None:
        """Call it *name*, once it is known what it was."""
        self.name = name

    def link(self, traceparent: str) -> None:
        """Keep it for the case."""
        self.links = [*self.links, traceparent]

    def fail(self, error: str) -> None:
        """Have it recorded."""
        self.error = error

    def end(self, at: int | None = None) -> None:
        """End it; it is recorded now if there is a reason."""
        error, self.error = self.error, None  # one that was raised knows the frames that know this
        if error is None and (time.time_ns() if at is None else at) - self.since < self.tracing.slow:
            return
        kept = self.tracing.keep(self, "slow" if error is None else "error")
        if kept is None:
            return
        self.recording = True
        if isinstance(error, Exception):
            kept.raised(error)
        elif error is not None:
            kept.fail(error)
        kept.end(at)

    def __enter__(self) -> Self:
        here = _context_of(self.traceparent or "") or INVALID_SPAN_CONTEXT
        self.token = context.attach(trace.set_span_in_context(NonRecordingSpan(here)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None, /
    ) -> None:
        if self.token is not None:
            context.detach(self.token)
        if isinstance(error, Exception):
            self.error = error
        self.end()


class Recorded:
    """A span of the SDK."""

    __slots__ = ("_span", "_token", "recording", "traceparent")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token: Token[Context] | None = None
        self.recording = span.is_recording()
        self.traceparent: str | None = _traceparent_of(span.get_span_context())

    def set(self, key: str, value: Value) -> None:
        """Add an attribute."""
        self._span.set_attribute(key, value)

    def rename(self, name: str) -> None:
        """Call it *name*, once it is known what it was."""
        self._span.update_name(name)

    def link(self, traceparent: str) -> None:
        """Link it to another trace."""
        if linked := _context_of(traceparent):
            self._span.add_link(linked)

    def fail(self, error: str) -> None:
        """Mark it: it ended in an *error*."""
        self._span.set_attribute("error.type", error)
        self._span.set_status(Status(StatusCode.ERROR, error))

    def raised(self, error: Exception) -> None:
        """Mark it: this was raised in it. Of its words a trace has no more than a log would, it is read as widely."""
        said = discretion.told(error)
        happened = {
            "exception.type": type(error).__qualname__,
            "exception.message": said,
            "exception.stacktrace": discretion.trace_of(error),
        }
        self._span.add_event("exception", happened)
        self._span.set_status(Status(StatusCode.ERROR, said))

    def end(self, at: int | None = None) -> None:
        """End it, now or *at* nanoseconds since the epoch."""
        self._span.end(at)

    def __enter__(self) -> Self:
        self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None, /
    ) -> None:
        if self._token is not None:
            context.detach(self._token)
        if isinstance(error, Exception):  # a cancellation is how things end here, no failure
            self.raised(error)
        self._span.end()


class _Ids(RandomIdGenerator):
    """Gives the ids that are chosen already to the span that is then made."""

    prepared = 0
    prepared_span = 0

    def generate_trace_id(self) -> int:
        """Return the prepared id once, else a new one."""
        prepared, self.prepared = self.prepared, 0
        return prepared or super().generate_trace_id()

    def generate_span_id(self) -> int:
        """Return the prepared id once, else a new one."""
        prepared, self.prepared_span = self.prepared_span, 0
        return prepared or super().generate_span_id()


def _fresh() -> str:
    """Return the `traceparent` of a new trace."""
    ids = randbytes(24).hex()  # noqa: S311 - no secret
    return f"00-{ids[:32]}-{ids[32:]}-01"


def _bound(sampler: Sampler) -> str | None:
    """Return below what, in hexadecimal, the lower half of a new trace's id is sampled, if *sampler* decides so.

    To ask the sampler itself takes ten times as long as all the rest for a span that it refuses.
    """
    root = getattr(sampler, "_root", sampler)
    return f"{root.bound:016x}" if type(root) is TraceIdRatioBased and root.rate < 1 else None


def _traceparent_of(here: SpanContext) -> str:
    return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"


def _context_of(traceparent: str) -> SpanContext | None:
    """Return what a traceparent names, or nothing if it is none: it may come from a client."""
    parts = traceparent.split("-")
    if len(parts) < _PARTS or [len(part) for part in parts[:_PARTS]] != [2, 32, 16, 2]:
        return None
    try:
        trace_id, span_id, flags = (int(part, 16) for part in parts[1:_PARTS])
    except ValueError:
        return None
    found = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return found if found.is_valid else None
