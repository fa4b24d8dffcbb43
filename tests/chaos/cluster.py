"""
Parley with two of everything but the servers, as real processes under its own supervisor.

A part is named as ``parley status`` names it, ``rooms-1``. What it does to parts it does by their process ids, which it
asks the supervisor for each time.
"""

import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec
import psutil
from chaos.proxy import Proxy
from support.eventually import eventually
from support.instance import REAL, Instance

SCALE = ("gateway=2", "presence=2", "rooms=2", "history=2")
PARTS = (
    *(f"{name}-{replica}" for name in ("gateway", "presence", "rooms", "history") for replica in (0, 1)),
    *("nats-0", "postgres-0", "caddy-0"),
)
DOORS = ("gateway-0", "gateway-1", "caddy-0")


def broken(rule: str) -> tuple[str, ...]:
    """Return how to start a Parley in which one rule of `breaks.py` does not hold."""
    return (sys.executable, "-P", str(Path(__file__).with_name("broken_up.py")), rule)


class Cluster:
    """All processes, and the proxies through which clients come."""

    def __init__(self, folder: Path, up: tuple[str, ...] = REAL) -> None:
        self.instance = Instance(folder / "data", up=up)
        self.proxies: list[Proxy] = []
        self._exits = AsyncExitStack()
        self._paused: dict[str, list[int]] = {}

    async def __aenter__(self) -> Self:
        self.proxies = [await self._exits.enter_async_context(Proxy()) for _ in DOORS]
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for part in list(self._paused):
            self.wake(part)
        await self._exits.aclose()
        await self.instance.stop()

    @property
    def doors(self) -> tuple[str, ...]:
        """Where clients come in: each gateway, and the front door."""
        return tuple(f"ws://{proxy.address}" for proxy in self.proxies)

    @property
    def state(self) -> dict[str, Any]:
        """What the supervisor has written down."""
        state: dict[str, Any] = msgspec.json.decode((self.instance.folder / "state.json").read_bytes())
        return state

    async def start(self) -> None:
        """Start everything."""
        words = [word for scale in SCALE for word in ("--scale", scale)]
        await self.instance.start(*words, within=90)
        parts = await self.look()
        for proxy, door in zip(self.proxies, DOORS, strict=True):
            proxy.target = parts[door]["address"]

    async def look(self) -> dict[str, dict[str, Any]]:
        """Return what the supervisor says of each part."""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            answer = await client.get(f"http://{self.state['control']}/readyz")
        return {f"{part['name']}-{part['replica']}": part for part in answer.json()["parts"]}

    async def ready(self, within: float = 60) -> None:
        """Wait until every part is."""

        async def missing() -> list[str]:
            try:
                parts = await self.look()
            except httpx.HTTPError as error:
                return [repr(error)]
            return [f"{name}: {part['status']}" for name, part in parts.items() if not part["ready"]]

        await eventually(missing, within)

    async def kill(self, part: str) -> None:
        """End it without a word."""
        _send(await self._pids(part, whole=False), signal.SIGKILL)

    async def restart(self, part: str) -> None:
        """Ask it to end; the supervisor starts it again."""
        _send(await self._pids(part, whole=False), signal.SIGINT if part.startswith("postgres") else signal.SIGTERM)

    async def pause(self, part: str) -> None:
        """Stop it where it stands."""
        pids = await self._pids(part, whole=True)
        self._paused[part] = pids
        _send(pids, signal.SIGSTOP)

    def wake(self, part: str) -> None:
        """Let it go on."""
        _send(self._paused.pop(part, []), signal.SIGCONT)

    async def _pids(self, part: str, *, whole: bool) -> list[int]:
        """Return its process, with its children if it is to be *whole*: PostgreSQL is many."""
        pid = (await self.look())[part]["pid"]
        if pid is None:
            return []
        children: list[int] = []
        if whole and part.startswith("postgres"):
            with suppress(psutil.NoSuchProcess):
                children = [child.pid for child in psutil.Process(pid).children(recursive=True)]
        return [pid, *children]

    @asynccontextmanager
    async def without(self, part: str) -> AsyncIterator[None]:
        """Be without it for the length of the block: the supervisor, who is quick, sleeps meanwhile."""
        pids = await self._pids(part, whole=True)
        supervisor = [int(self.state["pid"])]
        _send(supervisor, signal.SIGSTOP)
        try:
            _send(pids, signal.SIGKILL)
            await eventually(lambda: [str(pid) for pid in pids if _runs(pid)], 5)
            yield
        finally:
            _send(supervisor, signal.SIGCONT)

    @asynccontextmanager
    async def asleep(self, part: str) -> AsyncIterator[None]:
        """Have it stand still for the length of the block: who asks it gets no answer, and no refusal."""
        await self.pause(part)
        try:
            yield
        finally:
            self.wake(part)

    async def wipe_nats(self) -> None:
        """Take from NATS all that it has."""
        async with self.without("nats-0"):
            shutil.rmtree(self.instance.folder / "nats")
            (self.instance.folder / "nats").mkdir()

    async def kill_all(self) -> None:
        """End the supervisor and all its parts at once, as a power cut would."""
        state = self.state
        pids = [state["pid"], *(process["pid"] for process in state["processes"])]
        for process in [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]:
            pids += [child.pid for child in process.children(recursive=True)]
        _send(pids, signal.SIGKILL)
        await self.instance.process.ended()
        await eventually(lambda: [str(pid) for pid in pids if _runs(pid)], 10)


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
