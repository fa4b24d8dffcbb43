"""How far behind history is, read as Prometheus reads it, of the Parley that others use as well."""

import re

import httpx
from support.eventually import eventually
from support.instance import Instance

from parley.client import connect


def value(told: str, metric: str) -> float:
    """Return the value of a metric without labels, which has to be there."""
    found = re.search(rf"^{metric} (\S+)$", told, re.MULTILINE)
    assert found, f"nothing is told of {metric}"
    return float(found[1])


async def test_events_are_counted_until_they_are_written(parley: Instance) -> None:
    address = parley.part("history")["http"]
    async with httpx.AsyncClient(base_url=f"http://{address}") as http:

        async def told() -> str:
            return (await http.get("/metrics")).text

        before = value(await told(), "parley_history_events_total")
        async with connect(parley.url.replace("http", "ws", 1)) as client:
            await client.join("recorded")

        async def counted() -> None:
            now = await told()
            assert value(now, "parley_history_events_total") > before
            assert value(now, "parley_history_delay_seconds_count") > 0
            assert value(now, "parley_history_events_waiting") >= 0
            assert value(now, "parley_history_oldest_seconds") < 10

        await eventually(counted)


async def test_readers_of_the_event_stream_are_counted(parley: Instance) -> None:
    address = parley.part("history")["http"]
    async with httpx.AsyncClient(base_url=f"http://{address}") as http:
        viewers = "parley_history_viewers"
        before = value((await http.get("/metrics")).text, viewers)

        async with http.stream("GET", "/v1/events"):
            assert value((await http.get("/metrics")).text, viewers) == before + 1
