"""
A rollout, as the rendered objects say it: every process is replaced under load, and clients notice nothing.

What the controller of Deployments and the kubelet do in a cluster is done here as it is rendered. All Deployments are
replaced at once, as `helm upgrade` has it, each pod after pod: a successor is ready before anybody goes (maxSurge 1,
maxUnavailable 0), then the hook of the one that goes runs, then it is asked to end, and has the rest of its grace. The
new pods are of a newer version, whose migrations have run before. Servers of NATS go one after another, the last first.

It takes minutes: `make chart-rollout`.
"""

import asyncio
import re
import shutil
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from chart.local import Local, answers
from chart.prepared import STORING, nats, new_database, prepare, succeeded
from chart.rendered import Container, Rendered, pod_of, render
from chart.service import Service
from support.eventually import eventually

from parley.cli.embedded import Process, Server
from parley.cli.embedded.ports import LOOPBACK, free_port
from parley.client import Client, connect
from parley.kit.db import revisions
from parley.kit.tokens import mint

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

SERVICES = ("gateway", "presence", "rooms", "history")
SCALE = 0.1
"""
Of the seconds that a hook sleeps, in which a cluster's endpoints hear of it; here that takes no time. Nothing else is
shortened: the drain and the grace are as rendered.
"""
ROOMS, MEMBERS = 4, 6
PAUSE_SECONDS = 0.4
"""Between two words of one client."""


@dataclass
class Pod:
    """One pod of a Deployment."""

    container: Container
    process: Process
    addresses: dict[int, str]
    """By the port inside: that of here."""


@dataclass
class Cluster:
    """What runs, and the Services through which it is found."""

    local: Local
    services: dict[str, Service]
    """By the address in the cluster."""
    servers: list[Process]
    """Of NATS, by their ordinal."""
    pods: dict[str, list[Pod]] = field(default_factory=lambda: {name: [] for name in SERVICES})

    @property
    def front_door(self) -> str:
        return self.local.addresses["parley-web:8080"]

    async def start(self, name: str, version: Mapping[str, str] = MappingProxyType({})) -> Pod:
        """Start a pod, of another *version* if wanted; it gets connections once its probe says that it is ready."""
        container = self.local.container(name, name)
        ports = {port["name"]: port["containerPort"] for port in container.spec["ports"]}
        addresses = {port: f"{LOOPBACK}:{free_port(LOOPBACK)}" for port in ports.values()}
        variables = {8080: "GATEWAY_PORT", 8081: f"{name.upper()}_HTTP_PORT"}
        environ = {variables[port]: address.rpartition(":")[2] for port, address in addresses.items()}
        pod = Pod(container, self.local.start(container, environ={**environ, **version}), addresses)
        probe = container.spec["readinessProbe"]["httpGet"]
        await answers(f"http://{addresses[ports[probe['port']]]}{probe['path']}", pod.process)
        self.pods[name].append(pod)
        for port, address in addresses.items():
            self.services[f"parley-{name}:{port}"].pods.append(address)
        return pod

    async def end(self, name: str, pod: Pod) -> None:
        """End a pod as the kubelet does; it must be gone, of its own will, before its grace is over."""
        word, seconds = pod.container.spec["lifecycle"]["preStop"]["exec"]["command"]
        assert word == "sleep"
        hook = await asyncio.create_subprocess_exec(word, str(float(seconds) * SCALE))
        assert await hook.wait() == 0
        for port, address in pod.addresses.items():  # the last to hear of it hears of it now, when the hook is over
            self.services[f"parley-{name}:{port}"].pods.remove(address)
        self.pods[name].remove(pod)

        pod.process.send(signal.SIGTERM)
        grace = pod_of(pod.container.owner)["spec"]["terminationGracePeriodSeconds"] - float(seconds)
        async with asyncio.timeout(grace):
            assert await pod.process.ended() == 0, pod.process.program.log.read_text()

    async def replace(self, name: str, version: Mapping[str, str]) -> None:
        """Replace all pods of a Deployment by those of another version, as its strategy says."""
        spec = self.local.rendered.get("Deployment", f"parley-{name}")["spec"]
        assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        for pod in list(self.pods[name]):
            await self.start(name, version)
            assert len(self.pods[name]) == spec["replicas"] + 1
            await self.end(name, pod)

    async def replace_server(self, ordinal: int) -> None:
        """Replace a server of NATS as its StatefulSet does."""
        container = self.local.container("nats", "nats")
        grace = pod_of(container.owner)["spec"]["terminationGracePeriodSeconds"]
        async with asyncio.timeout(grace):
            await self.local.before_stop(container, ordinal)
            self.servers[ordinal].send(signal.SIGTERM)
            assert await self.servers[ordinal].ended() == 0
        self.servers[ordinal] = nats(self.local, ordinal)
        monitor = self.local.addresses[f"parley-nats-{ordinal}.parley-nats:8222"]
        for probe in ("startupProbe", "readinessProbe"):
            await answers(f"http://{monitor}{container.spec[probe]['httpGet']['path']}", self.servers[ordinal])


