"""``parley status``: how the instance on a data folder is doing."""

import asyncio
import os

import msgspec

from parley.cli import ask
from parley.cli.control import PartReport
from parley.cli.instance import Instance
from parley.cli.problem import Problem
from parley.cli.settings import Settings


class Status(msgspec.Struct, frozen=True, rename="camel"):
    """What ``parley status --json`` prints."""

    front_door: str
    nats: str
    database: str
    root_certificate: str | None
    """File with the certificate that clients must trust to reach the front door; null without TLS."""
    pid: int
    """The supervisor."""
    parts: list[PartReport]


class Parts(msgspec.Struct, frozen=True):
    """What we read of the supervisor's answer."""

    parts: list[PartReport]


def status() -> Status:
    """Ask the supervisor; raise a Problem when there is none."""
    instance = Instance(Settings.from_env(os.environ).data)
    state = instance.read()
    if not instance.runs or state is None:
        raise Problem(f"Nothing runs on {instance.folder}: start it with `parley up`.")
    try:
        answer = asyncio.run(ask.get(state.control, "/readyz", within=5))
    except OSError as error:
        raise Problem(
            f"Parley (process {state.pid}) does not answer on {state.control}: see {instance.logs}."
        ) from error
    return Status(
        front_door=state.front_door,
        nats=state.nats,
        database=state.database,
        pid=state.pid,
        parts=msgspec.json.decode(answer.body, type=Parts).parts,
        root_certificate=state.root_certificate,
    )


def print_status(found: Status) -> None:
    """Show it to a person."""
    from rich.console import Console  # noqa: PLC0415 - --json is for programs, which wait for it
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("part", "pid", "address", "http", "status"):
        table.add_column(column)
    for part in found.parts:
        style = "green" if part.ready else "red"
        again = f" (started again: {part.restarts})" if part.restarts else ""
        table.add_row(
            f"{part.name}-{part.replica}",
            str(part.pid or ""),
            part.address or "",
            part.http or "",
            f"[{style}]{part.status}[/]{again}",
        )
    console = Console()
    console.print(table)
    console.print(f"Open {found.front_door}", highlight=False)
    if found.root_certificate:
        console.print(f"Trust {found.root_certificate}", highlight=False, soft_wrap=True)
