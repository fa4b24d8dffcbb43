"""Spans that are recorded: the OpenTelemetry SDK behind ``telemetry.py``, imported only where traces are wanted."""

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased
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

from parley.kit import resource
from parley.kit.telemetry import Attributes, Kind, Span, Unrecorded, Value

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
_NO_CONTEXT = Context()


class Otlp:
    """
    The spans of one process, on their way to an OTLP receiver.

    The SDK takes its time also for a span that the sampler refuses. So the sampler is asked first, and what it
    refuses is never made: with few calls sampled, the others cost hardly more than without tracing.
    """

    def __init__(self, service: str, endpoint: str) -> None:
        self._ids = _Ids()
        self._provider = TracerProvider(
            resource=Resource.create(resource.attributes(service)), shutdown_on_exit=False, id_generator=self._ids
        )
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("parley")
        self._follows_parent = isinstance(self._provider.sampler, ParentBased)

    def begin(
        self,
        name: str,
        kind: Kind,
        parent: str | None,
        *,
        links: Iterable[str],
        attributes: Attributes | None,
        at: int | None,
        own: str | None = None,
    ) -> Span:
        """Begin a span, now or *at* nanoseconds since the epoch; *own* is what its `traceparent` is to name."""
        if own is not None:
            return self._root(name, kind, own, links, attributes, at)
        if parent is not None and self._follows_parent and parent.endswith("-00"):
            return Unsampled(parent)
        remote = _context_of(parent) if parent is not None else None
        above = remote or trace.get_current_span().get_span_context()
        if not above.is_valid:
            trace_id = self._ids.generate_trace_id()
            if self._provider.sampler.should_sample(None, trace_id, name).decision is Decision.DROP:
                return Unsampled(f"00-{trace_id:032x}-{self._ids.generate_span_id():016x}-00")
            self._ids.prepared = trace_id
        elif self._follows_parent and not above.trace_flags.sampled:
            return Unsampled(_traceparent_of(above))
        return Recorded(
            self._tracer.start_span(
                name,
                context=trace.set_span_in_context(NonRecordingSpan(remote), _NO_CONTEXT) if remote else None,
                kind=_KINDS[kind],
                attributes=attributes,
                links=[Link(linked) for link in links if (linked := _context_of(link))],
                start_time=at,
                record_exception=False,
                set_status_on_exception=False,
            ),
        )

    def _root(
        self, name: str, kind: Kind, own: str, links: Iterable[str], attributes: Attributes | None, at: int | None
    ) -> Span:
        """Begin a trace whose ids are given."""
        here = _context_of(own)
        assert here is not None  # we have made it
        if self._provider.sampler.should_sample(None, here.trace_id, name).decision is Decision.DROP:
            return Unsampled(own[:-2] + "00")
        self._ids.prepared, self._ids.prepared_span = here.trace_id, here.span_id
        return Recorded(
            self._tracer.start_span(
                name,
                context=_NO_CONTEXT,
                kind=_KINDS[kind],
                attributes=attributes,
                links=[Link(linked) for link in links if (linked := _context_of(link))],
                start_time=at,
            )
        )

    def current_trace_id(self) -> str | None:
        """Return the trace of the span whose block this is."""
        current = trace.get_current_span().get_span_context()
        return f"{current.trace_id:032x}" if current.is_valid else None

    def close(self) -> None:
        """Send what is there, and end."""
        self._provider.shutdown()


class Unsampled(Unrecorded):
    """A span that the sampler refused: what happens in its block is not recorded either."""

    __slots__ = ("_token",)

    def __enter__(self) -> Self:
        here = _context_of(self.traceparent or "") or INVALID_SPAN_CONTEXT
        self._token = context.attach(trace.set_span_in_context(NonRecordingSpan(here)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None, /
    ) -> None:
        context.detach(self._token)


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
            self._span.record_exception(error)
            self._span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
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
