"""
A child process that ends when we do.

``Program`` says what to run, ``Process`` is it running. It is independent of any event loop, so a test session can
start a server in one loop and use it in another.

A child asks the kernel for a signal at its parent's death (Linux). That is tied to the *thread* that started it:
start processes from the main thread, not from a pool.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from parley.cli.embedded.account import Account
from parley.cli.problem import Problem

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.03


@dataclass(frozen=True)
class Program:
    """What to run, as whom, and which signals it understands."""

    name: str
    argv: tuple[str, ...]
    log: Path
    """Where both of its output streams are appended."""
    env: Mapping[str, str] | None = None
    """Its whole environment; ours if None."""
    cwd: Path | None = None
    account: Account | None = None
    """Another account to run as, which takes root."""
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends it when we are gone."""


class Process:
    """A program that runs."""

    def __init__(self, program: Program) -> None:
        self.program = program
        account = program.account
        with program.log.open("ab") as log:
            self.log_offset = log.tell()
            try:
                self._popen = subprocess.Popen(  # noqa: S603 - the programs are our own, without a shell
                    program.argv,
                    env=program.env,
                    cwd=program.cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C is for us; we end the others in order
                    user=account.uid if account else None,
                    group=account.gid if account else None,
                    extra_groups=[] if account else None,
                    preexec_fn=die_with_parent(program.death_signal),  # noqa: PLW1509 - two system calls, no locks
                )
            except OSError as error:
                raise Problem(f"{program.name} cannot start: {error.strerror} ({program.argv[0]}).") from error

    @property
    def pid(self) -> int:
        """Its process id; our child, so not reused before we have waited for it."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended (negative: by which signal), or None while it runs."""
        return self._popen.poll()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.exit_code is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        self._popen.send_signal(number)

    def pause(self) -> None:
        """Stop the process where it stands, as an overloaded machine might."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self.send(signal.SIGCONT)

    async def ended(self) -> int:
        """Wait until it has ended, and return its exit code."""
        while (code := self.exit_code) is None:  # noqa: ASYNC110 - polling belongs to no loop, and there are few of us
            await asyncio.sleep(POLL_SECONDS)
        return code

    async def stop(self, within: float = 10) -> int:
        """Ask it to end, and end it when it has not done so in time."""
        self.send(self.program.stop_signal)
        self.send(signal.SIGCONT)  # a paused process would never hear of it
        try:
            async with asyncio.timeout(within):
                return await self.ended()
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """End it at once, without a word."""
        self.send(signal.SIGKILL)
        return await self.ended()


def die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """
    Return what a child does first so that it does not outlive us.

    Elsewhere than on Linux there is no such thing; the next start finds what was left (see ``leftovers``).
    """
    if sys.platform != "linux":
        return None
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return ask