@pytest_asyncio.fixture
async def cluster(tmp_path: Path, postgres: Server) -> AsyncIterator[Cluster]:
    """Give two of each service, found through Services, behind the front door."""
    database = await new_database(postgres)
    (tmp_path / "pages").mkdir()
    rendered = render(postgresql__database=database, web__root=str(tmp_path / "pages"))
    local = Local(rendered, tmp_path, postgres.url)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(local.stop)
        services = {
            address: await stack.enter_async_context(Service(local.addresses[address]))
            for address in ("parley-gateway:8080", *(f"parley-{name}:8081" for name in SERVICES))
        }
        cluster = Cluster(local, services, await prepare(local, urlsplit(postgres.url)))
        replicas = {name: rendered.get("Deployment", f"parley-{name}")["spec"]["replicas"] for name in SERVICES}
        assert set(replicas.values()) == {2}
        await asyncio.gather(*(cluster.start(name) for name in SERVICES for _ in range(replicas[name])))
        door = local.container("web", "web")
        health = f":{free_port(LOOPBACK)}"
        changes = {"http://:8080": f"http://{cluster.front_door}", ":8081": health}
        await answers(f"http://{LOOPBACK}{health}/readyz", local.start(door, changes))
        yield cluster


class Member:
    """A client that counts aloud in its room, and writes down what it is answered and what it hears."""

    def __init__(self, client: Client, room: str, name: str) -> None:
        self.client = client
        self.room = room
        self.name = name
        self.id = client.connection_id
        self.said: list[tuple[int, str]] = []
        """Where in the room each word stands, as the answers said."""
        self.heard: list[tuple[int, str]] = []
        self.others: list[str] = []
        """What it heard besides chat, by type."""

    async def talk(self, quiet: asyncio.Event) -> None:
        """Say one word after another until all are to be quiet."""
        while not quiet.is_set():
            word = f"{self.name} {len(self.said)}"
            self.said.append(((await self.client.chat(self.room, word))["position"], word))
            await asyncio.sleep(PAUSE_SECONDS)

    async def listen(self) -> None:
        """Hear for as long as the connection lasts."""
        async for frame in self.client:
            if frame["type"] == "chat":
                self.heard.append((frame["position"], frame["text"]))
            else:
                self.others.append(frame["type"])

    def missing(self, count: int) -> str | None:
        """Say how many words it has still to hear, if any."""
        return f"{self.name} has heard {len(self.heard)} of {count}" if len(self.heard) < count else None


def token(rendered: Rendered) -> str:
    """Mint a token with the secret that the chart has made."""
    secret = rendered.secret("parley-auth", "token-secret")
    rooms = {"*": ["join", "send", "history"]}
    return mint(secret, expires_at=time.time() + 600, subject="ana", rooms=rooms, grants=["direct"])


