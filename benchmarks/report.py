"""The one table: on the terminal, and as the page docs/reference/benchmarks.md."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.agenda import Fault, Item, Row
from benchmarks.results import Result

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "benchmarks.md"


WIDTH = 150
"""Where there is no terminal to ask."""


BUSY = " The machine was busy with other work, which slows most what passes most processes: take them again."


def cells(result: Result, items: Sequence[Item], faults: Sequence[Fault]) -> list[list[str]]:
    """Return the table, its head first."""
    head = ["", *result.systems.values(), "aim", ""]
    rows = [_cells(result, item, row) for item in items for row in item.rows]
    section = ""
    for fault in faults:
        if fault.section != section:
            section = fault.section
            rows.append([section, *[""] * (len(head) - 1)])
        rows += [_cells(result, fault, row) for row in fault.rows]
    return [head, *rows]


def _cells(result: Result, item: Item | Fault, row: Row) -> list[str]:
    medians: dict[str, float | None] = {}
    for name in result.systems:
        figure = result.find(item.name, name)
        medians[name] = figure.median(row.figure) if figure else None
    ours, theirs = medians.get("parley"), medians.get("socket_io")
    aim = verdict = ""
    if row.aim is not None:
        aim = row.aim.says
        if ours is not None and (theirs is not None or "Socket.IO" not in aim):
            verdict = "met" if row.aim.met(ours, theirs) else "not met"
    return [row.title, *(_written(value, row.unit) for value in medians.values()), aim, verdict]


def _written(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit in ("", "/s"):
        return f"{value:,.0f}{unit}"
    return f"{value:.2f} {unit}" if value < 10 else f"{value:.1f} {unit}"


def named(result: Result) -> str:
    """Return the machine in a sentence."""
    it = result.machine
    loads = [load for figure in result.figures for load in figure.load]
    busy = BUSY if median(loads) > 1.5 * it.cores else ""
    return (
        f"{it.processor}, {it.cores} cores shared by servers and load generator, {it.memory_gigabytes} GB, "
        f"{it.system}, Python {it.python}, Node {it.node}; {result.began}, load average "
        f"{min(loads):g} to {max(loads):g}.{busy}"
    )


def show(result: Result, items: Sequence[Item], faults: Sequence[Fault]) -> None:
    head, *rows = cells(result, items, faults)
    table = Table(caption=named(result), caption_justify="left")
    for number, title in enumerate(head):
        table.add_column(title, justify="left" if number in (0, len(head) - 2, len(head) - 1) else "right")
    for row in rows:
        style = {"met": "green", "not met": "red"}.get(row[-1], "")
        table.add_row(*row[:-1], f"[{style}]{row[-1]}[/]" if style else row[-1])
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    console.print(table)
    if items:
        console.print(_spent(result, items))


def _spent(result: Result, items: Sequence[Item]) -> Table:
    spent = Table(title="processor time per message, µs", title_justify="left", box=None, padding=(0, 2, 0, 0))
    spent.add_column("")
    for title in result.systems.values():
        spent.add_column(title)
    for item in items:
        figures = [result.find(item.name, name) for name in result.systems]
        spent.add_row(
            item.name,
            *(
                " ".join(f"{k} {v:.0f}" for k, v in f.processor_microseconds.items() if v >= 0.5) if f else "-"
                for f in figures
            ),
        )
    return spent


def write_page(result: Result, items: Sequence[Item], faults: Sequence[Fault]) -> Path:
    head, *rows = cells(result, items, faults)
    lines = [_markdown(head), _markdown(["---", *["---:"] * len(result.systems), "---", "---"]), *map(_markdown, rows)]
    version = ", ".join(f"{name} {number}" for name, number in result.machine.versions.items())
    text = TEXT.format(table="\n".join(lines), machine=named(result), versions=version, **_rounds(items))
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text)
    return PAGE


def _rounds(items: Sequence[Item]) -> dict[str, str]:
    longest = max(items, key=lambda item: item.rounds)
    return {"rounds": str(longest.rounds), "seconds": f"{longest.seconds:g}"}


def _markdown(row: Sequence[str]) -> str:
    return f"| {' | '.join(row)} |"


TEXT = """\
# How fast it is

<!-- Written by `make bench ARGS=--page`; change benchmarks/report.py instead. -->

{table}

{machine} ({versions})

Figures are medians of {rounds} rounds of {seconds} seconds, in which the systems take turns; a fault is measured once.
They are for comparing within a row: on another machine all of them move. `make bench` takes them again
(`ARGS=--quick` in two minutes, `ARGS="--only faults"` for the faults alone), and keeps every round, with the processor
time of each process per message, as JSON in `benchmarks/results/`.

## What is compared

- **Parley** is `parley up` with its defaults: one gateway, one of each service, NATS with file storage, PostgreSQL.
  Every message is stored in the log before it is routed, and its delivery before it is written. Clients speak
  `parley.v1`, present a token, and connect to the gateway itself; the front door (Caddy) costs about a quarter of
  the throughput.
- **Socket.IO** is a relay of twenty lines on npm `socket.io`, WebSocket transport only, without permessage-deflate
  (`benchmarks/socketio/relay.mjs`). It keeps nothing, and knows nothing that its process does not know.
- **The bare loop** writes every frame back to whoever sent it, or to all others. It shows what the load generator
  can do on this machine: a system near it is faster than we can measure.

One load generator, a process of its own, drives all three over real sockets on loopback. Every message carries its
number, and a run fails if one is lost, comes twice or out of order; with faults such are counted.

## What the rows are

- *Connects*: clients come 64 at a time; each counts once it has been welcomed (parley.v1's `welcome`, Socket.IO's
  `40`).
- *Memory*: growth of the resident memory of the process that holds the sockets, by connection. Node collects its
  garbage before both looks; CPython needs no asking.
- *Direct message at 1,000/s*: 100 pairs, from the moment one client writes until the other has read.
- *Ping-pong*: each pair has one message on its way, to and fro.
- *Room of 500*: one more member speaks, 16 messages ahead of the last to hear; every delivery counts. Parley sends
  as `send`, Socket.IO as `socket.to(room).emit`.
- *Chat*: 100 rooms of two; both hear every message. Closed loop: each client writes again when it is acknowledged.
  Parley acknowledges when the message is stored for history; Socket.IO when it has been relayed.

What tracing costs is measured with three Parleys that take turns, whose receiver of traces keeps nothing, and is on
the same machine: the difference to *off* holds its work, too.

- *Our code for a direct message* (`benchmarks/loops.py`): processor time from a frame to the writer of the log, through
  the owner's rules, and from what these say to the other's socket. No socket and no NATS: it is the part that we can
  make slower. The least of several runs.

Of the faults, each has a Parley of its own, with as many replicas as it takes. Couples talk at a fixed rate whatever
happens, directly and as chat, and every message is acknowledged. The clients come back as those of our SDKs do, with
their backoff, which is part of the time. A *pause* is the longest that any message was on its way.

- *Gateway killed* (`kill -9`): all clients are at one of two gateways, and couples say 500 things a second. Each is
  back when the other gateway has said welcome and answered a question asked after it.
- *Owner of rooms killed* (`kill -9`): one of two, with half the partitions. Its lease of three seconds has to run out.
- *All processes replaced*: two of each service; one after the other is asked to end (SIGTERM), and has a successor
  that is ready before the next is asked.
- *Leaders of streams killed* (`kill -9`): three NATS servers, streams on all three; the one that leads INGRESS, then
  DELIVERIES, then EVENTS, each started again before the next.
"""
