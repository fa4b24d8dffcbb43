"""A real Prometheus with the hurried rules, and what it says of alerts, as it happens."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from support.eventually import eventually

from parley.cli.embedded.ports import LOOPBACK, free_port
from parley.cli.embedded.process import Process, Program
from parley.cli.observe.parts import config

LOOK_SECONDS = 0.25


class Watcher:
    """Follows the alerts of one Prometheus."""

    def __init__(self, http: httpx.AsyncClient, waiting: frozenset[str]) -> None:
        """*waiting* are the alerts that Prometheus waits with (`for`): they are pending before they fire."""
        self.ever: set[str] = set()
        """What has fired at any time."""
        self._waiting = waiting
        self._http = http
        self._active: list[dict[str, Any]] = []
        self._pending: dict[str, float] = {}

    async def look(self) -> None:
        """Ask for ever."""
        while True:
            answer = (await self._http.get("/api/v1/alerts")).json()
            self._active = answer["data"]["alerts"]
            for alert in self._active:
                name = alert["labels"]["alertname"]
                if alert["state"] == "pending":
                    self._pending.setdefault(name, time.monotonic())
                else:
                    self.ever.add(name)
            await asyncio.sleep(LOOK_SECONDS)

    def active(self, name: str = "", state: str = "", **labels: str) -> list[dict[str, Any]]:
        """Return the alerts that are pending or firing now."""
        return [
            alert
            for alert in self._active
            if name in ("", alert["labels"]["alertname"])
            and state in ("", alert["state"])
            and labels.items() <= alert["labels"].items()
        ]

    async def settled(self, within: float) -> None:
        """Wait until everything is scraped, and every rule was evaluated without an error."""

        async def wrong() -> list[str]:
            targets = (await self._http.get("/api/v1/targets")).json()["data"]["activeTargets"]
            groups = (await self._http.get("/api/v1/rules")).json()["data"]["groups"]
            rules = [rule for group in groups for rule in group["rules"]]
            return [
                *(f"{target['labels']}: {target['health']}" for target in targets if target["health"] != "up"),
                *(f"{rule['name']}: {rule['health']}" for rule in rules if rule["health"] != "ok"),
            ]

        await eventually(wrong, within, pause=LOOK_SECONDS)

    async def silent(self, within: float) -> None:
        """Wait until no alert is even pending."""
        await eventually(lambda: [str(alert["labels"]) for alert in self.active()], within, pause=LOOK_SECONDS)

    async def fires(self, name: str, within: float, **labels: str) -> str:
        """Wait until an alert fires, after having been pending if it is to wait; return what it says."""
        await eventually(
            lambda: None if self.active(name, "firing", **labels) else f"{name} {labels} does not fire: {self._told()}",
            within,
            pause=LOOK_SECONDS,
        )
        assert name not in self._waiting or name in self._pending, f"{name} fired without having been pending"
        return str(self.active(name, "firing", **labels)[0]["annotations"]["summary"])

    async def resolves(self, name: str, within: float) -> None:
        """Wait until an alert is neither pending nor firing."""
        await eventually(
            lambda: f"{name} goes on: {self._told()}" if self.active(name) else None, within, pause=LOOK_SECONDS
        )
        self._pending.pop(name, None)

    def _told(self) -> list[str]:
        return [f"{alert['labels']['alertname']} {alert['state']}" for alert in self._active]


@asynccontextmanager
async def watching(
    program: str,
    folder: Path,
    targets: Mapping[str, Sequence[str]],
    rules: Path,
    more: Sequence[dict[str, Any]],
    waiting: frozenset[str],
) -> AsyncIterator[Watcher]:
    """Run Prometheus for the length of the block; *more* are further things for it to scrape."""
    address = f"{LOOPBACK}:{free_port(LOOPBACK, taken=set())}"
    told = json.loads(config(targets, rules, seconds=1))
    told["scrape_configs"] += more
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(told))
    argv = (
        program,
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={address}",
    )
    process = Process(Program("prometheus", argv, folder / "prometheus.log"))
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=10) as http:

            async def missing() -> str | None:
                answer = await http.get("/-/ready")
                return None if answer.is_success else answer.text

            await eventually(missing)
            watcher = Watcher(http, waiting)
            looking = asyncio.create_task(watcher.look())
            try:
                yield watcher
            finally:
                looking.cancel()
                await asyncio.wait({looking})
    finally:
        await process.stop()
