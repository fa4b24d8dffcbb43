"""What the gateway counts, read as Prometheus reads it, of the Parley that others use as well."""

import httpx
from support.eventually import eventually
from support.instance import Instance
from support.scraped import value

from parley.client import connect

COUNTED = (
    'parley_gateway_frames_total{route="join"}',
    'parley_gateway_frames_total{route="chat"}',
    'parley_gateway_frames_total{route=""}',
    'parley_gateway_deliveries_total{type="chat"}',
    'parley_gateway_refusals_total{code="bad_frame"}',
    'parley_gateway_closes_total{code="1000"}',
    "parley_gateway_delivery_seconds_count",
    "parley_gateway_join_seconds_count",
)


async def test_what_clients_do_is_counted(parley: Instance) -> None:
    address = parley.part("gateway")["http"]
    async with httpx.AsyncClient(base_url=f"http://{address}") as http:

        async def told() -> str:
            return (await http.get("/metrics")).text

        before = await told()
        assert 'parley_gateway_connections{dialect="parley.v1"} ' in before  # also when nobody is here: 0 is a number
        async with connect(parley.url.replace("http", "ws", 1)) as client:
            await client.join("counted")
            await client.chat("counted", "one")
            await client.write("this is no JSON")
            assert value(await told(), 'parley_gateway_connections{dialect="parley.v1"}') >= 1

        async def counted() -> list[str]:
            now = await told()
            return [metric for metric in COUNTED if value(now, metric) <= value(before, metric)]

        await eventually(counted)
        assert value(await told(), "parley_gateway_drops_total") == 0
        assert value(await told(), "parley_gateway_outbox_seconds") < 10
        assert 0 < value(await told(), "parley_gateway_lease_seconds") < 10
