"""What a run measures, how long, and what we aim at (docs/reference/benchmarks.md says what each row is)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks import tracing, works
from benchmarks.faults import works as faulty

Met = Callable[[float, float | None], bool]
"""Given our figure and Socket.IO's, whether the aim is met."""


@dataclass(frozen=True)
class Aim:
    says: str
    met: Met


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    title: str
    figure: str
    """Its name among the figures of a round."""
    unit: str
    aim: Aim | None = None


@dataclass(frozen=True)
class Item:
    """A work and what is read from it."""

    name: str
    work: works.Work
    rows: Sequence[Row]
    rounds: int = 3
    seconds: float = 2.0
    systems: tuple[str, ...] = ("parley", "socket_io", "bare")


@dataclass(frozen=True)
class Fault:
    """A fault, or whatever else has a Parley of its own, and what is read from it."""

    name: str
    work: Callable[[], Awaitable[works.Figures]]
    rows: Sequence[Row]
    section: str = "Faults"


def at_most(limit: float, unit: str) -> Aim:
    return Aim(f"at most {limit:g} {unit}", lambda ours, _: ours <= limit)


NONE = Aim("none", lambda ours, _: ours == 0)


def at_least(limit: float) -> Aim:
    return Aim(f"at least {limit:,.0f}", lambda ours, _: ours >= limit)


def times_socket_io(factor: float) -> Aim:
    def met(ours: float, theirs: float | None) -> bool:
        return theirs is not None and ours >= factor * theirs

    return Aim("at least Socket.IO's" if factor == 1 else f"at least {factor:g} times Socket.IO's", met)


def agenda(*, quick: bool) -> list[Item]:
    """Return all works; *quick* ones are for seeing that all works, not for figures to keep."""
    rounds, seconds = (1, 0.5) if quick else (3, 2.0)
    connections = 1000 if quick else 5000
    return [
        Item(
            "idle",
            partial(works.idle, connections=connections),
            (
                Row("connects, until welcome", "rate", "/s", at_least(1000)),
                Row(f"memory per idle connection, of {connections:,}", "kilobytes", "KB", at_most(14, "KB")),
            ),
            rounds=1,
        ),
        Item(
            "direct latency",
            works.direct_latency,
            (
                Row(f"direct message at {works.RATE:,}/s, p50", "p50", "ms", at_most(1.5, "ms")),
                Row(f"direct message at {works.RATE:,}/s, p99", "p99", "ms", at_most(10, "ms")),
            ),
            rounds,
            seconds,
        ),
        Item(
            "ping-pong 50",
            partial(works.ping_pong, pairs=50),
            (Row("direct messages, 50 pairs ping-pong", "rate", "/s", times_socket_io(1)),),
            rounds,
            seconds,
        ),
        Item(
            "ping-pong 1000",
            partial(works.ping_pong, pairs=1000),
            (Row("direct messages, 1,000 pairs ping-pong", "rate", "/s", times_socket_io(1)),),
            rounds,
            seconds,
        ),
        Item(
            "fan-out",
            works.fan_out,
            (Row("deliveries in a room of 500", "rate", "/s", times_socket_io(1.5)),),
            rounds,
            seconds,
        ),
        Item(
            "chat",
            works.chat_throughput,
            (Row("chat, durable and acknowledged", "rate", "/s", at_least(5000)),),
            rounds,
            seconds,
            systems=("parley", "socket_io"),
        ),
        Item(
            "chat latency",
            works.chat_latency,
            (
                Row(f"chat acknowledged at {works.RATE:,}/s, p50", "p50", "ms"),
                Row(f"chat acknowledged at {works.RATE:,}/s, p99", "p99", "ms", at_most(25, "ms")),
            ),
            rounds,
            seconds,
            systems=("parley", "socket_io"),
        ),
    ]


WRONG = "lost, doubled or out of order"


OVERHEAD = {"off": "tracing off", "sampled": "1 % traced", "full": "all traced"}


def overhead(*, quick: bool) -> Fault:
    """Return what tracing costs."""
    rounds, seconds = (1, 0.5) if quick else (5, 2.0)
    ways = OVERHEAD.items()
    return Fault(
        "tracing",
        partial(tracing.cost, pairs=50, rounds=rounds, seconds=seconds),
        [
            *(Row(f"direct messages, 50 pairs ping-pong, {title}", f"rate_{way}", "/s") for way, title in ways),
            *(Row(f"our code for a direct message, {title}", f"loop_{way}", "µs") for way, title in ways),
        ],
        "Tracing",
    )


def faults(*, quick: bool) -> list[Fault]:
    """Return all faults; *quick* ones are short, and few."""
    clients, before = (200, 1.0) if quick else (2000, 10.0)
    rate = 200 if quick else 2000
    killed = [
        Fault(
            "gateway killed",
            partial(faulty.gateway_killed, clients=clients, per_second=rate // 4, before=before),
            (
                Row(f"gateway killed, until {clients:,} clients are back", "resumed", "s", at_most(10, "s")),
                Row(WRONG, "wrong", "", NONE),
            ),
        ),
        Fault(
            "rooms killed",
            partial(faulty.rooms_killed, pairs=100, per_second=rate, before=before),
            (
                Row(f"owner of rooms killed at {rate:,}/s, longest pause", "pause", "s", at_most(4, "s")),
                Row(WRONG, "wrong", "", NONE),
            ),
        ),
    ]
    if quick:
        return [overhead(quick=True), *killed]
    return [
        overhead(quick=False),
        *killed,
        Fault(
            "all replaced",
            partial(faulty.all_replaced, pairs=100, per_second=1000, before=before),
            (
                Row("all processes replaced at 1,000/s, longest pause", "pause", "s"),
                Row(WRONG, "wrong", "", NONE),
            ),
        ),
        Fault(
            "leaders killed",
            partial(faulty.leaders_killed, pairs=100, per_second=500, before=before),
            (
                Row("leaders of streams on three NATS killed at 500/s, longest pause", "pause", "s"),
                Row(WRONG, "wrong", "", NONE),
            ),
        ),
    ]
