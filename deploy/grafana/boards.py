"""
What is on the dashboards: a panel is a question, its queries and its unit. write.py makes Grafana's files of it.

In queries `$here` stands for the two variables that choose where to look. Rates are over `$__rate_interval`, which
Grafana fits to how often is scraped. A histogram is shown by its median and its 99th percentile over all processes that
are looked at.
"""

from dataclasses import dataclass, field
from typing import Final

WIDTH: Final = 24
"""Grafana's columns."""

HERE: Final = 'namespace=~"$namespace",instance=~"$instance"'
PROCESS: Final = "{{job}} {{pod}} {{instance}}"
"""A line's name where each process has one: what a label is not there for is left out."""

Query = tuple[str, str]
"""In PromQL, and the name of its lines."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One question."""

    title: str
    about: str = ""
    width: int = 8


@dataclass(frozen=True, kw_only=True)
class Number(Panel):
    """A number of now."""

    query: str
    unit: str = "short"
    width: int = 4
    bad: float | None = None
    """From here on it is red."""
    none: str = "0"
    """What is shown when nobody tells."""


@dataclass(frozen=True, kw_only=True)
class Lines(Panel):
    """How it went."""

    lines: list[Query]
    unit: str = "short"
    stacked: bool = False
    bad: float | None = None
    """Where a red line is drawn."""
    examples: bool = False
    """Whether traces of what was measured are shown as dots, where Prometheus keeps exemplars."""


@dataclass(frozen=True, kw_only=True)
class Text(Panel):
    """Words, in Markdown."""

    text: str
    width: int = WIDTH


@dataclass(frozen=True, kw_only=True)
class Traces(Panel):
    """A trace, if Tempo is a source."""

    query: str
    width: int = WIDTH


Shown = Number | Lines | Text | Traces


@dataclass(frozen=True)
class Row:
    """Panels beside one another."""

    title: str
    panels: list[Shown]
    height: int = 8


@dataclass(frozen=True)
class Variable:
    """Something to choose, from what Prometheus has."""

    name: str
    label: str
    query: str


@dataclass(frozen=True)
class Board:
    """A dashboard."""

    name: str
    title: str
    about: str
    rows: list[Row]
    asks: list[tuple[str, str]] = field(default_factory=list)
    """Text that a person gives: name, label."""
    links: list[tuple[str, str]] = field(default_factory=list)


def here(*more: str) -> str:
    """Return the selector of where is looked, and *more*."""
    return "{" + ",".join((HERE, *more)) + "}"


MISSING: Final = here('lease="missing"')
BUSY: Final = here('state="busy"')
LEASE: Final = f"parley_gateway_lease_seconds{here()}"


def total(metric: str, *more: str) -> str:
    """Return the sum of a gauge."""
    return f"sum({metric}{here(*more)})"


def rate(metric: str, *more: str) -> str:
    """Return how much a counter grows in a second."""
    return f"rate({metric}{here(*more)}[$__rate_interval])"


def flow(metric: str, *more: str) -> str:
    """Return how much a counter grows in a second everywhere together."""
    return f"sum({rate(metric, *more)})"


def grown(metric: str, *more: str) -> str:
    """Return by how much a counter has grown in the time that is shown."""
    return f"round(sum(increase({metric}{here(*more)}[$__range])))"


def per(label: str, metric: str, *more: str) -> Query:
    """Return how much a counter grows in a second, a line for each value of *label*."""
    return f"sum by ({label}) ({rate(metric, *more)}) > 0", f"{{{{{label}}}}}"


def slow(metric: str, by: str = "", *more: str) -> list[Query]:
    """Return median and 99th percentile of a histogram; *by* a label, the latter alone for each."""
    if by:
        per_label = f"sum by (le, {by}) ({rate(f'{metric}_bucket', *more)})"
        return [(f"histogram_quantile(0.99, {per_label})", f"{{{{{by}}}}}")]
    buckets = f"sum by (le) ({rate(f'{metric}_bucket', *more)})"
    return [
        (f"histogram_quantile(0.5, {buckets})", "median"),
        (f"histogram_quantile(0.99, {buckets})", "99 %"),
    ]


