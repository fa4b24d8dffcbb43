"""The three servers: started by us, on loopback, in folders of their own, and ended by us."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count, repeat
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import psutil

from benchmarks import wires
from benchmarks.wires import Wrong
from parley.cli.embedded.process import Process, Program
from parley.cli.instance import Instance
from parley.cli.status import Status
from parley.kit import tokens

HERE = Path(__file__).parent
OURS = ("PARLEY_", "GATEWAY_", "PRESENCE_", "ROOMS_", "HISTORY_", "NATS_URL", "DATABASE_URL")
"""Settings that belong to another instance. OTEL_ variables pass, to measure with telemetry."""

QUIET = 0.1
"""Share of one processor below which a system is at rest."""


@dataclass(frozen=True)
class System:
    """A server to be measured."""

    name: str
    wire: wires.Wire
    address: str
    processes: dict[str, psutil.Process]
    """Of what it consists, and first the one that holds the sockets."""
    tokens: Iterator[str]
    relay: psutil.Process | None = None
    """The one that collects its garbage when asked with SIGUSR2."""

    @property
    def gateway(self) -> psutil.Process:
        return next(iter(self.processes.values()))

    def processor_seconds(self) -> dict[str, float]:
        """Return what each process has used so far, its children included."""
        return {name: used(process) for name, process in self.processes.items()}

    async def rest(self, within: float = 10) -> None:
        """Return when it has nothing left to do, or after a while: then it is what it always does."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            before, began = sum(self.processor_seconds().values()), time.monotonic()
            await asyncio.sleep(0.3)
            used = sum(self.processor_seconds().values()) - before
            if used < QUIET * (time.monotonic() - began):
                return

    async def resident_bytes(self) -> int:
        """Return the memory of the process that holds the sockets."""
        if self.relay is not None:
            self.relay.send_signal(signal.SIGUSR2)
            await asyncio.sleep(0.5)
        return int(self.gateway.memory_info().rss)


def used(process: psutil.Process) -> float:
    """Return the processor time of a process and its children."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue  # a child of PostgreSQL's that has done its work
        total += times.user + times.system
    return total


@dataclass(frozen=True)
class Up:
    """A Parley that runs."""

    status: Status
    control: str
    """Where its supervisor tells about its parts."""
    tokens: Iterator[str]


@asynccontextmanager
async def up(*arguments: str, **settings: str) -> AsyncIterator[Up]:
    """Run `parley up` on new data; clients present tokens."""
    secret = os.urandom(32).hex()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    with TemporaryDirectory(prefix="parley-bench-") as folder:
        environ |= {"PARLEY_DATA": f"{folder}/data", "PARLEY_PORT": "0", "PARLEY_TOKEN_SECRET": secret} | settings
        command = (sys.executable, "-m", "parley.cli")
        log = Path(folder, "up.log")
        program = Program("parley up", (*command, "up", *arguments), log, env=environ, death_signal=signal.SIGTERM)
        async with _running(program) as process:
            status = await _ready(process, (*command, "status", "--json"), environ, log)
            state = Instance(Path(folder, "data")).read()
            assert state is not None
            yield Up(status, state.control, _tokens(secret))


@asynccontextmanager
async def parley(**settings: str) -> AsyncIterator[System]:
    """`parley up` as a newcomer has it, but for *settings*."""
    async with up(**settings) as it:
        parts = {part.name: part for part in it.status.parts}
        yield System(
            name="Parley",
            wire=wires.Parley(),
            address=str(parts["gateway"].address),
            processes={
                name: psutil.Process(parts[name].pid)
                for name in ("gateway", "rooms", "presence", "history", "nats", "postgres")
            },
            tokens=it.tokens,
        )


@asynccontextmanager
async def socket_io() -> AsyncIterator[System]:
    """The relay of benchmarks/socketio."""
    relay = HERE / "socketio"
    if not (relay / "node_modules" / "socket.io").exists():
        raise Wrong("Socket.IO is not installed: run `make bench`, or `npm ci` in benchmarks/socketio.")
    version = msgspec.json.decode((relay / "node_modules/socket.io/package.json").read_bytes())["version"]
    argv = ("node", "--expose-gc", str(relay / "relay.mjs"))
    async with _says_where(f"Socket.IO {version}", argv) as (process, address):
        name = f"Socket.IO {version}"
        yield System(name, wires.SocketIO(), address, {"node": process}, repeat(""), relay=process)


@asynccontextmanager
async def bare() -> AsyncIterator[System]:
    """What the generator itself can do."""
    async with _says_where("bare loop", (sys.executable, "-m", "benchmarks.bare")) as (process, address):
        yield System("bare loop", wires.Bare(), address, {"loop": process}, repeat(""))


@asynccontextmanager
async def swallow() -> AsyncIterator[str]:
    """Where traces may be sent."""
    async with _says_where("the receiver of traces", (sys.executable, "-m", "benchmarks.swallow")) as (_, address):
        yield address


@asynccontextmanager
async def _says_where(name: str, argv: tuple[str, ...]) -> AsyncIterator[tuple[psutil.Process, str]]:
    """Run a server that prints its address on one line."""
    with TemporaryDirectory(prefix="parley-bench-") as folder:
        log = Path(folder, "log")
        async with _running(Program(name, argv, log, cwd=HERE.parent)) as process:
            deadline = time.monotonic() + 10
            while not (said := log.read_text()).endswith("\n"):  # noqa: ASYNC240 - nothing else runs yet
                if not process.running or time.monotonic() > deadline:
                    raise Wrong(f"{name} did not start: {said or 'it said nothing'}")
                await asyncio.sleep(0.05)
            yield psutil.Process(process.pid), said.strip()


@asynccontextmanager
async def _running(program: Program) -> AsyncIterator[Process]:
    process = Process(program)
    try:
        yield process
    finally:
        await process.stop(within=30)


async def _ready(up: Process, argv: tuple[str, ...], environ: dict[str, str], log: Path, within: float = 60) -> Status:
    """Return what `parley status` says once all parts are ready."""
    deadline = time.monotonic() + within
    while up.running and time.monotonic() < deadline:
        asked = subprocess.run(argv, env=environ, capture_output=True, check=False, timeout=30)  # noqa: ASYNC221 - as above
        if asked.returncode == 0:
            status = msgspec.json.decode(asked.stdout, type=Status)
            if status.parts and all(part.ready for part in status.parts):
                return status
        await asyncio.sleep(0.3)
    raise Wrong(f"Parley did not become ready:\n{log.read_text()[-4000:]}")  # noqa: ASYNC240 - as above


def _tokens(secret: str) -> Iterator[str]:
    """Return tokens of different people who may all that is measured."""
    for number in count(1):
        yield tokens.mint(
            secret,
            expires_at=time.time() + 3600,
            subject=f"bench-{number}",
            rooms={"*": ["join", "send", "history"]},
            grants=("direct", "presence"),
        )
