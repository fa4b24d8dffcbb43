"""What dashboards and alerts ask for is told by a running Parley."""

import re

import httpx
from support.eventually import eventually
from support.instance import Instance
from support.otlp import OtlpReceiver
from support.queries import family, named
from support.watched import queries

SERVICES = ("gateway", "presence", "rooms", "history")


async def test_every_metric_of_dashboards_and_alerts_is_told(parley: Instance) -> None:
    told = set[str]()
    async with httpx.AsyncClient() as http:
        for service in SERVICES:
            address = parley.part(service)["http"]
            await http.get(f"http://{address}/readyz")
            text = (await http.get(f"http://{address}/metrics")).text
            told |= set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))

    asked = {metric for _, query in queries() for metric in named(query).metrics if metric.startswith("parley_")}
    assert len(asked) > 30
    assert {metric for metric in asked if metric not in told and family(metric) not in told} == set()


async def test_what_is_sent_is_what_prometheus_fetches(parley: Instance, traces: OtlpReceiver) -> None:
    """Of every service, by the same names."""
    for service in SERVICES:
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"http://{parley.part(service)['http']}/metrics")).text
        shown = set(re.findall(r"^(\w+?)(?:_count)?[ {]", text, re.MULTILINE))
        shown = {name for name in shown if not name.endswith(("_created", "_sum", "_bucket"))}

        def missing(service: str = service, shown: set[str] = shown) -> str | None:
            sent = {point.name for point in traces.points if point.service == f"parley-{service}"}
            return f"not sent: {shown - sent}" if shown - sent else None

        await eventually(missing)
