"""
What an instance leaves in its data folder: who runs it, where its parts are, and a lock that says it does.

The lock is the truth about "runs": the kernel lets go of it when its holder is gone, however it went. The state is
what that holder last wrote.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from parley.cli.problem import Problem
from parley.cli.settings import Settings

GLANCE_SECONDS = 0.4
"""Longer than somebody who only looks whether the lock is held takes, for which he holds it himself."""

LONG_LOG_BYTES = 10 * 1024 * 1024


class Running(msgspec.Struct, frozen=True):
    """A process, told apart from a later one with the same number by when it started."""

    name: str
    pid: int
    started: float


class State(msgspec.Struct, frozen=True, rename="camel"):
    """What a supervisor writes down for ``status``, ``down`` and its successor."""

    pid: int
    """The supervisor."""
    since: str
    control: str
    """``host:port`` where it answers ``/readyz``."""
    front_door: str
    nats: str
    database: str
    processes: list[Running]
    root_certificate: str | None = None
    """Whom clients must trust for the front door's sake, if it speaks TLS."""


class Instance:
    """One data folder, whether somebody runs on it or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self._state = folder / "state.json"
        self._lock = folder / "lock"

    def make(self) -> None:
        """Make the folder, for its owner's eyes only: passwords and the token secret lie in it."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
        except OSError as error:
            raise Problem(f"{self.folder} cannot be used for data ({error.strerror}): set PARLEY_DATA.") from error
        if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
            owner = self.folder.stat().st_uid
            raise Problem(
                f"{self.folder} belongs to another user (number {owner}): set PARLEY_DATA to a folder of yours."
            )

    def put_long_logs_aside(self) -> None:
        """Begin logs anew that have grown long; the one before is kept beside."""
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > LONG_LOG_BYTES:
                log.replace(log.with_suffix(".log.1"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the instance; raise a Problem that names who already does."""
        with self._lock.open("a") as lock:
            deadline = time.monotonic() + GLANCE_SECONDS
            while not _lock(lock, fcntl.LOCK_EX):
                if time.monotonic() > deadline:
                    raise Problem(self._who_runs())
                time.sleep(GLANCE_SECONDS / 20)
            yield

    @property
    def runs(self) -> bool:
        """Whether somebody holds the lock now."""
        try:
            with self._lock.open("a") as lock:
                return not _lock(lock, fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    def write(self, state: State) -> None:
        """Replace the state; a reader sees the old one or the new one."""
        draft = self._state.with_suffix(".new")
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
        draft.chmod(0o600)
        draft.replace(self._state)

    def read(self) -> State | None:
        """Return what was last written, or None."""
        try:
            return msgspec.json.decode(self._state.read_bytes(), type=State)
        except (FileNotFoundError, msgspec.DecodeError):  # none, or of another version of ours
            return None

    def forget(self) -> None:
        """Take the state away: nothing of it runs any more."""
        self._state.unlink(missing_ok=True)

    def secret(self, name: str, make: str) -> str:
        """Return the secret kept under *name*; the first to ask writes *make* there."""
        path = self.folder / name
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(make)
        except FileExistsError:
            return path.read_text().strip()
        return make

    def _who_runs(self) -> str:
        state = self.read()
        who = f" (process {state.pid}, since {state.since}) at {state.front_door}" if state else ""
        return (
            f"Parley already runs on {self.folder}{who}: stop it with `parley down`, "
            "or give this one its own PARLEY_DATA and PARLEY_PORT."
        )


def nats_of_instance(settings: Settings) -> str:
    """Return where NATS is: where NATS_URL says, else the one of what runs on PARLEY_DATA."""
    if settings.nats_url:
        return settings.nats_url
    instance = Instance(settings.data)
    state = instance.read()
    if not instance.runs or state is None:
        raise Problem(f"Nothing runs on {instance.folder}: start it with `parley up`, or name a NATS with --nats.")
    return state.nats


def _lock(lock: IO[str], how: int) -> bool:
    """Return whether we got it."""
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def now() -> str:
    """Return the time as people at this machine read it."""
    return time.strftime("%Y-%m-%d %H:%M:%S")
