"""
A snapshot and the events since are a fresh snapshot, for each type of public event.

One side is a backend's own fold of EVENTS, the other what the REST of presence, rooms and history reads with SQL.
"""

import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs
from support.backend import FOLDS, Backend, Known
from support.on_paper import APP, CREATED, EVERYTHING, LIMIT, OnPaper, asks, closes, describes, id_of, opens, sets

from parley.history import records, store
from parley.history.activity import Arrived
from parley.history.api import history_api
from parley.kit.ask import asking
from parley.kit.bus import Message, nats_bus
from parley.kit.db import database
from parley.kit.migrate import migrate
from parley.kit.rounds import Rules
from parley.kit.state import Changes
from parley.kit.tokens import Tokens
from parley.presence.api import presence_api
from parley.presence.store import store_of as store_of_presence
from parley.protocol import commands as c
from parley.protocol import requests as ask
from parley.protocol.events import TYPES
from parley.protocol.registry import GRACE_MS
from parley.rooms.api import rooms_api
from parley.rooms.store import store_of as store_of_rooms

SERVICES = ("presence", "rooms", "history")
STORES = {"presence": store_of_presence(1), "rooms": store_of_rooms(1)}
NO_RELAY: Any = None


class Snapshots:
    """What is kept in PostgreSQL, and what REST says of it."""

    def __init__(self, db: AsyncEngine, rest: dict[str, httpx.AsyncClient]) -> None:
        self._db = db
        self._rest = rest
        self._numbers = itertools.count(1)

    async def keep(self, paper: OnPaper, facts: Iterable[Message]) -> None:
        """Do what checkpoints do, and history."""
        read = [records.read(fact.payload) for fact in facts]
        kept = [event.record for event in read if event.record]
        arrived = Arrived("paper", [(next(self._numbers), event.happened) for event in read])
        async with self._db.begin() as connection:
            for name, rules in (("presence", paper.presence), ("rooms", paper.rooms)):
                changes = Changes(0, [table.take_changes() for table in rules.state.tables()])
                await STORES[name].save(connection, [changes])
            await store.write(connection, kept, arrived)

    async def take_over(self, paper: OnPaper) -> None:
        """Have other owners go on from what is kept."""
        for name, before in (("presence", paper.presence), ("rooms", paper.rooms)):
            async with self._db.connect() as connection:
                rules = Rules(name, 0, await STORES[name].load(connection, 0), limit=LIMIT)
            rules.begin(CREATED, before.cursor, before.time, before.recent_marks())
            setattr(paper, name, rules)

    async def fresh(self, rooms: Iterable[str]) -> dict[str, Any]:
        """Ask for everything that a backend could know; *rooms* are those in which something was said."""
        listed = [await self._get("rooms", f"/v1/rooms/{_in_path(each['room'])}") for each in await self._rooms()]
        calls = {each.pop("id"): each for each in await self._items("/v1/calls")}
        return {
            "connections": {
                each.pop("connectionId"): _without(each, "address", "userAgent")
                for each in (await self._get("presence", "/v1/connections", limit=500))["items"]
            },
            "rooms": {each.pop("room"): _room(each) for each in listed},
            "messages": {
                room: (await self._get("history", f"/v1/rooms/{_in_path(room)}/messages", order="oldest", limit=500))[
                    "items"
                ]
                for room in rooms
            },
            "calls": calls,
            "steps": {id_: (await self._get("history", f"/v1/calls/{id_}"))["steps"] for id_ in calls},
            "reports": {id_: found for id_ in calls if (found := await self._items(f"/v1/calls/{id_}/quality"))},
            "activity": await self._activity(),
        }

    async def _activity(self) -> dict[str, int]:
        counted: Counter[str] = Counter()
        span = {"from": "2026-01-31T00:00:00Z", "to": "2026-02-02T00:00:00Z"}
        for step in (await self._get("history", "/v1/analytics/activity", step="hour", **span))["items"]:
            counted.update(_without(step, "time"))
        return dict(+counted)

    async def _items(self, path: str) -> list[Known]:
        return (await self._get("history", path, limit=500))["items"]  # type: ignore[no-any-return]

    async def _rooms(self) -> list[Known]:
        return (await self._get("rooms", "/v1/rooms", limit=500))["items"]  # type: ignore[no-any-return]

    async def _get(self, service: str, path: str, **query: Any) -> Any:
        return (await self._rest[service].get(path, params={"app": APP, **query})).raise_for_status().json()


def _in_path(room: str) -> str:
    return quote(room, safe="")


def _without(found: Known, *names: str) -> Known:
    return {name: value for name, value in found.items() if name not in names}


def _room(shown: Known) -> Known:
    """Return a room as far as backends are told of it."""
    members = {
        each.pop("connectionId"): _without(each, "metadata", "availability")
        for each in (dict(member) for member in shown["members"])
    }
    call = shown["call"] and _without(shown["call"], "participants")
    return shown | {"members": members, "call": call}


