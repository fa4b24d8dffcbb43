"""The parts that watch the others: how they are started, and what the others must know of them."""

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from parley.cli import ask
from parley.cli.embedded.ports import LOOPBACK
from parley.cli.embedded.process import Program
from parley.cli.instance import Instance
from parley.cli.part import Check, Spec

OTLP_PORT = 4318
PROMETHEUS_PORT = 9090
KEPT = "1d"
SCRAPE_SECONDS = 5
OK = 200
NO_PROMETHEUS = (
    "not installed: install it (Debian: apt-get install prometheus) and start again, for metrics over time and alerts"
)


@dataclass(frozen=True)
class Observers:
    """What runs beside the services, with the environment that leads the services' traces there."""

    traces: str
    """``host:port`` of the viewer."""
    prometheus: str
    """``host:port``; empty if there is none."""
    folder: Path
    logs: Path

    @property
    def environ(self) -> Mapping[str, str]:
        """What services are told, so that every trace is recorded, whole and at once."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{self.traces}",
            "OTEL_TRACES_SAMPLER": "always_on",
            "OTEL_BSP_SCHEDULE_DELAY": "500",
            "HISTORY_TRACE_URL": f"http://{self.traces}/traces/{{traceId}}",
        }

    @property
    def addresses(self) -> tuple[tuple[str, str], ...]:
        """Where to look."""
        metrics = f"http://{self.prometheus}" if self.prometheus else NO_PROMETHEUS
        return (("Traces", f"http://{self.traces}"), ("Prometheus", metrics))

    def specs(self, services: Iterable[Spec]) -> tuple[Spec, ...]:
        """Return the parts; Prometheus is told where *services* tell their metrics."""
        port = self.traces.rpartition(":")[2]
        viewer = Program("traces", (sys.executable, "-m", "parley.cli.observe", port), self.logs / "traces.log")
        found = [Spec("traces", 0, lambda: viewer, _answers(self.traces, "/livez"), http=self.traces)]
        if self.prometheus:
            program = self._prometheus(services)
            check = _answers(self.prometheus, "/-/ready")
            found.append(Spec("prometheus", 0, lambda: program, check, http=self.prometheus))
        return tuple(found)

    def _prometheus(self, services: Iterable[Spec]) -> Program:
        home = self.folder / "prometheus"
        home.mkdir(exist_ok=True)
        file = home / "prometheus.yml"
        targets: dict[str, list[str]] = {}
        for service in services:
            if service.http:
                targets.setdefault(service.name, []).append(service.http)
        file.write_text(config(targets, alerts()))
        argv = (
            shutil.which("prometheus") or "prometheus",
            f"--config.file={file}",
            f"--storage.tsdb.path={home / 'data'}",
            f"--storage.tsdb.retention.time={KEPT}",
            f"--web.listen-address={self.prometheus}",
            "--enable-feature=exemplar-storage",
        )
        return Program("prometheus", argv, self.logs / "prometheus.log")


def observers(instance: Instance, port: Callable[[int], int]) -> Observers:
    """Return who shall watch *instance*; *port* gives a free one, the usual one that it is asked for where it can."""
    return Observers(
        traces=f"{LOOPBACK}:{port(OTLP_PORT)}",
        prometheus=f"{LOOPBACK}:{port(PROMETHEUS_PORT)}" if shutil.which("prometheus") else "",
        folder=instance.folder,
        logs=instance.logs,
    )


def config(targets: Mapping[str, Sequence[str]], rules: Path | None, seconds: int = SCRAPE_SECONDS) -> str:
    """Return a configuration of Prometheus that looks at *targets*, by job, with the alerts in the folder *rules*."""
    told = {
        "global": {
            "scrape_interval": f"{seconds}s",
            "scrape_timeout": f"{seconds}s",
            "evaluation_interval": f"{seconds}s",
        },
        "rule_files": [str(rules / "*.yaml")] if rules else [],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": there}]} for name, there in targets.items()
        ],
    }
    return json.dumps(told, indent=2)  # which is YAML, too


def alerts() -> Path | None:
    """Return the folder of our alerts, if this is a checkout."""
    folder = Path(__file__).resolve().parents[5] / "deploy" / "prometheus"
    return folder if folder.is_dir() else None


def _answers(http: str, path: str) -> Check:
    async def check(_pid: int) -> str | None:
        try:
            answer = await ask.get(http, path)
        except ConnectionRefusedError:
            return "does not listen yet"
        return None if answer.status == OK else answer.message

    return check