OVERVIEW: Final = Board(
    "overview",
    "Overview",
    "Is Parley well, and how much does it do? Each row has a dashboard of its own.",
    [
        Row(
            "Now",
            [
                Number(title="Connections", query=total("parley_gateway_connections")),
                Number(title="Members of rooms", query=total("parley_rooms_members")),
                Number(title="Calls", query=total("parley_rooms_calls")),
                Number(
                    title="Processes that are not ready",
                    query=f"count(min by (job, instance) (parley_ready{here()}) == 0)",
                    bad=1,
                ),
                Number(
                    title="Alerts that fire",
                    query='count(ALERTS{alertname=~"Parley.*",alertstate="firing",namespace=~"$namespace"})',
                    bad=1,
                ),
                Number(
                    title="Events lost",
                    about="Dropped, failed or parked in the time that is shown. Must be none.",
                    query="sum("
                    + " or ".join(
                        f'label_replace({grown(metric)}, "of", "{metric}", "", "")'
                        for metric in (
                            "parley_gateway_drops_total",
                            "parley_events_failed_total",
                            "parley_history_parked_total",
                        )
                    )
                    + ")",
                    bad=1,
                ),
            ],
            height=4,
        ),
        Row(
            "What clients feel",
            [
                Lines(
                    title="Time to join a room",
                    about="From the request until its answer is written to the socket.",
                    lines=slow("parley_gateway_join_seconds"),
                    unit="s",
                    bad=1,
                ),
                Lines(
                    title="Time on the way",
                    about="99th percentiles: from a client's frame to the sockets of those who hear it; of that, the "
                    "owner of a partition, and from there into sockets.",
                    lines=[
                        (slow("parley_gateway_delivery_seconds")[1][0], "all of it"),
                        (slow("parley_partition_delay_seconds")[1][0], "owner"),
                        (slow("parley_gateway_writing_seconds")[1][0], "gateway"),
                    ],
                    unit="s",
                    examples=True,
                ),
                Lines(
                    title="Clients that came back",
                    about="`gone` came too late and began anew.",
                    lines=[per("outcome", "parley_gateway_resumes_total")],
                    unit="cps",
                ),
            ],
        ),
        Row(
            "What is done",
            [
                Lines(
                    title="Connections by dialect",
                    lines=[(f"sum by (dialect) (parley_gateway_connections{here()})", "{{dialect}}")],
                    stacked=True,
                ),
                Lines(
                    title="Frames of clients, and deliveries",
                    lines=[
                        (flow("parley_gateway_frames_total"), "frames"),
                        (flow("parley_gateway_deliveries_total"), "deliveries"),
                    ],
                    unit="cps",
                ),
                Lines(title="Public events", lines=[per("type", "parley_events_total")], unit="cps"),
            ],
        ),
        Row(
            "What it runs on",
            [
                Lines(
                    title="Event loop's lag",
                    about="Above 0.1 s a process is overloaded, or something blocks it.",
                    lines=[(f"max by (job, pod, instance) (parley_loop_lag_latest_seconds{here()})", PROCESS)],
                    unit="s",
                    bad=0.1,
                ),
                Lines(
                    title="Behind the log",
                    about="Entries that owners have still to read, and events that history has still to write.",
                    lines=[
                        (f"sum by (job) (parley_partition_lag{here()})", "{{job}}"),
                        (f"max(parley_history_events_waiting{here()})", "history"),
                    ],
                ),
                Lines(
                    title="Memory",
                    lines=[
                        (f"sum by (job, pod, instance) (parley_process_resident_memory_bytes{here()})", PROCESS),
                    ],
                    unit="bytes",
                ),
            ],
        ),
    ],
)

