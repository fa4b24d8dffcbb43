"""
The pages of the viewer: the list of traces, and one of them as a waterfall.

They hold no script, and bars are drawings, so that a policy can forbid everything but our own style sheet. All that
a trace says passes through ``escape``: some of it clients have chosen.
"""

import time
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import quote

from parley.cli.observe.spans import Span
from parley.cli.observe.traces import SLOW_NANOSECONDS, Trace, in_order
from parley.kit.about import CALL, CONNECTION, ROOM
from parley.kit.telemetry import trace_of

STYLE: Final = Path(__file__).with_name("style.css").read_bytes()
LISTED: Final = 100
ROWS: Final = 2000
DEEPEST: Final = 12
COLOURS: Final = 6
WIDTH: Final = 1000
_NOTABLE: Final = {CALL: "Call", ROOM: "Room", CONNECTION: "Connection"}
_ROUTE: Final = "parley.route"


def listed(traces: Iterable[Trace], kept: int, text: str, *, failed: bool, slow: bool) -> str:
    """Return the page of the list; of *traces* only the first are shown."""
    rows: list[str] = []
    more = False
    for trace in traces:
        if len(rows) == LISTED:
            more = True
            break
        rows.append(_listed(trace))
    what = f"{'More than ' if more else ''}{len(rows)} of {kept} traces" + (", the latest first." if rows else ".")
    empty = "" if rows else "<p>Nothing has come yet: open the front door, join a room, and look again.</p>"
    table = (
        "<table><thead><tr><th scope=col>Begun<th scope=col>What<th scope=col>Call or room<th scope=col>Who took part"
        f"<th scope=col class=n>Spans<th scope=col class=n>Took</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
    return _page(
        "Traces",
        f"""<form role=search action=/>
<label>Call, room, connection, name or trace <input name=q value="{escape(text)}" size=40 autocomplete=off></label>
<label><input type=checkbox name=failed{" checked" if failed else ""}> failed</label>
<label><input type=checkbox name=slow{" checked" if slow else ""}> {_length(SLOW_NANOSECONDS)} or longer</label>
<button>Search</button>
</form>
<p>{what}</p>{table if rows else empty if not kept else ""}""",
    )


def shown(trace_id: str, traces: Sequence[Trace]) -> str:
    """Return the page of a trace, or of a call: the traces that it consists of, on one axis of time."""
    start = min(trace.start for trace in traces)
    length = max(trace.start + trace.nanoseconds for trace in traces) - start
    processes = _processes(traces)
    rows: list[str] = []
    left_out = sum(trace.left_out for trace in traces)
    for trace in traces:
        if len(rows) == ROWS:
            left_out += len(trace.spans)
            continue
        if len(traces) > 1:
            heading = f"{_link(trace.id, _title(trace.first))}{_mark(trace)}"
            rows.append(
                f"<tr class=t><th scope=rowgroup colspan=5>{heading} <span class=i>{escape(trace.id)}</span></tr>"
            )
        spans = in_order(trace)
        room = ROWS - len(rows)
        left_out += max(0, len(spans) - room)
        rows += [
            _row(depth, span, start, length, processes[span.service, span.instance]) for depth, span in spans[:room]
        ]
    calls = list(dict.fromkeys(call for trace in traces for call in trace.told(CALL)))
    about = [
        ("Begun", _moment(start)),
        ("Took", _length(length)),
        *((title, escape(", ".join(told))) for name, title in _NOTABLE.items() if (told := _told(traces, name))),
        ("Who took part", " ".join(map(_process, processes.values()))),
    ]
    named = {trace_of(call): f"call {call}" for call in calls}
    elsewhere = "".join(
        f"<li>{_link(link, named.get(link, link))}"
        for link in sorted(_links(traces) - {trace_id, *(trace.id for trace in traces)})
    )
    return _page(
        f"Call {calls[0]}" if len(traces) > 1 and calls else f"Trace {trace_id}",
        f"""<dl class=about>{"".join(f"<div><dt>{name}<dd>{value}</div>" for name, value in about)}</dl>
<table class=waterfall><thead><tr><th scope=col>What<th scope=col>Who<th scope=col class=n>After\
<th scope=col class=n>Took<th scope=col class=bars>When</tr></thead>
<tbody>{"".join(rows)}</tbody></table>
{f"<p>{left_out} more spans are not shown.</p>" if left_out else ""}
{f"<h2>Points to</h2><ul>{elsewhere}</ul>" if elsewhere else ""}""",
    )


def missing(trace_id: str) -> str:
    """Return the page of a trace that is not here."""
    return _page(
        "No such trace",
        f"<p>Nothing is known of {escape(trace_id)}: it has not come yet (look again in a second), was not sampled, or "
        "was let go for newer ones. Traces are kept in memory alone, until Parley stops.</p>",
    )


def _page(title: str, body: str) -> str:
    return f"""<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content="width=device-width">
<title>{escape(title)} - Parley</title>
<link rel=stylesheet href=/style.css>
<header><a href=/>All traces</a></header>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
"""


def _listed(trace: Trace) -> str:
    about = next((f"{escape(told[0])}" for name in _NOTABLE if (told := trace.told(name))), "")
    return (
        f"<tr><td>{_moment(trace.start)}<td>{_link(trace.id, _title(trace.first))}{_mark(trace)}<td>{about}"
        f"<td>{escape(', '.join(trace.services))}<td class=n>{len(trace.spans)}"
        f"<td class=n>{_length(trace.nanoseconds)}</tr>"
    )


def _processes(traces: Sequence[Trace]) -> dict[tuple[str, str], tuple[str, int]]:
    """Return each process's name and colour, in order of appearance: those of one service have numbers."""
    spans = sorted((span for trace in traces for span in trace.spans), key=lambda span: span.start)
    alike: dict[str, list[str]] = {}
    for service, instance in dict.fromkeys((span.service, span.instance) for span in spans):
        alike.setdefault(service, []).append(instance)
    return {
        (service, instance): (f"{service} {number}" if len(instances) > 1 else service, colour % COLOURS)
        for colour, (service, instances) in enumerate(alike.items())
        for number, instance in enumerate(instances, 1)
    }


def _process(process: tuple[str, int]) -> str:
    name, colour = process
    return f"<span class=c{colour}>{escape(name)}</span>"


def _row(depth: int, span: Span, start: int, length: int, process: tuple[str, int]) -> str:
    left = (span.start - start) * WIDTH // max(length, 1)
    width = max(2, (span.end - span.start) * WIDTH // max(length, 1))
    failed = (
        f"<strong class=failed>failed{': ' if span.reason else ''}{escape(span.reason)}</strong>" if span.failed else ""
    )
    told = [
        *span.attributes.items(),
        ("kind", span.kind),
        ("span", span.span_id),
        *((f"{one.name} after {_length(one.at - span.start)}", _said(one.attributes)) for one in span.happenings),
    ]
    return (
        f"<tr><td class=d{min(depth, DEEPEST)}><details><summary>{escape(_title(span))}</summary><dl>"
        f"{''.join(f'<div><dt>{escape(name)}<dd>{escape(value)}</div>' for name, value in told)}"
        f"{''.join(f'<div><dt>points to<dd>{_link(link, link)}</div>' for link in sorted(span.links))}"
        f"</dl></details>{failed}<td>{_process(process)}"
        f"<td class=n>{_length(span.start - start)}<td class=n>{_length(span.end - span.start)}"
        f'<td class=bars><svg aria-hidden=true viewBox="0 0 {WIDTH} 10" preserveAspectRatio=none class=c{process[1]}>'
        f"<rect x={min(left, WIDTH - 2)} width={width} height=10 /></svg></tr>"
    )


def _told(traces: Sequence[Trace], name: str) -> list[str]:
    return list(dict.fromkeys(told for trace in traces for told in trace.told(name)))[:10]


def _links(traces: Sequence[Trace]) -> set[str]:
    return {link for trace in traces for span in trace.spans for link in span.links}


def _said(attributes: dict[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in attributes.items())


def _title(span: Span) -> str:
    """Return what a span is of: what was asked for, where it says that, before what was done."""
    route = span.attributes.get(_ROUTE)
    return f"{route}: {span.name}" if route else span.name


def _link(trace_id: str, text: str) -> str:
    return f'<a href="/traces/{quote(trace_id, safe="")}">{escape(text) or "(no name)"}</a>'


def _mark(trace: Trace) -> str:
    return " <strong class=failed>failed</strong>" if trace.failed else ""


def _moment(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    try:
        return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{rest // 1_000_000:03}"
    except (OverflowError, ValueError, OSError):  # whoever sent it said a year that no calendar has
        return "?"


def _length(nanoseconds: int) -> str:
    for unit, size in (("s", 1_000_000_000), ("ms", 1_000_000)):
        if abs(nanoseconds) >= size:
            return f"{nanoseconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{nanoseconds / 1000:.0f} us"
