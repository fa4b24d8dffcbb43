"""
The page of all metrics, written from their definitions.

    python -m parley.kit.metrics_page parley.gateway parley.rooms > docs/reference/metrics.md
"""

import sys
from collections.abc import Iterable
from importlib import import_module

from parley.kit.metrics import DEFINED, PREFIX, Definition

_HEAD = """\
# Metrics

Every process tells its metrics at `/metrics` on its HTTP port, beside its probes, in Prometheus' text or, to whoever
asks for it, in OpenMetrics with exemplars. No front door passes that path on. Besides those below there are
`parley_process_*`: CPU, memory and open files of the process.

With `OTEL_METRICS_EXPORTER=otlp` each process also sends them to the receiver at `OTEL_EXPORTER_OTLP_ENDPOINT`
(OpenTelemetry's protocol over HTTP), every `OTEL_METRIC_EXPORT_INTERVAL` milliseconds (60000) and once more as it
ends: the same names, labels and values, sums since the start of the process. A name that ends in `_seconds` or
`_bytes` has the unit `s` or `By`. The resource is that of the process's traces: `service.name` (`parley-gateway`),
`service.namespace` (`parley`) and `service.instance.id`. A receiver that is away gets one line in the log and holds
nothing up; when it is back it gets the sums, so nothing is lost but the minutes between.
`OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` sends metrics elsewhere than traces, and `OTEL_EXPORTER_OTLP_HEADERS`,
`_TIMEOUT`, `_COMPRESSION` hold as OpenTelemetry says. The default is `prometheus`, not OpenTelemetry's `otlp`: many
receivers take traces alone, and one Prometheus that fetched metrics and got them from a collector, too, would count
everything twice.

Values of labels are few and known beforehand; no client can add one. (Written by `make schema` from the definitions.)
"""


def page(packages: Iterable[str]) -> str:
    """Return the page, in Markdown, for the services in *packages*."""
    names = []
    for package in packages:
        import_module(f"{package}.__main__")
        names.append(package.rpartition(".")[2])
    own = {name: [each for each in DEFINED if each.name.startswith(f"{PREFIX}{name}_")] for name in names}
    shared = [each for each in DEFINED if not any(each in those for those in own.values())]
    sections = [_HEAD, f"## Any service\n\n{_table(shared)}"]
    sections += [f"## {name.capitalize()}\n\n{_table(those)}" for name, those in own.items() if those]
    return "\n".join(sections)


def _table(metrics: Iterable[Definition]) -> str:
    rows = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    rows += [
        f"| `{each.name}` | {each.kind} | {', '.join(f'`{label}`' for label in each.labels)} | {each.doc} |"
        for each in sorted(metrics, key=lambda each: each.name)
    ]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page(sys.argv[1:]))
