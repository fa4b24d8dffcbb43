"""
Metrics in OpenTelemetry's words, sent over HTTP: the SDK behind ``pushing.py``, imported only where that is wanted.

Names and labels stay those of ``/metrics``, a counter's ``_total`` too: Prometheus' own receiver of OTLP adds what a
name lacks, so both ways lead to one series. Nothing is counted twice for it: the SDK brings the form and the
transport, the numbers are those of ``metrics.py``.
"""

import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.environment_variables import OTEL_EXPORTER_OTLP_METRICS_ENDPOINT
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import Metric as Family
from prometheus_client.samples import Sample

from parley.kit import resource

_UNITS: Final = {"seconds": "s", "bytes": "By"}
"""By the last word of a name. What counts things has none: of a gauge in `1` others would make a ratio."""

_BEGAN: Final = time.time_ns()
"""Since when this process counts, closely enough: from nought, whatever is counted."""

_REASON_CHARACTERS: Final = 200

_says: Final = logging.getLogger(OTLPMetricExporter.__module__)


class Sender:
    """Puts readings into OpenTelemetry's form and sends them, which takes as long as the receiver does."""

    def __init__(self, service: str, endpoint: str) -> None:
        self._resource = Resource.create(resource.attributes(service))
        own = os.environ.get(OTEL_EXPORTER_OTLP_METRICS_ENDPOINT)
        self._exporter = OTLPMetricExporter(endpoint=own or f"{endpoint.rstrip('/')}/v1/metrics")
        self._reason = ""  # what the exporter has said last
        self._thread = 0  # the one that sends

    def send(self, families: Iterable[Family], now: int) -> str | None:
        """Send what was read at *now*, in nanoseconds since the epoch; return None, or why it has not arrived."""
        scope = ScopeMetrics(InstrumentationScope("parley"), list(converted(families, now)), "")
        data = MetricsData([ResourceMetrics(self._resource, [scope], "")])
        self._reason, self._thread = "", threading.get_ident()
        # The exporter says at each attempt what is wrong; whoever calls us says it once.
        _says.addFilter(self._heard)
        try:
            result = self._exporter.export(data)
        finally:
            _says.removeFilter(self._heard)
        if result is MetricExportResult.SUCCESS:
            return None
        return self._reason[:_REASON_CHARACTERS] or "It was not taken."

    def stop(self) -> None:
        """Try no more to send what is under way."""
        self._exporter.shutdown()

    def _heard(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread:
            return True
        self._reason = record.getMessage()
        return False


def converted(families: Iterable[Family], now: int) -> Iterator[Metric]:
    """Yield what Prometheus' client has collected in OpenTelemetry's form; what has no value yet is left out."""
    for family in families:
        data: Sum | Gauge | Histogram
        name = family.name
        if family.type == "counter":
            name = f"{name}_total"
            data = Sum(_numbers(family, name, now), AggregationTemporality.CUMULATIVE, is_monotonic=True)
        elif family.type == "histogram":
            data = Histogram(_histograms(family, now), AggregationTemporality.CUMULATIVE)
        else:
            data = Gauge(_numbers(family, name, now))
        if data.data_points:
            unit = _UNITS.get(name.removesuffix("_total").rpartition("_")[2], "")
            yield Metric(name, family.documentation, unit, data)


def _numbers(family: Family, name: str, now: int) -> list[NumberDataPoint]:
    return [
        NumberDataPoint(sample.labels, _BEGAN, now, sample.value, _exemplars([sample]))
        for sample in family.samples
        if sample.name == name
    ]


def _histograms(family: Family, now: int) -> list[HistogramDataPoint]:
    """Gather the samples of each histogram, whose buckets hold what is in the smaller ones, too."""
    buckets: dict[tuple[tuple[str, str], ...], list[Sample]] = defaultdict(list)
    sums: dict[tuple[tuple[str, str], ...], float] = {}
    for sample in family.samples:
        of = tuple((label, value) for label, value in sample.labels.items() if label != "le")
        if sample.name.endswith("_bucket"):
            buckets[of].append(sample)
        elif sample.name.endswith("_sum"):
            sums[of] = sample.value
    return [_histogram(dict(of), own, sums.get(of, 0.0), now) for of, own in buckets.items()]


def _histogram(labels: dict[str, str], buckets: Sequence[Sample], total: float, now: int) -> HistogramDataPoint:
    heights = [int(bucket.value) for bucket in buckets]
    return HistogramDataPoint(
        attributes=labels,
        start_time_unix_nano=_BEGAN,
        time_unix_nano=now,
        count=heights[-1],
        sum=total,
        bucket_counts=[here - below for below, here in zip([0, *heights], heights, strict=False)],
        explicit_bounds=[float(bucket.labels["le"]) for bucket in buckets[:-1]],  # the last one is without an end
        min=None,  # type: ignore[arg-type] # not known, and what is not given is not sent
        max=None,  # type: ignore[arg-type]
        exemplars=_exemplars(buckets),
    )


def _exemplars(samples: Iterable[Sample]) -> list[Exemplar]:
    return [
        Exemplar(
            {label: value for label, value in kept.labels.items() if label not in ("trace_id", "span_id")},
            float(kept.value),
            int(float(kept.timestamp or 0) * 1e9),
            _number(kept.labels.get("span_id")),
            _number(kept.labels.get("trace_id")),
        )
        for sample in samples
        if (kept := sample.exemplar)
    ]


def _number(id_: str | None) -> int | None:
    return int(id_, 16) if id_ else None
