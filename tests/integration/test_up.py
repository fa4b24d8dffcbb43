"""``parley up`` and its companions: what a person at a terminal is promised, with stand-ins for the services."""

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import asyncpg
import httpx
import nats
import psutil
import pytest
import pytest_asyncio
from support.eventually import eventually
from support.instance import Instance

from parley.cli.embedded import Server
from parley.cli.embedded.ports import free_port, port_is_free

PARTS = ["nats", "postgres", "gateway", "presence", "rooms", "history", "caddy"]
KEYS = {"name", "replica", "pid", "address", "http", "ready", "status", "restarts"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Instance]:
    """Give an instance that tests look at and leave as it is."""
    instance = Instance(tmp_path_factory.mktemp("shared") / "data")
    await instance.start()
    yield instance
    await instance.stop()


@pytest.fixture
async def instance(tmp_path: Path) -> AsyncIterator[Instance]:
    """Give an instance of the test's own, not yet started."""
    instance = Instance(tmp_path / "data")
    yield instance
    await instance.stop()


@pytest.fixture
def light(nats_url: str, database_url: str, instance: Instance) -> Instance:
    """Give an instance that uses a NATS and a PostgreSQL that run already, which starts quicker."""
    instance.env |= {"NATS_URL": nats_url, "DATABASE_URL": database_url}
    return instance


def test_status_describes_every_part(shared: Instance) -> None:
    status = json.loads(shared.parley("status", "--json").stdout)

    assert status == shared.status(), "what other tests go by"
    assert [part["name"] for part in status["parts"]] == PARTS
    assert all(part.keys() == KEYS and part["ready"] and part["replica"] == 0 for part in status["parts"])
    assert all(psutil.pid_exists(part["pid"]) for part in status["parts"])
    with_address = {part["name"] for part in status["parts"] if part["address"]}
    with_http = {part["name"] for part in status["parts"] if part["http"]}
    assert with_address == {"nats", "postgres", "gateway", "caddy"}
    assert with_http == {"gateway", "presence", "rooms", "history", "caddy"}


async def test_the_addresses_in_the_status_are_good(shared: Instance) -> None:
    status = shared.status()

    bus = await nats.connect(status["nats"])
    assert (await bus.jetstream().account_info()).streams == 0
    await bus.close()
    database = await asyncpg.connect(status["database"])
    assert await database.fetchval("SELECT 1") == 1
    await database.close()
    async with httpx.AsyncClient(base_url=status["frontDoor"]) as client:
        assert (await client.get("/")).status_code == httpx.codes.OK


def test_status_is_a_table_for_people(shared: Instance) -> None:
    shown = shared.parley("status").stdout

    assert all(f"{name}-0" in shown for name in PARTS)
    assert shared.url in shown


def test_up_says_where_to_go_and_loudly_that_it_is_in_development_mode(shared: Instance) -> None:
    assert f"Open         {shared.url}" in shared.said
    assert "DEVELOPMENT MODE: whoever reaches this machine's loopback is let in" in shared.said


def test_a_second_up_on_the_same_data_says_who_runs(shared: Instance) -> None:
    second = shared.up_again()

    assert second.returncode == 1
    assert second.stderr.startswith(f"parley: Parley already runs on {shared.folder} (process {shared.process.pid}")
    assert shared.url in second.stderr
    assert second.stderr.count("\n") == 1


def test_a_taken_port_is_said_in_one_sentence(shared: Instance, tmp_path: Path) -> None:
    port = shared.url.rpartition(":")[2]

    other = Instance(tmp_path / "data").up_again(PARLEY_PORT=port)

    assert other.returncode == 1
    assert other.stderr.startswith(f"parley: Port {port} is taken by caddy (process ")
    assert other.stderr.endswith(f"choose another with PARLEY_PORT={int(port) + 1}.\n")


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("PARLEY_PORT", "eighty", "PARLEY_PORT must be a port, a number from 0 (any free one) to 65535, not 'eighty'."),
        ("PARLEY_PORT", "65536", "PARLEY_PORT must be a port, a number from 0 (any free one) to 65535, not '65536'."),
        ("PARLEY_DATA", "/dev/null/x", "/dev/null/x cannot be used for data (Not a directory): set PARLEY_DATA."),
    ],
)
def test_a_wrong_variable_is_said_in_one_sentence(tmp_path: Path, variable: str, value: str, sentence: str) -> None:
    done = Instance(tmp_path / "data").up_again(**{variable: value})

    assert (done.returncode, done.stderr) == (1, f"parley: {sentence}\n")


