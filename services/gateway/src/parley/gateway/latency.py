"""
How long what clients say is on its way: from its frame to the socket of whoever hears it.

This is counted for every delivery, and Prometheus' own histogram takes longer for it than all else that is done with
one. So here is a list of counts for each route, and what the page of metrics needs is made of it when somebody looks.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import accumulate
from time import time
from typing import Final

from msgspec import Struct
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

from parley.kit import metrics

NAME: Final = f"{metrics.PREFIX}gateway_delivery_seconds"
DOC: Final = (
    "From the arrival of a client's frame at its gateway until what follows from it was written to a socket here, by "
    "what it says; what a client missed and is told when it comes back is left out. Two clocks are read where the "
    "gateways are two: what seems to take less than no time counts as none. With tracing on, a bucket names a trace."
)

_BOUNDS: Final = metrics.LATENCIES
_LABELS: Final = [*(str(bound) for bound in _BOUNDS), "+Inf"]


class _Series(Struct):
    """What is known of one route."""

    counts: list[int]
    """By bucket, each without those below it."""
    exemplars: list[Exemplar | None]
    sum: float = 0.0


class Latencies(Collector):
    """The histogram. Its routes are the types of what gateways say: some twenty."""

    def __init__(self) -> None:
        self._series: dict[str, _Series] = {}

    def observe(self, route: str, seconds: float, count: int, traceparent: str | None = None) -> None:
        """Note that *count* clients were told after so many *seconds*; *traceparent* is of a trace that is recorded."""
        series = self._series.get(route)
        if series is None:
            series = self._series[route] = _Series([0] * len(_LABELS), [None] * len(_LABELS))
        if seconds < 0:  # to ask `max` takes longer than all of this
            seconds = 0.0
        bucket = bisect_left(_BOUNDS, seconds)
        series.counts[bucket] += count
        series.sum += seconds * count
        if traceparent is not None:
            names = {"trace_id": traceparent[3:35], "span_id": traceparent[36:52]}
            series.exemplars[bucket] = Exemplar(names, seconds, time())

    def describe(self) -> Iterable[Metric]:
        """Return what it is, without a value."""
        return [HistogramMetricFamily(NAME, DOC, labels=["route"])]

    def collect(self) -> Iterator[Metric]:
        """Yield what was counted so far."""
        family = HistogramMetricFamily(NAME, DOC, labels=["route"])
        for route, series in self._series.items():
            family.add_metric([route], list(_buckets(series)), series.sum)
        yield family


def _buckets(series: _Series) -> Iterator[tuple[str, float] | tuple[str, float, Exemplar]]:
    for label, height, exemplar in zip(_LABELS, accumulate(series.counts), series.exemplars, strict=True):
        yield (label, height) if exemplar is None else (label, height, exemplar)


LATENCIES: Final = Latencies()
metrics.REGISTRY.register(LATENCIES)
metrics.DEFINED.append(metrics.Definition(NAME, "histogram", DOC, ("route",)))


@lru_cache(maxsize=256)  # of the frames that come at a time, many have come in the same millisecond
def seconds_of(written: str) -> float | None:
    """Return a time as seconds since the epoch; None if it is none that we write."""
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment.timestamp()
