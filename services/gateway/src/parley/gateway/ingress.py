"""
What clients did, on its way into the log: how much waits, and since when.

The kit's writer keeps the order and repeats what is not acknowledged. Here is
the bound on what it may hold while NATS is away: above it clients are refused,
but how connections end is always taken, there is one of that for each.
"""

import asyncio
from functools import partial
from time import monotonic, time
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from parley.kit import telemetry
from parley.kit.about import about
from parley.kit.flow import Flow, Rate
from parley.kit.telemetry import NOT_SAMPLED, Span, messaging
from parley.kit.writer import Writer
from parley.protocol.clock import rfc3339
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.commands import AnyCommand, class_of, type_of
from parley.protocol.envelope import CloudEvent
from parley.protocol.subjects import Class

_encode: Final = msgspec.json.Encoder().encode

FULL: Final = Refusal(ErrorCode.DEGRADED, "The log takes nothing at the moment; try again.")

TRACED: Final = Rate(per_second=100, burst=200)
"""How many requests clients may have recorded, together, by saying that their own trace is sampled."""

Stored = asyncio.Future[None]
Names = tuple[Class, str]


class Bounds(Struct, frozen=True):
    """How much may wait."""

    bytes: int = 64 * 1024 * 1024
    seconds: float = 10
    """The age of the oldest that waits, above which clients are refused."""


class Ingress:
    """The one way from clients to the log."""

    def __init__(self, writer: Writer, bounds: Bounds) -> None:
        self._writer = writer
        self._bounds = bounds
        self._source = f"parley/gateway/{writer.name}"
        self._count = 0  # of events so far: their ids
        self._waiting: dict[Stored, tuple[float, int, Span | None]] = {}  # since when, bytes; oldest first
        self._bytes = 0
        self._late = False
        self._traced = Flow(TRACED, monotonic())
        self._names: dict[type, Names] = {}  # class and CloudEvents type of each kind of command

    def put(self, partitions: tuple[int, ...], command: AnyCommand, traceparent: str | None = None) -> list[Stored]:
        """Have a command stored in each of *partitions*, after all that was put there before.

        Its span goes on from *traceparent*, and ends when the log has the command; without tracing what follows does.
        """
        self._count += 1
        span = None
        if telemetry.recording():
            parent = self._heeded(traceparent)
            span = messaging("send", "parley.in.{partition}.{class}", parent=parent, attributes=partial(about, command))
            traceparent = span.traceparent
        names = self._names.get(type(command))
        if names is None:
            names = self._names[type(command)] = class_of(command), type_of(command)
        kind, name = names
        event = _encode(
            CloudEvent(
                id=str(self._count),
                source=self._source,
                type=name,
                time=rfc3339(int(time() * 1000)),
                traceparent=UNSET if traceparent is None else traceparent,
                data=command,
            )
        )
        now = monotonic()
        waiting = []
        for partition in partitions:
            stored = self._writer.put_encoded(partition, kind, event)
            self._bytes += len(event)
            self._waiting[stored] = now, len(event), span
            span = None  # one end is enough
            stored.add_done_callback(self._done)
            waiting.append(stored)
        return waiting

    def _heeded(self, traceparent: str | None) -> str | None:
        """Return a client's trace; beyond a rate as one that is not sampled, or clients could have all recorded."""
        if traceparent is None or traceparent[-1] in NOT_SAMPLED or self._traced.take(monotonic()):
            return traceparent
        return telemetry.unsampled(traceparent)

    async def drained(self) -> None:
        """Return once everything that was put so far is stored."""
        if self._waiting:
            await asyncio.wait(list(self._waiting))

    @property
    def trouble(self) -> Refusal | None:
        """Why clients' requests can't be taken now, if so."""
        return FULL if self._late or self._bytes > self._bounds.bytes else None

    @property
    def waiting_bytes(self) -> int:
        """How much waits."""
        return self._bytes

    def look(self, now: float) -> float:
        """Notice if the log has stopped taking events; return for how many seconds the oldest has waited."""
        for since, _, _ in self._waiting.values():
            behind = now - since
            self._late = behind > self._bounds.seconds
            return behind
        self._late = False
        return 0.0

    def _done(self, stored: Stored) -> None:
        _, size, span = self._waiting.pop(stored)
        self._bytes -= size
        if span is not None:
            span.end()
