"""The embedded servers: real, ours, and gone when we are."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import nats
import psutil
import pytest
from support.eventually import eventually

from parley.cli.embedded import Nats, Postgres, Server
from parley.cli.problem import Problem


async def test_nats_keeps_its_streams_when_killed(nats_server: Server) -> None:
    connection = await nats.connect(nats_server.url)
    await connection.jetstream().add_stream(name="S", subjects=["s.>"])
    await connection.jetstream().publish("s.1", b"kept")
    await connection.close()

    await nats_server.restart()

    connection = await nats.connect(nats_server.url)
    assert (await connection.jetstream().stream_info("S")).state.messages == 1
    await connection.close()


async def test_postgres_keeps_its_rows_when_killed(tmp_path: Path) -> None:
    async with Server(Postgres(tmp_path / "postgres")) as postgres:
        connection = await asyncpg.connect(postgres.url)
        await connection.execute("CREATE TABLE t AS SELECT 1 AS n")
        connection.terminate()

        await postgres.restart()

        connection = await asyncpg.connect(postgres.url)
        assert await connection.fetchval("SELECT n FROM t") == 1
        await connection.close()


async def test_each_test_has_an_empty_database(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)

    assert await connection.fetchval("SELECT count(*) FROM pg_stat_user_tables") == 0
    assert await connection.fetchval("SHOW server_encoding") == "UTF8"

    await connection.close()


async def test_postgres_wants_its_password(postgres: Server) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.url.replace("parley:", "parley:not-"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand data to another account")
async def test_root_runs_postgres_below_a_folder_that_nobody_else_may_enter(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)

    async with Server(Postgres(private / "postgres", durable=False)) as postgres:
        assert postgres.process
        assert psutil.Process(postgres.process.pid).uids().effective != 0
        await (await asyncpg.connect(postgres.url)).close()

    assert private.stat().st_mode & 0o777 == 0o700


async def test_a_half_made_cluster_is_made_again(tmp_path: Path) -> None:
    draft = tmp_path / "postgres.new"
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18")

    async with Server(Postgres(tmp_path / "postgres", durable=False)) as postgres:
        await (await asyncpg.connect(postgres.url)).close()


async def test_data_of_another_postgres_version_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("11\n")

    with pytest.raises(Problem, match=r"is PostgreSQL 11's"):
        await Postgres(tmp_path / "postgres").prepare()


async def test_a_server_that_cannot_start_says_where_its_log_is(nats_server: Server, tmp_path: Path) -> None:
    taken = int(nats_server.url.rpartition(":")[2])

    with pytest.raises(Problem, match=r"its log is .*nats\.log"):
        await Server(Nats(tmp_path / "other" / "data", port=taken, host="127.0.0.1")).start()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends what is left")
async def test_servers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    program = f"""
import asyncio
from pathlib import Path
from parley.cli.embedded import Nats, Postgres, Server

async def main():
    folder = Path({str(tmp_path)!r})
    async with Server(Nats(folder / "nats")) as nats, Server(Postgres(folder / "postgres", durable=False)) as postgres:
        print(nats.process.pid, postgres.process.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    assert parent.stdout
    pids = [int(word) for word in (await parent.stdout.readline()).split()]
    assert all(psutil.pid_exists(pid) for pid in pids)

    parent.send_signal(signal.SIGKILL)
    await parent.communicate()

    await eventually(lambda: [str(pid) for pid in pids if psutil.pid_exists(pid)])
