"""
Metrics: what a process counts and measures, for Prometheus to fetch at ``/metrics`` beside the probes.

A service writes its metrics into one module, ``parley.<service>.metrics``, and what every process has is here. The
page ``docs/reference/metrics.md`` is written from these definitions, so a metric has its sentence where it is made.

    CREDENTIALS = counter("rooms_turn_credentials", "Credentials for TURN that were given out.")
    ...
    CREDENTIALS.inc()

What happens for every frame is tallied instead: to look up a label costs twenty times as much as to count.

Values of labels are few and known beforehand: a service, a route that is declared, an outcome. Never a name that a
client chose, or one client could fill the memory of all who store metrics.
"""

import asyncio
import gc
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, exposition, openmetrics
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

PREFIX: Final = "parley_"

LATENCIES: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds in seconds for what should take milliseconds."""

LOOK_SECONDS: Final = 0.25
"""How often the event loop is asked how late it is."""

OPEN_METRICS: Final = "application/openmetrics-text"

REGISTRY: Final = CollectorRegistry()
"""Of this process: one, as there is one address to fetch it from."""


class Definition(Struct, frozen=True):
    """What the page of metrics says of one."""

    name: str
    kind: str
    doc: str
    labels: tuple[str, ...]


DEFINED: Final[list[Definition]] = []
"""All metrics of this process, in the order in which they are made."""

Readings = Mapping[tuple[str, ...], float]
"""A value for each set of label values; `()` is that of a metric without labels."""

Values = Callable[[], Readings]
"""Gives the present ones."""


def counter(name: str, doc: str, *labels: str) -> Counter:
    """Return a new counter `parley_<name>_total`."""
    made = Counter(PREFIX + name, doc, labels, registry=REGISTRY)
    DEFINED.append(Definition(f"{PREFIX}{name}_total", "counter", doc, labels))
    return made


def gauge(name: str, doc: str, *labels: str) -> Gauge:
    """Return a new gauge `parley_<name>`, which is set when its value changes."""
    made = Gauge(PREFIX + name, doc, labels, registry=REGISTRY)
    DEFINED.append(Definition(PREFIX + name, "gauge", doc, labels))
    return made


def histogram(name: str, doc: str, *labels: str, buckets: Sequence[float] = LATENCIES) -> Histogram:
    """Return a new histogram `parley_<name>`; its name ends in the unit."""
    made = Histogram(PREFIX + name, doc, labels, buckets=buckets, registry=REGISTRY)
    DEFINED.append(Definition(PREFIX + name, "histogram", doc, labels))
    return made


class Asked(Collector):
    """A gauge whose values are asked for when somebody looks, and absent as long as nobody gives them."""

    def __init__(self, name: str, doc: str, labels: Sequence[str]) -> None:
        self.name = name
        self._doc = doc
        self._labels = labels
        self._givers: list[Values] = []

    @contextmanager
    def by(self, values: Values) -> Iterator[None]:
        """Ask *values* for the length of the block."""
        self._givers.append(values)
        try:
            yield
        finally:
            self._givers.remove(values)

    def describe(self) -> Iterable[Metric]:
        """Return what it is, without a value."""
        return [GaugeMetricFamily(self.name, self._doc, labels=self._labels)]

    def collect(self) -> Iterator[Metric]:
        """Yield what it is now."""
        family = GaugeMetricFamily(self.name, self._doc, labels=self._labels)
        for values in self._givers:
            for labels, value in values().items():
                family.add_metric(labels, value)
        yield family


def asked(name: str, doc: str, *labels: str) -> Asked:
    """Return a new gauge `parley_<name>` that is asked for its value when somebody looks."""
    collector = Asked(PREFIX + name, doc, labels)
    REGISTRY.register(collector)
    DEFINED.append(Definition(PREFIX + name, "gauge", doc, labels))
    return collector


class Tally(Collector):
    """A counter with one label for what is counted ten thousand times a second: a dict, and nothing around it."""

    def __init__(self, name: str, doc: str, label: str) -> None:
        self.counts: dict[str, int] = defaultdict(int)
        """By the value of the label."""
        self._new: Callable[[], CounterMetricFamily] = lambda: CounterMetricFamily(name, doc, labels=[label])

    def describe(self) -> Iterable[Metric]:
        """Return what it is, without a value."""
        return [self._new()]

    def collect(self) -> Iterator[Metric]:
        """Yield what was counted so far."""
        family = self._new()
        for value, count in self.counts.items():
            family.add_metric([value], count)
        yield family


def tally(name: str, doc: str, label: str) -> Tally:
    """Return a new counter `parley_<name>_total` for a hot path."""
    made = Tally(PREFIX + name, doc, label)
    REGISTRY.register(made)
    DEFINED.append(Definition(f"{PREFIX}{name}_total", "counter", doc, (label,)))
    return made


LOOP_LAG: Final = histogram(
    "loop_lag_seconds",
    "How late the event loop ran what was due, looked at four times a second. Above 0.1 a process is overloaded, or "
    "something blocks it.",
)
LOOP_LATEST: Final = gauge("loop_lag_latest_seconds", "The last reading of `parley_loop_lag_seconds`, for autoscaling.")
GARBAGE: Final = histogram(
    "garbage_collection_seconds", "Pauses of Python's garbage collector.", buckets=(0.001, 0.01, 0.05, 0.1, 0.5, 1.0)
)
ProcessCollector(namespace="parley", registry=REGISTRY)


def exposed(accept: str) -> tuple[bytes, str]:
    """Return all metrics and their content type: OpenMetrics with exemplars if *accept* takes it, else plain text."""
    if OPEN_METRICS in accept:
        rich = openmetrics.exposition
        return rich.generate_latest(REGISTRY), rich.CONTENT_TYPE_LATEST  # type: ignore[no-untyped-call] # left so
    return exposition.generate_latest(REGISTRY), exposition.CONTENT_TYPE_LATEST


@contextmanager
def measuring() -> Iterator[None]:
    """Measure the event loop and the garbage collector for the length of the block."""
    began = 0.0
    loop = asyncio.get_running_loop()

    def collected(phase: str, _info: Mapping[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = loop.time()
        else:
            GARBAGE.observe(loop.time() - began)

    gc.callbacks.append(collected)
    watch = asyncio.create_task(_watch(loop), name="loop lag")
    try:
        yield
    finally:
        watch.cancel()
        gc.callbacks.remove(collected)


async def _watch(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        due = loop.time() + LOOK_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
        late = max(0.0, loop.time() - due)
        LOOP_LAG.observe(late)
        LOOP_LATEST.set(late)
