"""Spans as they are kept, and how they are read out of what an OTLP exporter sends."""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from sys import intern
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

VALUE_CHARACTERS = 2000
"""A longer value of an attribute is cut: nobody reads it, and all of it would be kept."""
_IDS = {"traceId", "spanId", "parentSpanId"}
_KINDS = {number: name.removeprefix("SPAN_KIND_").lower() for name, number in ProtoSpan.SpanKind.items()}


class UnreadableError(ValueError):
    """What was sent is no OTLP."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that a span tells of a moment in it, such as an exception."""

    name: str
    at: int
    attributes: dict[str, str]


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work; times are nanoseconds since the epoch, ids hexadecimal as in a ``traceparent``."""

    service: str
    instance: str
    """Which process of the service it was."""
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the first span of a trace."""
    start: int
    end: int
    failed: bool
    reason: str
    """Why it failed, in its own words."""
    attributes: dict[str, str]
    happenings: tuple[Happening, ...]
    links: frozenset[str]
    """The traces that it points to."""
    size: int
    """About how many bytes it takes."""


def from_protobuf(body: bytes) -> list[Span]:
    """Read an export request as most exporters send it; raises UnreadableError."""
    try:
        return _spans(ExportTraceServiceRequest.FromString(body))
    except DecodeError as error:
        raise UnreadableError(f"This is no OTLP in protobuf: {error}") from error


def from_json(body: bytes) -> list[Span]:
    """Read an export request as browsers send it; raises UnreadableError."""
    request = ExportTraceServiceRequest()
    try:
        ParseDict(_with_ids(json.loads(body)), request, ignore_unknown_fields=True)
    except (ParseError, TypeError, ValueError, RecursionError) as error:  # a TypeError is for what is no object
        raise UnreadableError(f"This is no OTLP in JSON: {error}") from error
    return _spans(request)


def _with_ids(value: Any) -> Any:
    """Return *value* with its ids as protobuf's JSON has bytes: OTLP writes them in hexadecimal, against its rule."""
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(below)).decode()
            if key in _IDS and isinstance(below, str)
            else _with_ids(below)
            for key, below in value.items()
        }
    return [_with_ids(below) for below in value] if isinstance(value, list) else value


def _spans(request: ExportTraceServiceRequest) -> list[Span]:
    return [
        _span(_attributes(resource.resource.attributes), span)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _span(process: dict[str, str], span: ProtoSpan) -> Span:
    return Span(
        service=process.get("service.name", "?"),
        instance=process.get("service.instance.id", ""),
        name=_cut(span.name),
        kind=_KINDS.get(span.kind, "unspecified"),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start=span.start_time_unix_nano,
        end=max(span.end_time_unix_nano, span.start_time_unix_nano),
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
        reason=_cut(span.status.message),
        attributes=_attributes(span.attributes),
        happenings=tuple(
            Happening(_cut(event.name), event.time_unix_nano, _attributes(event.attributes)) for event in span.events
        ),
        links=frozenset(link.trace_id.hex() for link in span.links),
        size=2 * span.ByteSize() + 600,  # measured with spans of ours
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, str]:
    return {_cut(pair.key): _cut(_text(pair.value)) for pair in pairs}


def _cut(text: str) -> str:
    """Return what is kept of a text; most are those of other spans, too, and are kept once."""
    return intern(text[:VALUE_CHARACTERS])


def _text(value: AnyValue) -> str:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return ", ".join(_text(item) for item in value.array_value.values)
    return str(getattr(value, kind)) if kind else ""
