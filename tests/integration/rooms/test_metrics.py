"""What rooms counts, read as Prometheus reads it, of the Parley that others use as well."""

import json
import secrets

import httpx
from support.eventually import eventually
from support.instance import Instance
from support.scraped import value
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol


async def test_rooms_members_and_events_are_counted(parley: Instance) -> None:
    rooms = parley.part("rooms")["http"]
    room = f"metrics-{secrets.token_hex(4)}"

    async with httpx.AsyncClient(base_url=f"http://{rooms}") as client:

        async def told() -> str:
            return (await client.get("/metrics")).text

        before = value(await told(), 'parley_events_total{type="room.joined"}')
        address = parley.url.replace("http", "ws", 1)
        async with connect(address, subprotocols=[Subprotocol("parley.v1")], proxy=None) as socket:
            await socket.recv()
            await socket.send(json.dumps({"action": "join", "ref": "1", "room": room}))
            await socket.recv()

            async def counted() -> None:
                now = await told()
                assert value(now, "parley_rooms_open") >= 1
                assert value(now, "parley_rooms_members") >= 1
                assert value(now, 'parley_events_total{type="room.joined"}') > before
                assert value(now, "parley_partition_entries_total") > 0
                assert value(now, "parley_partition_delay_seconds_count") > 0
                assert value(now, "parley_checkpoint_seconds_count") > 0
                assert value(now, "parley_nats_connected") == 1
                assert value(now, "parley_database_connections") >= 1

            await eventually(counted)
