"""HTTP: probes that tell the truth, and an API behind them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from parley.cli.embedded import Server
from parley.kit import db
from parley.kit.db import database
from parley.kit.http import http, listen
from parley.kit.lifecycle import CannotStart
from parley.kit.probes import Check, Probes, Receive, Scope, Send, announce


@asynccontextmanager
async def client_of(probes: Probes) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        http(probes, "127.0.0.1", 0) as address,
        httpx.AsyncClient(base_url=f"http://{address}") as client,
    ):
        yield client


async def api(scope: Scope, _: Receive, send: Send) -> None:
    if scope["path"] == "/crash":
        raise LookupError("a bug")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


def silent() -> None:
    return None


async def test_a_process_that_is_starting_lives_and_is_not_ready() -> None:
    async with client_of(Probes()) as client:
        live, ready, other = await client.get("/livez"), await client.get("/readyz"), await client.get("/v1/rooms")

    assert live.status_code == 200
    assert ready.status_code == 503
    assert ready.json()["code"] == "degraded"
    assert "starting" in ready.json()["message"]
    assert other.status_code == 503


async def test_a_process_whose_checks_are_silent_is_ready() -> None:
    probes = Probes()
    async with client_of(probes) as client, probes.ready({"bus": silent}):
        ready = await client.get("/readyz")
        nothing = await client.get("/v1/rooms")

    assert (ready.status_code, ready.json()) == (200, {"ready": True})
    assert (nothing.status_code, nothing.json()["code"]) == (404, "not_found")


async def test_metrics_are_told_from_the_start_whatever_is_missing() -> None:
    async with client_of(Probes()) as client:
        answer = await client.get("/metrics")

    assert answer.status_code == 200
    assert "parley_loop_lag_seconds_bucket" in answer.text
    assert "parley_process_resident_memory_bytes" in answer.text


async def hang() -> None:
    await asyncio.Event().wait()


def crash() -> None:
    raise OSError("broken pipe")


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: "NATS is away.", "bus: NATS is away."),
        (crash, "bus: OSError: broken pipe"),
        (hang, "bus: It does not answer within 2 s."),
    ],
)
async def test_readiness_says_what_is_missing_and_liveness_does_not_care(check: Check, message: str) -> None:
    probes = Probes()
    async with client_of(probes) as client, probes.ready({"database": silent, "bus": check}):
        ready, live = await client.get("/readyz"), await client.get("/livez")

    assert ready.status_code == 503
    assert ready.json()["message"] == message
    assert list(ready.json()["missing"]) == ["bus"]
    assert live.status_code == 200


async def test_readiness_follows_postgresql_down_and_up_again(own_postgres: Server) -> None:
    probes = Probes()
    async with (
        client_of(probes) as client,
        database(own_postgres.url, "rooms") as engine,
        probes.ready({"database": lambda: db.check(engine)}),
    ):
        assert (await client.get("/readyz")).status_code == 200

        await own_postgres.kill()
        down = await client.get("/readyz")
        assert (await client.get("/livez")).status_code == 200

        await own_postgres.start()
        up = await client.get("/readyz")

    assert down.status_code == 503
    assert "PostgreSQL does not answer at 127.0.0.1:" in down.json()["message"]
    assert up.status_code == 200


async def test_a_paused_postgresql_is_a_red_probe_and_no_hanging_one(own_postgres: Server) -> None:
    probes = Probes()
    async with (
        client_of(probes) as client,
        database(own_postgres.url, "rooms") as engine,
        probes.ready({"database": lambda: db.check(engine)}),
    ):
        assert (await client.get("/readyz")).status_code == 200
        assert own_postgres.process
        parent = psutil.Process(own_postgres.process.pid)
        family = [parent, *parent.children()]  # each connection has a process of its own
        for process in family:
            process.suspend()

        paused = await client.get("/readyz", timeout=20)
        for process in family:
            process.resume()

    assert paused.status_code == 503


async def test_what_is_mounted_answers_all_other_paths_and_a_crash_of_it_hurts_nobody() -> None:
    probes = Probes()
    async with client_of(probes) as client, probes.mounted(api), probes.ready({}):
        crashed = await client.get("/crash")
        answer = await client.get("/v1/rooms")
        ready = await client.get("/readyz")

        told = (await client.get("/metrics")).text

    assert crashed.status_code == 500
    assert 'parley_http_request_seconds_count{code="500",method="GET",route="other"}' in told
    assert answer.text == "/v1/rooms"
    assert ready.status_code == 200


async def test_the_listener_is_gone_afterwards() -> None:
    async with http(api, "127.0.0.1", 0) as address:
        pass

    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://{address}/")


async def test_it_listens_on_ipv6_too() -> None:
    async with http(api, "::1", 0) as address, httpx.AsyncClient() as client:
        assert (await client.get(f"http://{address}/x")).text == "/x"


def test_a_host_that_is_not_ours_is_refused_in_a_sentence() -> None:
    with pytest.raises(CannotStart, match=r"^Cannot listen on 203\.0\.113\.1:0: "):
        listen("203.0.113.1", 0)


def test_where_it_listens_is_written_in_one_piece(tmp_path: Path) -> None:
    announce(str(tmp_path / "ready"), http="127.0.0.1:1", address="127.0.0.1:2")

    assert [path.name for path in tmp_path.iterdir()] == ["ready"]
    assert json.loads((tmp_path / "ready").read_text()) == {"address": "127.0.0.1:2", "http": "127.0.0.1:1"}


def test_where_it_listens_is_not_written_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    announce("", http="127.0.0.1:1")

    assert list(tmp_path.iterdir()) == []


async def test_statements_survive_a_restart_of_postgresql(own_postgres: Server) -> None:
    async with database(own_postgres.url, "rooms") as engine:
        assert await db.check(engine) is None
        await own_postgres.restart()
        assert await db.check(engine) is None


async def test_postgresql_knows_whose_connection_it_is(database_url: str) -> None:
    async with database(database_url, "rooms") as engine, engine.connect() as connection:
        name = (await connection.exec_driver_sql("show application_name")).scalar_one()

    assert name == "parley-rooms"


async def test_connections_are_closed_at_the_end(database_url: str) -> None:
    async with database(database_url, "rooms") as engine:
        assert await db.check(engine) is None

    witness = await asyncpg.connect(database_url)
    try:
        left = await witness.fetchval(
            "select count(*) from pg_stat_activity"
            " where application_name = 'parley-rooms' and datname = current_database()"
        )
    finally:
        await witness.close()
    assert left == 0
