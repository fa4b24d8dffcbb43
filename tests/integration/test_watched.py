"""What dashboards and alerts ask for is told by a running Parley."""

import re

import httpx
from support.instance import Instance
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
