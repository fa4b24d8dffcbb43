"""
Processes that outlived their supervisor.

On Linux the kernel ends the parts of a killed supervisor. Elsewhere, and while they are still at it, the next start
finds them by what the supervisor wrote down, and ends them: two servers on one data folder would be the end of it.
"""

import signal
from collections.abc import Iterable

import psutil

from parley.cli.instance import Running

SAME_SECONDS = 2.0
"""How far two readings of one process's start time may differ; the clock may have been set in between."""
PATIENCE_SECONDS = 8.0


def identify(name: str, pid: int) -> Running | None:
    """Return what tells this process from another with its number, or None if it has already ended."""
    try:
        return Running(name, pid, psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def end_leftovers(processes: Iterable[Running]) -> list[Running]:
    """End those of *processes* that still run, politely first; return which did."""
    found = [(record, process) for record in processes if (process := _find(record))]
    for record, process in found:
        _send(process, signal.SIGINT if record.name == "postgres" else signal.SIGTERM)
    _, stubborn = psutil.wait_procs([process for _, process in found], timeout=PATIENCE_SECONDS)
    for process in stubborn:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=PATIENCE_SECONDS)
    return [record for record, _ in found]


def _find(record: Running) -> psutil.Process | None:
    try:
        process = psutil.Process(record.pid)
        ours = abs(process.create_time() - record.started) < SAME_SECONDS and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if ours else None


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