def test_scaling_what_does_not_exist_is_said_in_one_sentence(tmp_path: Path) -> None:
    done = Instance(tmp_path / "data").parley("up", "--scale", "postgres=2")

    assert done.returncode == 1
    assert done.stderr == (
        "parley: --scale takes gateway, presence, rooms, history and a number, such as gateway=2, not 'postgres=2'.\n"
    )


def test_without_an_instance_status_and_down_say_so(tmp_path: Path) -> None:
    nobody = Instance(tmp_path / "data")

    status, down = nobody.parley("status", "--json"), nobody.parley("down")

    assert (status.returncode, status.stdout) == (1, "")
    assert status.stderr == f"parley: Nothing runs on {nobody.folder}: start it with `parley up`.\n"
    assert (down.returncode, down.stdout) == (0, f"Nothing ran on {nobody.folder}.\n")


async def test_instances_run_side_by_side(shared: Instance, instance: Instance) -> None:
    await instance.start()

    ports = [{part["address"] or part["http"] for part in each.status()["parts"]} for each in (shared, instance)]
    assert not ports[0] & ports[1]
    assert all(each.get("/readyz").is_success for each in (shared, instance))


async def test_ctrl_c_ends_all_parts_and_the_next_start_finds_its_data(instance: Instance) -> None:
    await instance.start()
    status, pids = instance.status(), instance.pids
    bus = await nats.connect(status["nats"])
    await bus.jetstream().add_stream(name="S", subjects=["s"])
    await bus.jetstream().publish("s", b"kept")
    await bus.close()
    database = await asyncpg.connect(status["database"])
    await database.execute("CREATE TABLE kept AS SELECT 7 AS n")
    await database.close()

    assert await instance.stop() == 0

    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    await instance.start()
    status = instance.status()
    bus = await nats.connect(status["nats"])
    assert (await bus.jetstream().stream_info("S")).state.messages == 1
    await bus.close()
    database = await asyncpg.connect(status["database"])
    assert await database.fetchval("SELECT n FROM kept") == 7
    await database.close()


async def test_down_stops_it(light: Instance) -> None:
    await light.start()
    pids = light.pids

    down = light.parley("down")

    assert (down.returncode, down.stdout) == (0, f"Parley has stopped; its data stays in {light.folder}.\n")
    assert await light.process.ended() == 0
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


async def test_other_servers_are_used_when_named(light: Instance, nats_url: str, database_url: str) -> None:
    await light.start()

    status = light.status()
    assert (status["nats"], status["database"]) == (nats_url, database_url)
    assert [part["name"] for part in status["parts"]] == [name for name in PARTS if name not in {"nats", "postgres"}]


@pytest.mark.parametrize("name", ["gateway", "rooms", "caddy"])
async def test_a_part_that_dies_is_started_again_at_its_address(light: Instance, name: str) -> None:
    await light.start()
    before = light.part(name)

    os.kill(before["pid"], signal.SIGKILL)

    await eventually(lambda: light.says("killed by signal 9; starts again in 0.2 s"))
    await light.ready()
    after = light.part(name)
    assert after["pid"] != before["pid"]
    assert (after["http"], after["address"], after["restarts"]) == (before["http"], before["address"], 1)


@pytest.mark.parametrize("name", ["nats", "postgres"])
async def test_a_server_that_dies_is_started_again(instance: Instance, name: str) -> None:
    await instance.start()
    before = instance.part(name)

    os.kill(before["pid"], signal.SIGKILL)

    await eventually(lambda: None if instance.part(name)["restarts"] else "not started again yet")
    await instance.ready()
    assert instance.part(name)["address"] == before["address"]