CALL: Final = Board(
    "call",
    "One call",
    "What can be known of one call, and how Parley was while it lasted.",
    [
        Row(
            "The call",
            [
                Text(
                    title="Where it is",
                    text=(
                        "Metrics know no single call: its id would be one more series for each. The console has who"
                        " took part, who offered to whom, how media went and why it ended: give the front door's"
                        " address and the call's id above and follow **Console**. With tracing on, **As JSON** has its"
                        " `traceId`, which is that of the frame that began it, `ownTraceId`, which is there once it has"
                        " ended and leads to all its steps, and the `traceId` of each step: paste one above to see it"
                        " below. Then choose the time in which it lasted and look whether Parley was well."
                    ),
                ),
            ],
            height=4,
        ),
        Row(
            "Its trace",
            [Traces(title="The trace above", about="Needs Tempo as a source.", query="$trace")],
            height=10,
        ),
        Row(
            "How long calls waited meanwhile",
            [
                Lines(
                    title="From the first offer to the first answer",
                    about="Of calls that began then; the program or the person who is called takes most of it.",
                    lines=slow("parley_history_call_first_answer_seconds"),
                    unit="s",
                ),
                Lines(
                    title="Until the first media",
                    about="As the participants' programs report it; what is longer than the answer took is ICE.",
                    lines=slow("parley_history_call_first_media_seconds"),
                    unit="s",
                ),
            ],
        ),
        Row(
            "Negotiations meanwhile",
            [
                Lines(
                    title="Offers, answers and offers without one",
                    lines=[per("type", "parley_events_total", 'type=~"negotiation.*"')],
                    unit="cps",
                ),
                Lines(
                    title="Calls that began and ended",
                    lines=[per("type", "parley_events_total", 'type=~"call.(started|ended)"')],
                    unit="cps",
                ),
                Lines(
                    title="Offers that wait for an answer",
                    lines=[(total("parley_rooms_offers_waiting"), "offers")],
                ),
            ],
        ),
        Row(
            "The way of a signal meanwhile",
            [
                Lines(
                    title="Signals",
                    lines=[
                        (flow("parley_gateway_frames_total", 'route="signal"'), "from clients"),
                        (flow("parley_gateway_deliveries_total", 'type="signal"'), "to clients"),
                    ],
                    unit="cps",
                ),
                Lines(
                    title="Time on the way",
                    about="99th percentiles: of all of it, from frame to socket, and of storing, the owner and the "
                    "gateway.",
                    lines=[
                        (slow("parley_gateway_delivery_seconds", "", 'route="signal"')[1][0], "all of it"),
                        (slow("parley_nats_publish_seconds")[1][0], "storing"),
                        (slow("parley_partition_delay_seconds")[1][0], "owner"),
                        (slow("parley_gateway_writing_seconds")[1][0], "gateway"),
                    ],
                    unit="s",
                    examples=True,
                ),
                Lines(
                    title="Sockets that broke and came back",
                    lines=[
                        (flow("parley_gateway_closes_total", 'code!~"1000|1001"'), "closed"),
                        (flow("parley_gateway_resumes_total", 'outcome="resumed"'), "resumed"),
                    ],
                    unit="cps",
                ),
            ],
        ),
        Row(
            "TURN meanwhile",
            [
                Lines(
                    title="Credentials given out",
                    lines=[(flow("parley_rooms_turn_credentials_total"), "credentials")],
                    unit="cps",
                ),
                Lines(
                    title="Answers of /v1/ice-servers",
                    lines=[per("code", "parley_http_request_seconds_count", 'route="/v1/ice-servers"')],
                    unit="cps",
                ),
            ],
        ),
    ],
    asks=[("door", "Front door"), ("call", "Call"), ("trace", "Trace")],
    links=[("Console", "${door}/console/calls/${call}"), ("As JSON", "${door}/v1/calls/${call}")],
)

