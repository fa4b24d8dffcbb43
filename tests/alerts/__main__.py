"""
``make alerts-test``: every alert fires once, because what it warns of is the case, and ends when that has ended.

A real Parley, a real Prometheus with a copy of our rules in which time runs faster (sooner.py), and a blackbox exporter
for the certificate. Needs Debian's `prometheus` and `prometheus-blackbox-exporter`; takes about eight minutes.
``ARGS="ParleyEventsLost outage"`` shows only those; ``outage`` are the five while PostgreSQL is away.
"""

import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from alerts import conditions, sooner
from alerts.conditions import Certificate, Stage
from alerts.watcher import Watcher, watching
from support.instance import REAL, Instance

from parley.cli.embedded import Postgres, Server
from parley.cli.embedded.ports import LOOPBACK, free_port
from parley.cli.embedded.process import Process, Program
from parley.cli.observe.parts import alerts as folder_of_alerts

SERVICES = ("gateway", "presence", "rooms", "history")
FIRES_SECONDS = 90.0
ENDS_SECONDS = 120.0
CERTIFICATE_SECONDS = 240.0
"""Its alert waits for an hour, which are three minutes here."""

BEGAN = time.monotonic()


def tell(words: str) -> None:
    sys.stdout.write(f"{time.monotonic() - BEGAN:6.1f} s  {words}\n")
    sys.stdout.flush()


async def act(watcher: Watcher, condition: AbstractAsyncContextManager[Any], name: str, *ways: dict[str, str]) -> None:
    """Show that an alert fires under a condition, with the labels of each of its *ways*, and ends after it."""
    async with condition:
        for labels in ways or ({},):
            tell(f"{name} fires: {await watcher.fires(name, FIRES_SECONDS, **labels)}")
    await watcher.resolves(name, ENDS_SECONDS)
    tell(f"{name} has ended")


async def outage(stage: Stage, watcher: Watcher) -> None:
    """Show the five that follow one another while PostgreSQL is away."""
    async with conditions.postgresql_is_away(stage) as kill_gateway:
        tell("PostgreSQL is away")
        for name, labels in (
            ("ParleyProcessNotReady", {"need": "postgres"}),
            ("ParleyDatabaseBehind", {"job": "rooms"}),
            ("ParleyHistoryBehind", {}),
        ):
            tell(f"{name} fires: {await watcher.fires(name, FIRES_SECONDS, **labels)}")
        await kill_gateway()
        tell("owners stand still, and a gateway was killed")
        for name in ("ParleyStreamLag", "ParleyGhostLeases"):
            tell(f"{name} fires: {await watcher.fires(name, 2 * FIRES_SECONDS, job='rooms')}")
    tell("PostgreSQL is back")
    for name in (
        "ParleyProcessNotReady",
        "ParleyDatabaseBehind",
        "ParleyHistoryBehind",
        "ParleyStreamLag",
        "ParleyGhostLeases",
    ):
        await watcher.resolves(name, ENDS_SECONDS)
        tell(f"{name} has ended")


async def certificate(stage: Stage, watcher: Watcher) -> None:
    async with conditions.certificate_is_not_renewed(stage):
        said = await watcher.fires("ParleyCertificateExpiry", CERTIFICATE_SECONDS)
        tell(f"ParleyCertificateExpiry fires: {said}")
    await watcher.resolves("ParleyCertificateExpiry", ENDS_SECONDS)
    tell("ParleyCertificateExpiry has ended")