async def test_a_part_that_keeps_dying_is_started_ever_more_slowly(light: Instance) -> None:
    await light.start()

    for sentence in (
        "signal 9; starts again in 0.2 s",
        "signal 9; starts again in 0.5 s",
        "signal 9; starts again in 1 s",
    ):
        os.kill(light.part("rooms")["pid"], signal.SIGKILL)
        await eventually(partial(light.says, sentence))
        await light.ready()


async def test_the_front_door_is_ready_only_when_all_parts_are(light: Instance) -> None:
    await light.start()
    rooms = light.part("rooms")["http"]

    async with httpx.AsyncClient() as client:
        await client.post(f"http://{rooms}/unready")

    answer = light.get("/readyz")
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert answer.json()["code"] == "degraded"
    assert answer.json()["message"] == "rooms-0: It was told to be unready."
    assert not light.part("rooms")["ready"]
    assert light.get("/livez").is_success


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends what is left")
async def test_parts_end_with_a_killed_supervisor(instance: Instance) -> None:
    await instance.start()
    pids = instance.pids

    await instance.process.kill()

    await eventually(lambda: [f"{pid} runs" for pid in pids if psutil.pid_exists(pid)])
    assert instance.parley("status").returncode == 1
    await instance.start()


async def test_a_part_that_cannot_start_is_said_in_one_sentence(light: Instance) -> None:
    light.env["STAND_IN_REFUSES"] = "rooms"

    light.begin()

    assert await light.process.ended() == 1
    log = light.folder / "logs" / "rooms-0.log"
    assert f"parley: rooms-0 cannot start: rooms does not feel like it. (its log: {log})\n" in light.said
    assert "Traceback" not in light.said


async def test_up_can_be_stopped_while_it_starts(instance: Instance) -> None:
    instance.env["STAND_IN_BROKEN"] = "It never is."
    instance.begin()
    await eventually(lambda: instance.says("It never is."))
    pids = instance.pids

    assert await instance.stop() == 0

    assert not [pid for pid in pids if psutil.pid_exists(pid)]


async def test_replicas_share_the_front_door_and_one_may_die(light: Instance) -> None:
    await light.start("gateway=2", "rooms=2")
    url, gateways = light.url, [light.part("gateway", replica) for replica in (0, 1)]

    async with httpx.AsyncClient(base_url=url) as client:
        answers = [(await client.get("/prod/@connections/x")).json() for _ in range(8)]
        assert {str(answer["port"]) for answer in answers} == {each["http"].rpartition(":")[2] for each in gateways}

        os.kill(gateways[0]["pid"], signal.SIGKILL)

        assert all([(await client.get("/prod/@connections/x")).is_success for _ in range(8)])


async def test_ports_are_free_ones_unless_set(light: Instance, nats_server: Server) -> None:
    port = next(port for port in iter(free_port, None) if port_is_free("127.0.0.1", port + 1))
    light.env |= {"GATEWAY_PORT": str(port)}

    await light.start("gateway=2")

    assert [light.part("gateway", replica)["address"] for replica in (0, 1)] == [
        f"127.0.0.1:{port}",
        f"127.0.0.1:{port + 1}",
    ]


async def test_a_second_ctrl_c_ends_everything_at_once(light: Instance) -> None:
    light.env["STAND_IN_STUBBORN"] = "rooms"
    await light.start()
    pids = light.pids
    light.process.send(signal.SIGINT)
    await eventually(lambda: light.says("history-0    stopped"))
    assert light.process.running

    light.process.send(signal.SIGINT)

    assert await light.process.ended() == 0
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


async def test_a_long_log_is_begun_anew(light: Instance) -> None:
    logs = light.folder / "logs"
    logs.mkdir(parents=True)
    (logs / "rooms-0.log").write_bytes(b"x" * 11_000_000)

    await light.start()

    assert (logs / "rooms-0.log").stat().st_size < 1_000_000
    assert (logs / "rooms-0.log.1").stat().st_size == 11_000_000