GATEWAY: Final = Board(
    "gateway",
    "Gateway",
    "Sockets: who is here, what they say and hear, how they come and go.",
    [
        Row(
            "Sockets",
            [
                Lines(
                    title="Open",
                    lines=[(f"sum by (job, pod, instance) (parley_gateway_connections{here()})", PROCESS)],
                    stacked=True,
                ),
                Lines(
                    title="Closed, by code",
                    about="1000 and 1001 are clients that left; docs/reference says the others.",
                    lines=[per("code", "parley_gateway_closes_total")],
                    unit="cps",
                ),
                Lines(title="Came back", lines=[per("outcome", "parley_gateway_resumes_total")], unit="cps"),
            ],
        ),
        Row(
            "Frames",
            [
                Lines(title="From clients", lines=[per("route", "parley_gateway_frames_total")], unit="cps"),
                Lines(title="To clients", lines=[per("type", "parley_gateway_deliveries_total")], unit="cps"),
                Lines(title="Refused", lines=[per("code", "parley_gateway_refusals_total")], unit="cps"),
            ],
        ),
        Row(
            "Time",
            [
                Lines(title="To join a room", lines=slow("parley_gateway_join_seconds"), unit="s", bad=1),
                Lines(
                    title="From a client's frame into sockets",
                    about="By what is said; 99th percentiles.",
                    lines=slow("parley_gateway_delivery_seconds", "route"),
                    unit="s",
                    examples=True,
                ),
                Lines(title="From the stream into sockets", lines=slow("parley_gateway_writing_seconds"), unit="s"),
                Lines(
                    title="Event loop's lag",
                    lines=[
                        (f"parley_loop_lag_latest_seconds{here()} and on (job, instance) {LEASE}", PROCESS),
                    ],
                    unit="s",
                    bad=0.1,
                ),
            ],
        ),
        Row(
            "On the way to the log",
            [
                Lines(
                    title="How long the oldest waits",
                    lines=[(f"parley_gateway_outbox_seconds{here()}", PROCESS)],
                    unit="s",
                ),
                Lines(title="What waits", lines=[(f"parley_gateway_outbox_bytes{here()}", PROCESS)], unit="bytes"),
                Lines(
                    title="Age of leases",
                    about="At 3 s owners count a gateway as lost.",
                    lines=[(f"parley_gateway_lease_seconds{here()}", PROCESS)],
                    unit="s",
                    bad=3,
                ),
            ],
        ),
        Row(
            "What must not be",
            [
                Lines(
                    title="Deliveries dropped",
                    lines=[per("reason", "parley_gateway_drops_total")],
                    unit="cps",
                ),
                Lines(
                    title="Connections by both accounts",
                    about="Sockets as gateways count them, and connections as presence does. Those that wait to resume "
                    "are presence's alone.",
                    lines=[
                        (total("parley_gateway_connections"), "gateways"),
                        (total("parley_presence_connections", 'gateway="alive"'), "presence"),
                        (total("parley_presence_connections", 'gateway="lost"'), "presence, gateway lost"),
                    ],
                ),
                Lines(
                    title="Gateways without a lease",
                    lines=[
                        (f"max by (job) (parley_lease_gateways{MISSING})", "{{job}}"),
                    ],
                ),
            ],
        ),
    ],
)