@asynccontextmanager
async def conversations(cluster: Cluster) -> AsyncIterator[list[Member]]:
    """Have clients talk in their rooms for the length of the block; at its end everybody has heard everything once."""
    quiet, key = asyncio.Event(), token(cluster.local.rendered)
    async with AsyncExitStack() as stack:
        members = []
        for number in range(ROOMS * MEMBERS):
            client = await stack.enter_async_context(connect(f"ws://{cluster.front_door}", token=key))
            members.append(Member(client, f"room-{number % ROOMS}", f"m{number}"))
            await client.join(members[-1].room)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        ears = [group.create_task(member.listen()) for member in members]
        mouths = [group.create_task(member.talk(quiet)) for member in members]
        await eventually(lambda: None if all(len(each.said) > 1 for each in members) else "not all have spoken")
        for member in members:
            member.others.clear()  # those who came
        yield members
        quiet.set()
        await asyncio.gather(*mouths)

        for member in members:
            said = sorted(word for each in members if each.room == member.room for word in each.said)
            await eventually(partial(member.missing, len(said)))
            assert member.heard == said, member.name
            assert member.said == sorted(member.said), member.name
            assert member.client.connected
            assert member.client.connection_id == member.id
        assert await held(cluster) == sorted(member.id for member in members)
        for server in cluster.servers:  # NATS let everybody do it
            assert "iolation" not in server.program.log.read_text()
        for ear in ears:
            ear.cancel()


async def test_a_rollout_of_everything_loses_doubles_and_reorders_nothing(cluster: Cluster, tmp_path: Path) -> None:
    """To a version that has added something to each schema; until all are replaced both serve, and both may start."""
    first = {pod.process.pid for pods in cluster.pods.values() for pod in pods}
    version = {"PYTHONPATH": str(newer(tmp_path / "newer"))}
    async with conversations(cluster) as members:
        for name in STORING:
            await succeeded(cluster.local.start(cluster.local.container("migrations", name), environ=version))
            victim = cluster.pods[name][0]  # a node of it is lost, and the pod that follows is of the version before
            await cluster.end(name, victim)
            await cluster.start(name)
        await asyncio.gather(*(cluster.replace(name, version) for name in SERVICES))

    for member in members:
        assert set(member.others) == {"goAway"}, member.name  # nobody left or came, and all were asked to move
    assert not first & {pod.process.pid for pods in cluster.pods.values() for pod in pods}


def newer(folder: Path) -> Path:
    """Write a newer version of the services that have a schema, with a migration that older ones do not mind."""
    for name in STORING:
        package = f"parley.{name}"
        shutil.copytree(str(files(package)), folder / "parley" / name, ignore=shutil.ignore_patterns("__pycache__"))
        last = revisions(package)[-1]
        (folder / "parley" / name / "migrations" / "29990101_colour.py").write_text(
            f"from alembic import op\n\n"
            f"revision = '29990101_colour'\ndown_revision = compatible_from = {last!r}\n\n"
            f"def upgrade():\n"
            f"    for table in {tables(package)!r}:\n"
            f"        op.execute(f\"alter table {{table}} add column colour text not null default 'grey'\")\n"
        )
    return folder


def tables(package: str) -> list[str]:
    """Return the tables that the migrations of *package* make."""
    folder = files(package).joinpath("migrations")
    text = "".join(folder.joinpath(f"{name}.py").read_text() for name in revisions(package))
    return re.findall(r"create table (\w+)", text)


async def test_a_rollout_of_nats_loses_doubles_and_reorders_nothing(cluster: Cluster) -> None:
    """
    One server after another, each in lame duck mode before its end: it stores what it was given, hands its streams
    over, and sends who is connected to the others. Then one just dies. Clients of Parley notice at most that for some
    seconds nothing is stored.
    """
    async with conversations(cluster) as members:
        for ordinal in (2, 1, 0):
            old = cluster.servers[ordinal]
            await cluster.replace_server(ordinal)
            assert "Entering lame duck mode" in old.program.log.read_text()
        await cluster.servers[2].kill()
        count = {member: len(member.said) + 3 for member in members}
        await eventually(
            lambda: None if all(len(each.said) >= count[each] for each in members) else "not all speak again"
        )

    for member in members:
        assert set(member.others) <= {"degraded", "restored"}, member.name


async def held(cluster: Cluster) -> list[str]:
    """Return the connections that gateways hold sockets of."""
    found = []
    async with httpx.AsyncClient(trust_env=False) as http:
        for pod in cluster.pods["gateway"]:
            answer = await http.get(f"http://{pod.addresses[8081]}/v1/internal/connections")
            found += [each["connectionId"] for each in answer.json()["connections"] if each["open"]]
    return sorted(found)
