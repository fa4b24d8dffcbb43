"""What a real Parley says to backends: each event fits its schema, and those of a room have no gaps."""

from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from uuid import uuid4

import jsonschema
import msgspec
from support.instance import Instance

from parley.client import connect
from parley.client.events import Event, events
from parley.client.frames import PeerQuality
from parley.protocol.schema import documents

OFFER = {"description": {"type": "offer", "sdp": "v=0"}}
ANSWER = {"description": {"type": "answer", "sdp": "v=0"}}

FAILED: PeerQuality = {
    "connectionId": "",
    "state": "failed",
    "bytesSent": 0,
    "bytesReceived": 0,
    "packetsReceived": 0,
    "packetsLost": 0,
}


async def converse(parley: Instance, app: str) -> None:
    """Do everything that two clients can."""
    url = parley.url.replace("http", "ws")
    async with AsyncExitStack() as stack:
        ana = await stack.enter_async_context(connect(url, app=app, metadata={"userId": "ana", "deviceId": "d"}))
        bob = await stack.enter_async_context(connect(url, app=app))
        for client in (ana, bob):
            await client.join("r1", metadata={"deep": [{"x": None}]})
        await ana.signal(bob.connection_id, OFFER)
        await bob.signal(ana.connection_id, ANSWER)
        await ana.report("r1", [{**FAILED, "connectionId": bob.connection_id}])
        await ana.presence("busy", metadata={"mood": "good"})
        await ana.chat("r1", "hi")
        await bob.chat("r1", "ho", data={"x": 1})
        await bob.leave("r1")
        await ana.leave("r1")


async def events_until_all_closed(parley: Instance, app: str) -> list[Event]:
    found: list[Event] = []
    async with aclosing(events(parley.status()["nats"], app, since=timedelta(hours=1))) as reading:
        async for event in reading:
            found.append(event)
            if [each.type for each in found].count("connection.closed") == 2:
                break
    return found


async def test_every_step_is_an_event_that_fits_its_schema(parley: Instance) -> None:
    app = f"events-{uuid4().hex}"
    await converse(parley, app)

    found = await events_until_all_closed(parley, app)

    schemas = documents()
    for event in found:
        jsonschema.validate(msgspec.json.decode(event.raw), schemas[event.type])
    assert {event.type for event in found} == {
        "connection.opened",
        "connection.closed",
        "presence.changed",
        "room.created",
        "room.joined",
        "room.left",
        "room.closed",
        "negotiation.offered",
        "negotiation.answered",
        "call.started",
        "call.ended",
        "call.quality",
        "message.posted",
    }
    of_room = [event.sequence for event in found if event.data.get("room") == "r1" and event.sequence is not None]
    assert of_room == list(range(1, len(of_room) + 1))
    assert len({event.id for event in found}) == len(found)