STREAMS: Final = Board(
    "streams",
    "Streams",
    "NATS as Parley sees it: storing, reading, who owns which partition and how far behind its owner is.",
    [
        Row(
            "Partitions",
            [
                Lines(
                    title="Entries still to be read",
                    about="By service and partition. Flat and high: its owner stands still.",
                    lines=[(f"max by (job, partition) (parley_partition_lag{here()}) > 0", "{{job}} {{partition}}")],
                    bad=2000,
                ),
                Lines(
                    title="From the log to what follows",
                    about="99th percentile by service.",
                    lines=slow("parley_partition_delay_seconds", "job"),
                    unit="s",
                ),
                Lines(
                    title="Entries read",
                    lines=[per("job", "parley_partition_entries_total")],
                    unit="cps",
                ),
                Lines(
                    title="Partitions with an owner",
                    lines=[(f"count by (job) (parley_partition_lag{here()})", "{{job}}")],
                ),
                Lines(
                    title="Taken and lost",
                    about="Taken is a start, a rollout or a takeover; lost means that an owner slept or was cut off.",
                    lines=[
                        (f"sum by (job) ({rate('parley_partitions_claimed_total')})", "{{job}} taken"),
                        (f"sum by (job) ({rate('parley_partitions_lost_total')})", "{{job}} lost"),
                    ],
                    unit="cps",
                ),
                Lines(
                    title="Not in a checkpoint for",
                    about="An owner stops at 90 s.",
                    lines=[(f"max by (job) (parley_partition_unsaved_seconds{here()})", "{{job}}")],
                    unit="s",
                    bad=90,
                ),
            ],
        ),
        Row(
            "Events and history",
            [
                Lines(
                    title="Events that wait to be written",
                    lines=[(f"max(parley_history_events_waiting{here()})", "events")],
                ),
                Lines(
                    title="From the stream to PostgreSQL",
                    lines=slow("parley_history_delay_seconds"),
                    unit="s",
                ),
                Lines(
                    title="Events stored and written",
                    lines=[
                        (flow("parley_events_total"), "stored"),
                        (flow("parley_history_events_total"), "written"),
                    ],
                    unit="cps",
                ),
            ],
        ),
        Row(
            "NATS",
            [
                Lines(
                    title="Time to store",
                    about="99th percentile by service.",
                    lines=slow("parley_nats_publish_seconds", "job"),
                    unit="s",
                ),
                Lines(
                    title="Processes without NATS",
                    lines=[(f"count by (job) (parley_nats_connected{here()} == 0)", "{{job}}")],
                ),
                Lines(
                    title="Trouble",
                    about="Connections made anew, what NATS refused, streams that were read again.",
                    lines=[
                        (flow("parley_nats_reconnects_total"), "reconnects"),
                        (f"sum by (code) ({rate('parley_nats_refusals_total')})", "refused {{code}}"),
                        (f"sum by (stream) ({rate('parley_stream_readings_again_total')})", "read again {{stream}}"),
                    ],
                    unit="cps",
                ),
            ],
        ),
    ],
)

DATABASE: Final = Board(
    "database",
    "Database",
    "PostgreSQL as Parley sees it: checkpoints of owners, what history writes, pools, and who reads over REST.",
    [
        Row(
            "Checkpoints",
            [
                Lines(
                    title="Time to store one",
                    about="99th percentile by service. One is written ten times a second at most.",
                    lines=slow("parley_checkpoint_seconds", "job"),
                    unit="s",
                ),
                Lines(
                    title="Failed",
                    about="They are repeated.",
                    lines=[per("job", "parley_checkpoint_failures_total")],
                    unit="cps",
                ),
                Lines(
                    title="Oldest entry without one",
                    about="An owner stops at 90 s.",
                    lines=[(f"max by (job) (parley_partition_unsaved_seconds{here()})", "{{job}}")],
                    unit="s",
                    bad=90,
                ),
            ],
        ),
        Row(
            "History",
            [
                Lines(
                    title="Oldest event not written",
                    lines=[(f"parley_history_oldest_seconds{here()}", PROCESS)],
                    unit="s",
                    bad=30,
                ),
                Lines(
                    title="Events written",
                    lines=[(flow("parley_history_events_total"), "events")],
                    unit="cps",
                ),
                Lines(
                    title="Parked",
                    about="Events that could not be written, in the table `history.parked`. Must be none.",
                    lines=[(flow("parley_history_parked_total"), "events")],
                    unit="cps",
                ),
            ],
        ),
        Row(
            "Pools and readers",
            [
                Lines(
                    title="Connections in use",
                    about="Each process has five at most.",
                    lines=[
                        (f"sum by (job, pod, instance) (parley_database_connections{BUSY})", PROCESS),
                    ],
                    bad=5,
                ),
                Lines(
                    title="REST: slowest paths",
                    about="99th percentile of the five slowest.",
                    lines=[(f"topk(5, {slow('parley_http_request_seconds', 'route')[0][0]})", "{{route}}")],
                    unit="s",
                ),
                Lines(
                    title="Readers of the event stream",
                    lines=[(total("parley_history_viewers"), "readers")],
                ),
            ],
        ),
    ],
)

BOARDS: Final = (OVERVIEW, CALL, GATEWAY, STREAMS, DATABASE)
