"""The traces that are kept: the latest, up to so many bytes. Nothing of it is written down."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from parley.cli.observe.spans import Span
from parley.kit.about import CALL
from parley.kit.telemetry import trace_of

KEPT_BYTES = 64 * 1024 * 1024
"""Some 50,000 spans: ten thousand requests, or an afternoon of trying things out."""
SPANS_OF_A_TRACE = 2000
SLOW_NANOSECONDS = 100_000_000
"""A tenth of a second, ten times what a request takes on an idle machine."""


@dataclass(slots=True)
class Trace:
    """What has arrived of one trace."""

    id: str
    of_id: dict[str, Span] = field(default_factory=dict)
    size: int = 0
    left_out: int = 0
    """How many spans came when it had as many as we keep."""

    @property
    def spans(self) -> list[Span]:
        """Its spans, in order of arrival."""
        return list(self.of_id.values())

    def add(self, span: Span) -> int:
        """Keep a span, in place of what has come of it before; return by how many bytes it has grown."""
        before = self.of_id.get(span.span_id)
        if before is None and len(self.of_id) == SPANS_OF_A_TRACE:
            self.left_out += 1
            return 0
        self.of_id[span.span_id] = span
        grown = span.size - (before.size if before else 0)
        self.size += grown
        return grown

    @property
    def start(self) -> int:
        """When its first span began."""
        return min(span.start for span in self.spans)

    @property
    def nanoseconds(self) -> int:
        """From the beginning of its first to the end of its last span."""
        return max(span.end for span in self.spans) - self.start

    @property
    def failed(self) -> bool:
        """Whether anything of it failed."""
        return any(span.failed for span in self.spans)

    @property
    def first(self) -> Span:
        """The span that it began with, as far as that has arrived."""
        return min(self.spans, key=lambda span: (span.parent_id in self.of_id, span.start))

    @property
    def services(self) -> list[str]:
        """Who took part, in order of appearance."""
        return list(dict.fromkeys(span.service for span in sorted(self.spans, key=lambda span: span.start)))

    def links_to(self, trace_id: str) -> bool:
        """Return whether one of its spans points to another trace."""
        return any(trace_id in span.links for span in self.spans)

    def told(self, attribute: str) -> list[str]:
        """Return the values that its spans have for an attribute."""
        return list(dict.fromkeys(span.attributes[attribute] for span in self.spans if attribute in span.attributes))

    def has(self, text: str) -> bool:
        """Return whether *text* is in a name or a value of it, or begins its id."""
        return self.id.startswith(text) or any(
            text in span.name or text in span.service or any(text in value for value in span.attributes.values())
            for span in self.spans
        )


class Traces:
    """All that are kept, oldest first by when they last grew. Not for several threads at once."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._traces: dict[str, Trace] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._traces)

    def add(self, spans: Iterable[Span]) -> None:
        """Keep *spans*, and let the oldest traces go for them."""
        for span in spans:
            trace = self._traces.pop(span.trace_id, None) or Trace(span.trace_id)
            self._traces[span.trace_id] = trace
            self._size += trace.add(span)
        while self._size > self._kept_bytes:
            oldest = next(iter(self._traces))
            self._size -= self._traces.pop(oldest).size

    def get(self, trace_id: str) -> Trace | None:
        """Return what there is of one."""
        return self._traces.get(trace_id)

    def found(self, text: str = "", *, failed: bool = False, slow: bool = False) -> Iterator[Trace]:
        """Give those with *text* in them, the latest first; only the *failed* or *slow* ones if so wished."""
        call = self.of_call(trace_of(text)) if text else []
        known = {trace.id for trace in call}
        for trace in reversed(self._traces.values()):
            if (
                (trace.id in known or trace.has(text))
                and (not failed or trace.failed)
                and (not slow or trace.nanoseconds >= SLOW_NANOSECONDS)
            ):
                yield trace

    def of_call(self, trace_id: str) -> list[Trace]:
        """
        Return what a call consists of, if *trace_id* is its own trace, which its id leads to; else only that trace.

        Its own trace has one span, once it has ended. What members asked for are traces of their own, that point to it.
        """
        own = self._traces.get(trace_id)
        pointing = [trace for trace in self._traces.values() if trace.id != trace_id and trace.links_to(trace_id)]
        told = [call for trace in (*([own] if own else []), *pointing) for call in trace.told(CALL)]
        if trace_id not in {trace_of(call) for call in told}:
            return [own] if own else []
        linked = [trace for trace in self._traces.values() if own and trace not in pointing and own.links_to(trace.id)]
        return sorted([*([own] if own else []), *pointing, *linked], key=lambda trace: trace.start)


def in_order(trace: Trace) -> list[tuple[int, Span]]:
    """Return the spans of a trace as a tree is read, each with its depth; what is its own ancestor comes last."""
    children: dict[str, list[Span]] = {}
    for span in sorted(trace.spans, key=lambda span: span.start, reverse=True):
        children.setdefault(span.parent_id if span.parent_id in trace.of_id else "", []).append(span)
    ordered: list[tuple[int, Span]] = []
    to_do = [(0, span) for span in children.pop("", [])]
    while to_do or children:
        if not to_do:
            to_do = [(0, span) for span in children.pop(next(iter(children)))]
        depth, span = to_do.pop()
        ordered.append((depth, span))
        to_do.extend((depth + 1, child) for child in children.pop(span.span_id, []))
    return ordered