async def play(stage: Stage, watcher: Watcher, wanted: Sequence[str]) -> bool:
    """Bring about one condition after the other, and that of the certificate beside them; return whether all did."""
    acts: dict[str, Callable[[], Awaitable[None]]] = {
        "ParleyResumeFailures": lambda: act(
            watcher, conditions.clients_come_back_too_late(stage), "ParleyResumeFailures"
        ),
        "ParleyTurnErrors": lambda: act(watcher, conditions.media_finds_no_path(stage), "ParleyTurnErrors"),
        "ParleyEventsLost": lambda: act(
            watcher,
            conditions.another_version_speaks(stage),
            "ParleyEventsLost",
            {"reason": "unreadable", "job": "gateway"},
            {"reason": "parked", "job": "history"},
        ),
        "ParleyPartMissing": lambda: act(
            watcher, conditions.all_of_history_hangs(stage), "ParleyPartMissing", {"part": "history"}
        ),
        "ParleyJoinSlow": lambda: act(watcher, conditions.rooms_has_too_little_cpu(stage), "ParleyJoinSlow"),
        "outage": lambda: outage(stage, watcher),
    }
    failures = []

    async def show(begin: Callable[[], Awaitable[None]]) -> None:
        try:
            await begin()
        except AssertionError as failure:  # the others are to be seen all the same
            tell(str(failure))
            failures.append(failure)

    async with asyncio.TaskGroup() as group:
        if not wanted or "ParleyCertificateExpiry" in wanted:
            group.create_task(show(lambda: certificate(stage, watcher)))
        for name, begin in acts.items():
            if not wanted or name in wanted:
                await show(begin)
    return not failures


async def main(program: str, blackbox: str, folder: Path, wanted: Sequence[str]) -> int:
    shipped = folder_of_alerts()
    assert shipped, "the alerts are in deploy/prometheus of a checkout"
    sooner.write(shipped, folder / "rules")
    rules = [rule for file in shipped.glob("*.yaml") for rule in _rules(file)]
    shown = Certificate(folder)
    postgres = Server(Postgres(folder / "postgres", durable=False))
    await postgres.start()
    parley = Instance(folder / "data", up=REAL, DATABASE_URL=postgres.url)
    try:
        await parley.start("--scale", "gateway=2")
        tell("Parley is up")
        stage = Stage(parley, postgres, shown)
        async with (
            shown.shown(),
            probing(blackbox, folder, shown.address) as job,
            watching(
                program,
                folder,
                {name: stage.http(name) for name in SERVICES},
                folder / "rules",
                [job],
                frozenset(rule["alert"] for rule in rules if "for" in rule),
            ) as watcher,
        ):
            await watcher.settled(60)
            await watcher.silent(60)
            tell("no alert fires while all is well")
            seen = await play(stage, watcher, wanted)
    finally:
        await parley.stop()
        await postgres.kill()
    if wanted:
        return 0 if seen else 1
    never = sorted({rule["alert"] for rule in rules} - watcher.ever)
    tell("every alert has fired" if not never else f"did not fire: {', '.join(never)}")
    return 0 if seen and not never else 1


@asynccontextmanager
async def probing(blackbox: str, folder: Path, target: str) -> AsyncIterator[dict[str, Any]]:
    """Run a blackbox exporter that looks at a certificate, and give what Prometheus is to be told of it."""
    address = f"{LOOPBACK}:{free_port(LOOPBACK, taken=set())}"
    module = {"prober": "tcp", "tcp": {"tls": True, "tls_config": {"insecure_skip_verify": True}}}
    file = folder / "blackbox.yml"
    file.write_text(json.dumps({"modules": {"tls": module}}))
    argv = (blackbox, f"--config.file={file}", f"--web.listen-address={address}")
    process = Process(Program("blackbox", argv, folder / "blackbox.log"))
    try:
        yield {
            "job_name": "front-door",
            "metrics_path": "/probe",
            "params": {"module": ["tls"]},
            "static_configs": [{"targets": [target]}],
            "relabel_configs": [
                {"source_labels": ["__address__"], "target_label": "__param_target"},
                {"source_labels": ["__param_target"], "target_label": "instance"},
                {"target_label": "__address__", "replacement": address},
            ],
        }
    finally:
        await process.stop()


def _rules(file: Path) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


if __name__ == "__main__":
    found = [shutil.which(name) for name in ("prometheus", "prometheus-blackbox-exporter")]
    if None in found or shutil.which("openssl") is None:
        sys.stderr.write(
            "This needs Prometheus, its blackbox exporter and openssl "
            "(Debian: `apt-get install prometheus prometheus-blackbox-exporter openssl`).\n"
        )
        sys.exit(1)
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(asyncio.run(main(str(found[0]), str(found[1]), Path(temporary), sys.argv[1:])))
