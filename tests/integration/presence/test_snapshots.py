"""Who has a snapshot and follows the events knows what a fresh snapshot says, whoever owned the partition meanwhile."""

import random
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from support.presence import HOME, PARTITIONS, Log, calling, closed, id_of, in_room, opened, set_to

from parley.presence.store import store_of
from parley.protocol import commands as c
from parley.protocol import events
from parley.protocol.registry import GRACE_MS

Known = dict[str, tuple[Any, ...]]


def anything(dice: random.Random, number: int) -> c.AnyCommand:
    """Return something that may happen; *number* is of whom nobody has heard yet."""
    connection = id_of(dice.randrange(max(0, number - 8), number + 1))
    metadata = {"n": dice.randrange(3), "t": dice.choice(["", "\0", "é", None])}
    options: list[c.AnyCommand] = [
        opened(id_of(number), user_id="ana", device_id=dice.choice([None, "d1", "d2"]), metadata=metadata),
        opened(id_of(number), resumable=False, metadata=metadata),
        c.Resume(app="a", connection=connection, session=0, attempt="1"),
        closed(connection),
        closed(connection, session=2),
        set_to(connection, availability=dice.choice(["busy", "away", "available"]), metadata=metadata),
        calling(connection, dice.choice(["c1", "c2"]), lasting=dice.random() < 0.6),
        in_room(connection, dice.choice(["r", "s"]), member=dice.random() < 0.6),
        c.Remove(app="a", connection=connection),
        c.GatewayLost(app="", gateway=dice.choice(["g1", "g2"])),
        c.GatewayBack(app="", gateway=dice.choice(["g1", "g2"])),
        c.Tick(app=""),
    ]
    return dice.choice(options)


def follow(known: Known, event: events.Data) -> None:
    """Do what a backend does that reads EVENTS."""
    match event:
        case events.ConnectionOpened():
            assert event.connection_id not in known, "opened twice"
            known[event.connection_id] = (event.user_id, event.device_id, "online", event.metadata)
        case events.PresenceChanged():
            assert event.connection_id in known, "changed, and is not there"
            known[event.connection_id] = (event.user_id, event.device_id, event.availability, event.metadata)
        case events.ConnectionClosed():
            del known[event.connection_id]


async def snapshot(http: httpx.AsyncClient) -> Known:
    """Ask who is there."""
    items = (await http.get("/v1/connections?app=a&limit=500")).raise_for_status().json()["items"]
    return {
        item["connectionId"]: (item["userId"], item["deviceId"], item["availability"], item["metadata"])
        for item in items
    }


@pytest.mark.parametrize("seed", range(4))
async def test_a_snapshot_and_the_events_since_are_a_fresh_snapshot(
    seed: int, http: httpx.AsyncClient, db: AsyncEngine
) -> None:
    dice = random.Random(seed)
    log = Log()
    known: Known = {}
    for _ in range(25):
        for _ in range(dice.randrange(1, 20)):
            after = dice.choice([1, 1, 1, GRACE_MS])
            for event in log.says(anything(dice, log.sequence), after=after, writer=dice.choice(["g1", "g2"])):
                follow(known, event)
        await log.store(db)
        if dice.random() < 0.5:  # another owner takes over from the checkpoint
            async with db.connect() as connection:
                log.state = await store_of(PARTITIONS).load(connection, HOME)  # type: ignore[assignment]

        assert await snapshot(http) == known
