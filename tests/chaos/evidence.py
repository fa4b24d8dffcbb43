"""What Parley has kept: EVENTS, the tables and what REST says of them."""

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import msgspec
import nats
from chaos.history import Event, Kept, Member, Posted, Present
from chaos.speaker import APP
from nats.js.api import ConsumerConfig, DeliverPolicy

STREAM = "EVENTS"
AT_ONCE = 1000

_event = msgspec.json.Decoder(Event).decode


async def events(nats_url: str) -> tuple[Event, ...]:
    """Return all of EVENTS, in its order."""
    client = await nats.connect(nats_url, max_reconnect_attempts=2)
    try:
        js = client.jetstream()
        last = (await js.stream_info(STREAM)).state.messages
        reader = await js.pull_subscribe(
            f"parley.events.{APP}.>",
            stream=STREAM,
            config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL, ack_policy="none"),  # type: ignore[arg-type]
        )
        found: list[Event] = []
        while len(found) < last:
            try:
                batch = await reader.fetch(AT_ONCE, timeout=1)
            except TimeoutError:
                break
            found += [_event(message.data) for message in batch]
        await reader.unsubscribe()
        return tuple(found)
    finally:
        await client.close()


async def tables(database_url: str) -> Kept:
    """Return what PostgreSQL holds."""
    db = await asyncpg.connect(database_url)
    try:
        async with db.transaction(isolation="repeatable_read", readonly=True):
            return await _tables(db)
    finally:
        await db.close()


async def _tables(db: "asyncpg.Connection[asyncpg.Record]") -> Kept:
    present = await db.fetch(
        """
        SELECT c.id, p.availability, p.metadata::text,
               array(SELECT m.room FROM presence.memberships m WHERE m.connection = c.id) AS rooms
        FROM presence.connections c JOIN presence.profiles p USING (partition, id)
        WHERE c.closed_at IS NULL AND c.app = $1
        """,
        APP,
    )
    rooms = await db.fetch("SELECT name, epoch, position FROM rooms.rooms WHERE app = $1", APP)
    members = await db.fetch("SELECT room, connection, profile::text FROM rooms.members WHERE app = $1", APP)
    posted = await db.fetch(
        "SELECT room, epoch, position, id, connection_id, text FROM history.messages WHERE app = $1", APP
    )
    heard_of = await db.fetch("SELECT DISTINCT id FROM rooms.connections WHERE closed_at IS NULL AND app = $1", APP)
    lost = await db.fetch("SELECT gateway FROM rooms.lost_gateways UNION SELECT gateway FROM presence.lost_gateways")
    by_room: dict[str, list[Member]] = defaultdict(list)
    for room, connection, written in members:
        profile = msgspec.json.decode(written)
        member = Member(connection, profile.get("availability", "online"), profile.get("metadata", {}))
        by_room[room].append(member)
    return Kept(
        present=tuple(
            Present(id_, how, msgspec.json.decode(words), tuple(there)) for id_, how, words, there in present
        ),
        rooms={name: (epoch, position) for name, epoch, position in rooms},
        members={room: tuple(there) for room, there in by_room.items()},
        posted=tuple(Posted(*row) for row in posted),
        heard_of=tuple(id_ for (id_,) in heard_of),
        lost=tuple(gateway for (gateway,) in lost),
    )


async def rest(url: str) -> Kept:
    """Return what REST says, through the front door."""
    async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False, params={"app": APP}) as client:
        present = [
            Present(one["connectionId"], one["availability"], one["metadata"], tuple(one["rooms"]))
            async for one in _list(client, "/v1/connections")
        ]
        rooms: dict[str, tuple[str, int]] = {}
        members: dict[str, tuple[Member, ...]] = {}
        posted: list[Posted] = []
        listed = [one["room"] async for one in _list(client, "/v1/rooms")]
        for room in listed:
            answer = await client.get(f"/v1/rooms/{quote(room, safe='')}")
            if answer.status_code == httpx.codes.NOT_FOUND:
                continue
            shown = answer.raise_for_status().json()
            rooms[room] = (shown["epoch"], shown["position"])
            members[room] = tuple(
                Member(one["connectionId"], one["availability"], one["metadata"]) for one in shown["members"]
            )
        return Kept(present=tuple(present), rooms=rooms, members=members, posted=tuple(posted))


async def said(url: str, rooms: tuple[str, ...]) -> tuple[Posted, ...]:
    """Return what history lists of *rooms*, through the front door."""
    async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False, params={"app": APP}) as client:
        return tuple(
            [
                Posted(room, one["epoch"], one["position"], one["id"], one["from"], one["text"])
                for room in rooms
                async for one in _list(client, f"/v1/rooms/{quote(room, safe='')}/messages")
            ]
        )


async def _list(client: httpx.AsyncClient, path: str) -> AsyncIterator[dict[str, Any]]:
    cursor = None
    while True:
        query = {"limit": 500} | ({} if cursor is None else {"cursor": cursor})
        answer = await client.get(path, params=query)
        if answer.is_error:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
        page = answer.json()
        for one in page["items"]:
            yield one
        cursor = page["next"]
        if cursor is None:
            return
