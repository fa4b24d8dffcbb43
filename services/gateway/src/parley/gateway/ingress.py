"""
What clients did, on its way into the log: how much waits, and since when.

The kit's writer keeps the order and repeats what is not acknowledged. Here is
the bound on what it may hold while NATS is away: above it clients are refused,
but how connections end is always taken, there is one of that for each.
"""

import asyncio
from time import monotonic
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from parley.kit.telemetry import Span
from parley.kit.writer import Writer
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.commands import AnyCommand, class_of, type_of
from parley.protocol.envelope import CloudEvent
from parley.protocol.subjects import Class

_encode: Final = msgspec.json.Encoder().encode

FULL: Final = Refusal(ErrorCode.DEGRADED, "The log takes nothing at the moment; try again.")

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
        self._names: dict[type, Names] = {}  # class and CloudEvents type of each kind of command

    def put(self, partitions: tuple[int, ...], command: AnyCommand, span: Span | None = None) -> list[Stored]:
        """Have a command stored in each of *partitions*, after all that was put there before."""
        self._count += 1
        traceparent = None if span is None else span.traceparent
        names = self._names.get(type(command))
        if names is None:
            names = self._names[type(command)] = class_of(command), type_of(command)
        kind, name = names
        event = _encode(
            CloudEvent(
                id=str(self._count),
                source=self._source,
                type=name,
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
