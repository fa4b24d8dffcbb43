"""An instance of Parley for a test: ``parley up`` as a process of its own, in a folder of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import msgspec
from support.eventually import eventually

from parley.cli.embedded.process import Process, Program

STAND_INS = (sys.executable, "-P", str(Path(__file__).with_name("stand_in_up.py")))
REAL = (sys.executable, "-m", "parley.cli", "up")
IMPATIENT = (sys.executable, "-P", str(Path(__file__).with_name("impatient_up.py")))
PARLEY = (sys.executable, "-m", "parley.cli")
WRITTEN_DOWN = ("frontDoor", "nats", "database", "rootCertificate", "pid")
"""What the status tells as it is in the file of the supervisor's state."""
OURS = ("PARLEY_", "GATEWAY_", "PRESENCE_", "ROOMS_", "HISTORY_", "NATS_URL", "DATABASE_URL", "OTEL_")


class Instance:
    """
    ``parley up`` on a folder, at a free port.

    *up* is what starts it: ``STAND_INS`` runs stand-ins for the services, ``REAL`` the services, ``IMPATIENT`` too, but
    with a shorter grace for the clients of a lost gateway.
    """

    def __init__(self, folder: Path, *, up: tuple[str, ...] = STAND_INS, **environ: str) -> None:
        self.folder = folder
        self.log = folder.with_name(folder.name + "-up.log")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        self.env = inherited | {"PARLEY_DATA": str(folder), "PARLEY_PORT": "0"} | environ
        self._up = up
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        assert self._process, "the instance has not been started"
        return self._process

    @property
    def said(self) -> str:
        """What ``up`` has printed so far."""
        return self.log.read_text()

    def says(self, text: str) -> str | None:
        """Return None once ``up`` has printed *text*, for ``eventually``."""
        return None if text in self.said else f"it has not said {text!r}, only: {self.said}"

    def begin(self, *arguments: str) -> None:
        """Start it and return at once."""
        up = (*self._up, *arguments)
        self._process = Process(Program("up", up, self.log, env=self.env, stop_signal=signal.SIGINT))

    async def start(self, *arguments: str, within: float = 90) -> None:
        """Start it and return when all parts are ready; if they do not get so, leave nothing behind."""
        self.begin(*arguments)
        try:
            await self.ready(within)
        except BaseException:
            await self.stop()
            raise

    async def ready(self, within: float = 90) -> None:
        """Return when all parts are ready; asked often, they would be busy with answers instead of getting ready."""
        await eventually(lambda: f"not ready: {self.said}" if not self._all_ready() else None, within, pause=0.1)

    def parley(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run another command on the same data."""
        return subprocess.run(
            [*PARLEY, *arguments], env=self.env | environ, capture_output=True, text=True, check=False, timeout=60
        )

    def up_again(self, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run a second ``up``, which is expected to end by itself."""
        return subprocess.run(self._up, env=self.env | environ, capture_output=True, text=True, check=False, timeout=60)

    def status(self) -> dict[str, Any]:
        """Return what ``parley status --json`` prints, without the time that a process takes to print it."""
        state = self._state()
        assert state, f"nothing runs: {self.said}"
        parts = httpx.get(f"http://{state['control']}/readyz", timeout=10).json()["parts"]
        return {name: state[name] for name in WRITTEN_DOWN} | {"parts": parts}

    def part(self, name: str, replica: int = 0) -> dict[str, Any]:
        """Return what the status says of one part."""
        parts: list[dict[str, Any]] = self.status()["parts"]
        return next(part for part in parts if (part["name"], part["replica"]) == (name, replica))

    @property
    def pids(self) -> list[int]:
        """The processes of all parts that run."""
        return [part["pid"] for part in self.status()["parts"] if part["pid"]]

    @property
    def url(self) -> str:
        """Where the front door is."""
        state = self._state()
        assert state, f"nothing runs: {self.said}"
        return str(state["frontDoor"])

    def get(self, path: str) -> httpx.Response:
        """Ask the front door."""
        return httpx.get(self.url + path, timeout=10)

    async def stop(self) -> int:
        """Press Ctrl-C, and wait for the end."""
        if self._process is None:
            return 0
        return await self._process.stop(within=30)

    def _all_ready(self) -> bool:
        if not self.process.running:
            raise RuntimeError(f"`parley up` has ended: {self.said}")
        state = self._state()
        if state is None:
            return False
        try:
            return httpx.get(f"http://{state['control']}/readyz", timeout=5).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _state(self) -> dict[str, Any] | None:
        """Return what the supervisor that runs has written down."""
        try:
            state: dict[str, Any] = msgspec.json.decode((self.folder / "state.json").read_bytes())
        except FileNotFoundError:
            return None
        return state if state["pid"] == self.process.pid else None
