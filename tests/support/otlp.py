"""A receiver of traces and metrics: OTLP over HTTP, kept in memory for a test to read."""

import gzip
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric as ProtoMetric
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan


@dataclass(frozen=True)
class ReceivedSpan:
    """One span as it arrived; ids are hexadecimal, as in a ``traceparent``."""

    service: str
    instance: str
    """Which process of the service."""
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    """The trace ids of what it links to."""
    attributes: dict[str, Any]
    start: int
    end: int
    failed: bool
    said: str
    """Of its status, and of what was raised in it."""


@dataclass(frozen=True)
class ReceivedPoint:
    """One value of a metric as it arrived; of a histogram how often something was observed."""

    service: str
    instance: str
    name: str
    kind: str
    """``sum``, ``gauge`` or ``histogram``; only what grows comes as a sum or as a histogram."""
    unit: str
    description: str
    labels: dict[str, Any]
    value: float
    total: float = 0
    """Of what a histogram has observed."""
    buckets: dict[float, int] = field(default_factory=dict)
    """How much of it was not above a bound and above the one before; all that is above the last one is left out."""
    traces: tuple[str, ...] = ()
    """The trace ids of its exemplars."""


class OtlpReceiver:
    """
    Listens on a free port while entered.

        with OtlpReceiver() as receiver:
            ... OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint ...
            await eventually(lambda: not receiver.named("join"))
    """

    def __init__(self) -> None:
        self._spans: list[ReceivedSpan] = []
        self._readings: dict[str, list[ReceivedPoint]] = {}  # the newest of each process
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._spans, self._readings))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def endpoint(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT has to be."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def spans(self) -> list[ReceivedSpan]:
        """All that has arrived, in order of arrival."""
        return list(self._spans)

    @property
    def traces(self) -> dict[str, list[ReceivedSpan]]:
        """What has arrived, by trace, each in order of time."""
        found: dict[str, list[ReceivedSpan]] = defaultdict(list)
        for span in sorted(self._spans, key=lambda span: span.start):
            found[span.trace_id].append(span)
        return dict(found)

    @property
    def points(self) -> list[ReceivedPoint]:
        """The newest metrics of every process."""
        return [point for reading in list(self._readings.values()) for point in reading]

    def point(self, name: str, **labels: str) -> ReceivedPoint | None:
        """Return the newest value of a metric, if any has arrived."""
        return next((point for point in self.points if point.name == name and point.labels == labels), None)

    def named(self, name: str) -> list[ReceivedSpan]:
        """Return the spans of that name."""
        return [span for span in self._spans if span.name == name]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(spans: list[ReceivedSpan], readings: dict[str, list[ReceivedPoint]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/metrics":
                points = _points(ExportMetricsServiceRequest.FromString(body))
                readings[points[0].instance] = points
            else:
                spans.extend(_decoded(ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
            """Say nothing."""

    return Handler


def _decoded(request: ExportTraceServiceRequest) -> list[ReceivedSpan]:
    return [
        ReceivedSpan(
            service=str(_attributes(resource.resource.attributes).get("service.name", "")),
            instance=str(_attributes(resource.resource.attributes).get("service.instance.id", "")),
            name=span.name,
            kind=ProtoSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            links=tuple(link.trace_id.hex() for link in span.links),
            attributes=_attributes(span.attributes),
            start=span.start_time_unix_nano,
            end=span.end_time_unix_nano,
            failed=span.status.code == span.status.STATUS_CODE_ERROR,
            said="\n".join([span.status.message, *(str(_attributes(event.attributes)) for event in span.events)]),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _points(request: ExportMetricsServiceRequest) -> list[ReceivedPoint]:
    return [
        ReceivedPoint(
            service=str(_attributes(resource.resource.attributes).get("service.name", "")),
            instance=str(_attributes(resource.resource.attributes).get("service.instance.id", "")),
            name=metric.name,
            kind=str(metric.WhichOneof("data")),
            unit=metric.unit,
            description=metric.description,
            labels=_attributes(point.attributes),
            **_figures(metric, point),
        )
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in getattr(metric, str(metric.WhichOneof("data"))).data_points
    ]


def _figures(metric: ProtoMetric, point: Any) -> dict[str, Any]:
    if metric.HasField("gauge"):
        return {"value": _value_of(point)}
    kind = metric.sum if metric.HasField("sum") else metric.histogram
    assert kind.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    if metric.HasField("sum"):
        assert metric.sum.is_monotonic
        return {"value": _value_of(point)}
    assert sum(point.bucket_counts) == point.count
    return {
        "value": point.count,
        "total": point.sum,
        "buckets": dict(zip(point.explicit_bounds, point.bucket_counts, strict=False)),
        "traces": tuple(exemplar.trace_id.hex() for exemplar in point.exemplars),
    }


def _value_of(point: Any) -> float:
    return float(getattr(point, point.WhichOneof("value")))


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None
