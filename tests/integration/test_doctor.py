"""`parley doctor` on a real Parley: a clean one, a busy one, and one in which somebody has meddled with the tables."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
import websockets
from support.eventually import eventually
from support.instance import IMPATIENT, Instance

from parley.cli.doctor import Diagnosis, _diagnose
from parley.client import Client, connect

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Instance]:
    instance = Instance(tmp_path_factory.mktemp("doctor") / "data", up=IMPATIENT, IMPATIENT_SECONDS="15")
    await instance.start("--scale", "gateway=2", "--scale", "rooms=2")
    yield instance
    await instance.stop()


Diagnose = Callable[[float], Awaitable[Diagnosis]]


@pytest.fixture(scope="module")
def diagnose(two: Instance) -> Diagnose:
    """Give the doctor, who knows the way: addresses stay the same when parts are started again."""
    found = two.status()
    gateways = [part["http"] for part in found["parts"] if part["name"] == "gateway"]
    return lambda patience: _diagnose(found["database"], found["nats"], gateways, patience)


class People:
    """Ana and Ben, who are in a call in the room r, and Cid, who is only there."""

    def __init__(self, ana: Client, ben: Client, cid: Client) -> None:
        self.ana, self.ben, self.cid = ana.connection_id, ben.connection_id, cid.connection_id


async def _agrees(diagnose: Diagnose) -> str | None:
    """All that has happened is written, and each partition has the owner that it will keep."""
    found = await diagnose(10)
    return None if found.agree and found.compared.connections == 3 else f"not at rest: {found}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(two: Instance, diagnose: Diagnose) -> AsyncIterator[People]:
    async with AsyncExitStack() as stack:
        ana, ben, cid = [await stack.enter_async_context(connect(two.url)) for _ in range(3)]
        await ana.join("r")
        await ben.join("r")
        await ana.signal(ben.connection_id, {"description": {"type": "offer", "sdp": "v=0"}})
        await ben.signal(ana.connection_id, {"description": {"type": "answer", "sdp": "v=0"}})
        await eventually(lambda: None if two.get("/v1/rooms/r").json().get("call") else "no call")
        await eventually(lambda: _agrees(diagnose))
        yield People(ana, ben, cid)


@pytest_asyncio.fixture(loop_scope="module")
async def database(two: Instance) -> AsyncIterator["asyncpg.Connection[Any]"]:
    connection = await asyncpg.connect(two.status()["database"])
    yield connection
    await connection.close()


async def test_a_system_at_rest_agrees_and_says_so_in_one_line(two: Instance, people: People) -> None:
    done = await asyncio.to_thread(two.parley, "doctor")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "No difference between presence, rooms, history and 2 gateways: 3 connections, 2 members, 1 open call.\n"
    )


GHOST = "'ghost=', 'default', 1, '{gateway}', true, 0, '[]'"
GHOST_COLUMNS = "(id, app, session, gateway, resumable, opened_at, before, partition)"
PLANTED = [
    ("presence.connections", "delete from {table} where id = '{cid}'", {"socket", "not-in-presence"}),
    (
        "presence.connections",
        f"insert into {{table}} {GHOST_COLUMNS} values ({GHOST}, 0)",
        {"no-socket", "not-in-rooms"},
    ),
    (
        "presence.connections",
        f"insert into {{table}} {GHOST_COLUMNS} values ({GHOST.format(gateway='gone')}, 0)",
        {"no-gateway", "not-in-rooms"},
    ),
    ("rooms.connections", "delete from {table} where id = '{cid}'", {"not-in-rooms"}),
    ("rooms.connections", f"insert into {{table}} {GHOST_COLUMNS} values ({GHOST}, 0)", {"not-in-presence"}),
    ("rooms.connections", "update {table} set session = session + 1 where id = '{cid}'", {"elsewhere"}),
    ("rooms.members", "delete from {table} where connection = '{ana}'", {"member-not-in-rooms"}),
    ("presence.memberships", "delete from {table} where connection = '{ana}'", {"member-not-in-presence"}),
    ("presence.memberships", "insert into {table} values (0, 'ghost=', 'r')", {"member-without-connection"}),
    ("history.calls", "update {table} set ended_at = now()", {"call-not-in-history"}),
    (
        "history.calls",
        "insert into {table} (app, id, room, epoch, started_at) values ('default', 'c', 'r', 'e', now())",
        {"call-not-in-rooms"},
    ),
    ("presence.profiles", "update {table} set calls = '{{}}' where id = '{ana}'", {"caller-not-in-presence"}),
    ("presence.profiles", "update {table} set calls = '{{c}}' where id = '{cid}'", {"caller-not-in-rooms"}),
]


@pytest.mark.parametrize(("table", "deed", "kinds"), PLANTED, ids=[deed.split("(")[0] for _, deed, _ in PLANTED])
async def test_what_somebody_did_to_a_table_is_reported(
    diagnose: Diagnose, people: People, database: "asyncpg.Connection[Any]", table: str, deed: str, kinds: set[str]
) -> None:
    gateway = await database.fetchval("select gateway from presence.connections where closed_at is null limit 1")
    async with database.transaction():
        await database.execute(f"lock table {table} in exclusive mode")
        await database.execute(f"create temporary table kept as select * from {table}")
        await database.execute(deed.format(table=table, gateway=gateway, **vars(people)))
        await database.execute(f"create temporary table now as select * from {table}")
    try:
        found = await diagnose(0.6)
        assert {difference.kind for difference in found.differences} == kinds, found.differences
        assert not found.agree
        assert len(found.differences) == len(kinds)
    finally:  # row for row: what else the services have written meanwhile stays
        undone = "select * from kept where kept::text not in (select now::text from now)"
        done = "select now::text from now where now::text not in (select kept::text from kept)"
        async with database.transaction():
            await database.execute(f"delete from {table} as live where live::text in ({done})")
            await database.execute(f"insert into {table} {undone} on conflict do nothing")
        await database.execute("drop table kept, now")


async def test_each_difference_is_a_line_and_the_exit_code_is_one(
    two: Instance, people: People, database: "asyncpg.Connection[Any]"
) -> None:
    await database.execute("insert into presence.memberships values (0, 'ghost=', 'a b\n')")
    try:
        said, coded = await asyncio.gather(
            asyncio.to_thread(two.parley, "doctor", "--patience", "0.5"),
            asyncio.to_thread(two.parley, "doctor", "--patience", "0.5", "--json"),
        )
    finally:
        await database.execute("delete from presence.memberships where connection = 'ghost='")

    assert (said.returncode, coded.returncode) == (1, 1)
    assert said.stdout == (
        'member-without-connection: connection=ghost= room="a b\\n": '
        "presence has it in the room, and not among the connections that live\n"
    )
    found = json.loads(coded.stdout)
    assert (found["agree"], found["unasked"]) == (False, [])
    assert [each["connection"] for each in found["differences"]] == ["ghost="]
    assert found["compared"]["gateways"] == 2


async def test_a_busy_system_agrees(two: Instance, diagnose: Diagnose, people: People) -> None:
    """People come, go, vanish and speak while it is looked at."""
    over = asyncio.Event()
    rounds = [0] * 6

    async def churn(number: int) -> None:
        while not over.is_set():
            async with connect(two.url) as client:
                for room in (f"busy {number}", "busy"):
                    await client.join(room)
                    await client.chat(room, "hello")
                client.abort()
                await client.send("busy", 1)
                await client.leave("busy")
            rounds[number] += 1

    async with asyncio.TaskGroup() as tasks:
        for number in range(len(rounds)):
            tasks.create_task(churn(number))
        found: list[Diagnosis] = []
        while len(found) < 3 or min(rounds) < 2:
            found.append(await diagnose(10))
        over.set()

    assert {(len(each.differences), len(each.unasked)) for each in found} == {(0, 0)}


async def test_whose_gateway_was_killed_has_a_grace_and_no_ghost_remains(
    two: Instance, diagnose: Diagnose, people: People
) -> None:
    gateway = two.part("gateway", 0)
    before = (await diagnose(10)).compared
    lost = [
        await websockets.connect(f"ws://{gateway['address']}/", subprotocols=["parley.v1"], proxy=None)  # type: ignore[list-item] # a NewType of str
        for _ in range(3)
    ]
    for socket in lost:
        await socket.recv()
    os.kill(gateway["pid"], signal.SIGKILL)

    def back() -> str | None:
        part = two.part("gateway", 0)
        return None if part["ready"] and part["pid"] != gateway["pid"] else "not back"

    await eventually(back)
    during = await diagnose(10)

    async def forgotten() -> str | None:
        found = await diagnose(10)
        assert found.differences == []
        now = found.compared.connections
        return None if now <= before.connections else f"there are {now} connections"

    await eventually(forgotten, within=60)
    assert during.differences == []
    assert during.compared.connections == before.connections + len(lost)
    for socket in lost:
        await socket.wait_closed()


async def test_without_a_system_it_says_what_to_do(two: Instance) -> None:
    done = await asyncio.to_thread(two.parley, "doctor", PARLEY_DATA="/nowhere")

    assert done.returncode == 1
    assert done.stderr.startswith("parley: Nothing runs on /nowhere: start it with `parley up`, or set DATABASE_URL")
