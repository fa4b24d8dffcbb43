"""What presence counts, read as Prometheus reads it, of the Parley that others use as well."""

import re

import httpx
from support.eventually import eventually
from support.instance import Instance

from parley.client import connect


def value(told: str, metric: str) -> float:
    """Return the value of a metric with these labels, which has to be there."""
    found = re.search(rf"^{re.escape(metric)} (\S+)$", told, re.MULTILINE)
    assert found, f"nothing is told of {metric}"
    return float(found[1])


async def test_connections_and_leases_are_counted(parley: Instance) -> None:
    address = parley.part("presence")["http"]
    async with httpx.AsyncClient(base_url=f"http://{address}") as http, connect(parley.url.replace("http", "ws", 1)):

        async def counted() -> None:
            told = (await http.get("/metrics")).text
            assert value(told, 'parley_presence_connections{gateway="alive"}') >= 1
            assert value(told, 'parley_presence_connections{gateway="lost"}') == 0
            assert value(told, 'parley_lease_gateways{lease="held"}') >= 1
            assert value(told, 'parley_lease_gateways{lease="missing"}') == 0
            assert value(told, "parley_lease_missing_seconds") == 0

        await eventually(counted)


async def test_whether_a_process_is_ready_is_told_by_what_it_needs(parley: Instance) -> None:
    address = parley.part("presence")["http"]
    async with httpx.AsyncClient(base_url=f"http://{address}") as http:
        await http.get("/readyz")

        told = (await http.get("/metrics")).text
        needs = ("process", "nats", "postgres", "partitions", "tokens")
        assert [value(told, f'parley_ready{{need="{need}"}}') for need in needs] == [1] * len(needs)