@pytest.fixture
async def snapshots(database_url: str, nats_url: str) -> AsyncIterator[Snapshots]:
    for service in SERVICES:
        await migrate(database_url, f"parley.{service}")
    tokens = Tokens(development=True)
    async with (
        database(database_url, "test") as db,
        nats_bus(nats_url, "test") as bus,
        asking(bus, "test", 1) as asked,
    ):
        apps = {
            "presence": presence_api(db, bus, asked, tokens, development=True),
            "rooms": rooms_api(db, asked, tokens, NO_RELAY, development=True),
            "history": history_api(db, tokens, development=True),
        }
        rest = {
            name: httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://parley")
            for name, app in apps.items()
        }
        yield Snapshots(db, rest)


def known(backend: Backend) -> dict[str, Any]:
    return {
        "connections": backend.connections,
        "rooms": backend.rooms,
        "messages": backend.messages,
        "calls": backend.calls,
        "steps": {id_: backend.negotiation(id_) for id_ in backend.calls},
        "reports": backend.reports,
        "activity": dict(backend.activity),
    }


def test_a_backend_knows_what_to_make_of_each_event() -> None:
    assert list(FOLDS) == [*dict.fromkeys(FOLDS)]
    assert set(FOLDS) == set(TYPES), "say in support/backend.py what the event does to what a backend knows"


async def test_after_each_step_the_events_so_far_are_a_fresh_snapshot(snapshots: Snapshots) -> None:
    paper, backend = OnPaper(), Backend()
    with capture_logs():  # of what has to fail
        for command, after in EVERYTHING:
            facts = paper.takes(command, after=after)
            for fact in facts:
                backend.follow(fact.payload)
            await snapshots.keep(paper, facts)

            assert await snapshots.fresh(backend.messages) == known(backend)

    assert backend.followed == set(TYPES), "let it happen in support/on_paper.py, EVERYTHING"


def anything(dice: random.Random, paper: OnPaper, here: list[str]) -> Sequence[c.AnyCommand]:
    """Return something that may happen next; *here* are the names of those who have come so far, the latest last."""
    name = f"u{len(here)}"
    living = [name for name in here if paper.knows(name)]
    if not living or dice.random() < 0.1:
        here.append(name)
        mood = dice.choice(["", "\0", "é"])
        return [opens(name, resumable=dice.random() < 0.8, n=dice.randrange(3), mood=mood)]
    who, other = (dice.choice(living[-6:]) for _ in range(2))
    room = dice.choice(["r", "r", "a/b", "é b"])
    options: list[Sequence[c.AnyCommand]] = [
        *[[asks(each, ask.Join(room=room)) for each in (who, other)]] * 3,
        *[[describes(who, other, "offer"), describes(other, who, "answer")]] * 3,
        [describes(who, other, "offer")],
        [asks(who, ask.Leave(room=room))],
        [asks(who, ask.Chat(room=room, id=f"m{paper.time}", text="hi é"))],
        [closes(who)],
        [sets(who, dice.choice(["busy", "away", "available"]), n=dice.randrange(3))],
        [c.PostToRoom(app=APP, room=room, id=f"b{paper.time}", text="hi", reply="answer")],
        [c.Remove(app=APP, connection=id_of(who), reply="answer")],
        [c.RemoveMember(app=APP, room=room, connection=id_of(who), reply="answer")],
        [c.Resume(app=APP, connection=id_of(who), attempt="1")],
        [c.GatewayLost(app="", gateway=dice.choice(["g1", "g2"]))],
        [c.GatewayBack(app="", gateway=dice.choice(["g1", "g2"]))],
        [c.Tick(app="")],
    ]
    return dice.choice(options)


@pytest.mark.parametrize("seed", range(3))
async def test_a_snapshot_and_the_events_since_are_a_fresh_snapshot(seed: int, snapshots: Snapshots) -> None:
    """Whatever happens, and whoever owns the partition meanwhile."""
    dice = random.Random(seed)
    paper, backend = OnPaper(), Backend()
    here: list[str] = []
    for _ in range(15):
        facts = []
        for _ in range(dice.randrange(1, 20)):
            for command in anything(dice, paper, here):
                after = dice.choice([1] * 14 + [GRACE_MS])
                facts += paper.takes(command, after=after, gateway=dice.choice(["g1", "g2"]))
        for fact in facts:
            backend.follow(fact.payload)
        await snapshots.keep(paper, facts)
        if dice.random() < 0.5:
            await snapshots.take_over(paper)

        assert await snapshots.fresh(backend.messages) == known(backend)

    assert backend.followed >= {"room.closed", "connection.closed", "message.posted", "call.ended"}
