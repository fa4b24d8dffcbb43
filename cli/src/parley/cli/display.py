"""
What the person at the terminal sees while an instance runs.

On a terminal one line per part, kept up to date; elsewhere (a pipe, a log) a plain line whenever something changes.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from parley.cli.part import Part
from parley.cli.supervisor import Supervisor

DEVELOPMENT = (
    "DEVELOPMENT MODE: whoever reaches this machine's loopback is let in, without a token. "
    "Do not put this on a network; production needs PARLEY_MODE=production and tokens."
)

Show = Callable[[Supervisor], None]


@contextmanager
def display(console: Console, mode: str, began: float) -> Iterator[Show]:
    """Give the function to call with the supervisor after each change."""
    if not console.is_terminal:
        yield Lines(console, mode, began)
        return
    with Live(console=console, auto_refresh=False, redirect_stderr=False) as live:
        yield lambda supervisor: live.update(picture(supervisor, mode), refresh=True)


class Lines:
    """Says each change once, a line each."""

    def __init__(self, console: Console, mode: str, began: float) -> None:
        self._console = console
        self._mode = mode
        self._began = began
        self._said: dict[str, str] = {}
        self._ready = False

    def __call__(self, supervisor: Supervisor) -> None:
        """Say what is new."""
        for part in supervisor.parts:
            if self._said.get(part.title) != part.status:
                self._said[part.title] = part.status
                self._line(f"{part.title:<12} {part.status}{_where(part) if part.ready else ''}")
        if supervisor.ready and not self._ready:
            self._ready = True
            self._line(f"Parley is ready, after {time.monotonic() - self._began:.1f} s.")
            for what, where in addresses(supervisor):
                self._line(f"{what:<12} {where}")
            if self._mode == "development":
                self._line(DEVELOPMENT)

    def _line(self, text: str) -> None:
        with suppress(BrokenPipeError):  # whoever read this has gone, and the parts go on
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def addresses(supervisor: Supervisor) -> list[tuple[str, str]]:
    """Return where to go, most wanted first."""
    plan = supervisor.plan
    trust = [("Trust", f"{plan.root_certificate} (root certificate)")] if plan.root_certificate else []
    return [
        ("Open", plan.front_door),
        ("Sockets", plan.front_door.replace("http", "ws", 1)),
        *trust,
        *plan.observed,
        ("NATS", plan.nats),
        ("PostgreSQL", plan.database),
        ("Logs", str(supervisor.instance.logs)),
    ]


def picture(supervisor: Supervisor, mode: str) -> RenderableType:
    """Return the whole screen: the parts, and the addresses once they are good for something."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for part in supervisor.parts:
        style = "green" if part.ready else "red" if part.restarts or part.was_ready.is_set() else "yellow"
        mark = Text("●" if part.ready else "○", style=style)
        restarts = f" (started again {part.restarts} times)" if part.restarts > 1 else ""
        restarts = " (started again once)" if part.restarts == 1 else restarts
        status = Text(part.status + restarts, style=style)
        table.add_row(mark, part.title, status, Text(_where(part).strip(), style="dim", overflow="fold"))
    shown: list[RenderableType] = [table]
    if supervisor.stopping:
        shown.append(Text("Stopping; press Ctrl-C again to end everything at once.", style="yellow"))
    elif all(part.was_ready.is_set() for part in supervisor.parts):
        grid = Table.grid(padding=(0, 2, 0, 0))
        for what, where in addresses(supervisor):
            grid.add_row(what, Text(where, overflow="fold"))
        shown.append(Panel(grid, title="Parley runs", subtitle="Ctrl-C stops it", border_style="green", expand=False))
        if mode == "development":
            shown.append(Panel(Text(DEVELOPMENT, style="bold"), border_style="red", style="on dark_red", expand=False))
    return Group(*shown)


def _where(part: Part) -> str:
    if part.process is None:
        return ""
    places = dict.fromkeys(place for place in (part.spec.address, part.spec.http) if place)
    return f"  {' '.join(places)} (process {part.process.pid})"
