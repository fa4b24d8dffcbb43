"""
An owner's rules at work, without any I/O: entries of the log in, rounds of things to say out.

Everything here must come out the same on every replica that reads the same log: ids, places, order, what is taken for
a repetition and what for a failure.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, Final

import msgspec
import structlog
from msgspec import UNSET, Struct, UnsetType

from parley.kit import metrics, telemetry
from parley.kit.about import CALL, CONNECTION, ROOM, about
from parley.kit.bus import Message
from parley.kit.ownership import Marks
from parley.kit.reader import Entry
from parley.kit.state import State
from parley.protocol import subjects
from parley.protocol.clock import rfc3339
from parley.protocol.commands import AnyCommand, Batch, class_of, type_of
from parley.protocol.envelope import CloudEvent, Place
from parley.protocol.events import KINDS
from parley.protocol.outputs import Apart, Deliver, Fact, Forward, Output, Reply, Told
from parley.protocol.subjects import Class

FORGET_MS: Final = 15 * 60_000
"""A writer's mark that is older than this holds no longer: nobody repeats a batch for that long."""

PER_MESSAGE: Final = 4096
"""Deliveries in one message at most: a client's ``n`` is the message's sequence times this, plus an index."""

PER_ENTRY: Final = 1 << 24
"""Forwards of one entry at most: a forward's number is the entry's sequence times this, plus an ordinal."""

_ENCODER: Final = msgspec.json.Encoder()
_BATCH: Final = msgspec.json.Decoder(Batch)
_EVENT: Final = msgspec.json.Decoder(CloudEvent[AnyCommand])
_REPLY: Final = re.compile(r"[^\s.*>]+(\.[^\s.*>]+)*")

_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding may raise; the last for what is nested very deep."""

_FAILED: Final = metrics.counter(
    "events_failed", "Events that the rules could not process: bugs of ours. They changed nothing; the log says more."
)

_IN_LOGS: Final = {"app": "parley.app", "connection": CONNECTION, "room": ROOM}
"""What a log calls a span's attributes."""

_log = structlog.get_logger("parley.owner")


class _LooseBatch(Struct, frozen=True):
    """A batch of which some event is not understood."""

    gateway: str
    number: int
    events: list[msgspec.Raw]


_LOOSE: Final = msgspec.json.Decoder(_LooseBatch)


class Command(Struct, frozen=True):
    """A command for a partition, encoded."""

    partition: int
    kind: Class
    event: bytes


class Round:
    """What is to be said together: facts first, then everything else."""

    __slots__ = ("_receivers", "deliveries", "facts", "forwards", "receivers", "replies", "spans")

    def __init__(self) -> None:
        self.facts: list[Message] = []
        self.deliveries: dict[str, list[bytes]] = {}
        """By gateway, in order."""
        self.receivers: list[tuple[str, ...]] = []
        """Whom deliveries are for; emptied by those who ask."""
        self._receivers: set[str] = set()
        self.forwards: list[Command] = []
        self.replies: list[tuple[str, bytes]] = []
        self.spans: list[telemetry.Span] = []
        """To be ended once all this is said."""

    def __bool__(self) -> bool:
        return bool(self.facts or self.deliveries or self.forwards or self.replies or self.spans)

    def speaks_to(self, connection: str) -> bool:
        """Whether a delivery is for *connection*."""
        self._receivers.update(chain.from_iterable(self.receivers))  # put together only where connections move
        self.receivers.clear()
        return connection in self._receivers

    def fact_waves(self) -> list[list[Message]]:
        """Return the facts: each key's next, once those before it are stored, as what is sent together may overtake."""
        waves: list[list[Message]] = []
        depths: dict[str, int] = {}
        for fact in self.facts:
            depth = depths.get(fact.key, 0)
            depths[fact.key] = depth + 1
            if depth == len(waves):
                waves.append([])
            waves[depth].append(fact)
        return waves

    def waves(self, partition: int, limit: int) -> Iterator[list[Message]]:
        """Yield the messages to gateways: each gateway's next, once those before it are stored."""
        opening = b'{"partition":%d,"events":[' % partition
        parts = [(subjects.deliveries(gateway), _cut(told, limit)) for gateway, told in self.deliveries.items()]
        while parts:
            wave = []
            left = []
            for subject, cuts in parts:
                events = next(cuts, None)
                if events is not None:
                    wave.append(Message(subject, opening + b",".join(events) + b"]}"))
                    left.append((subject, cuts))
            if wave:
                yield wave
            parts = left


class _Cause(Struct, frozen=True, gc=False):
    """What everything that follows from an event carries on from it."""

    time: str | UnsetType = UNSET
    """When the frame came that all began with, by its gateway's clock."""
    traceparent: str | UnsetType = UNSET
    written: bytes = b""
    """All of it, as members of a delivery's envelope."""


_NO_CAUSE: Final = _Cause()


class _Said:
    """What one event brought about, complete or not at all."""

    __slots__ = ("deliveries", "facts", "forwards", "receivers", "replies")

    def __init__(self) -> None:
        self.facts: list[Message] = []
        self.deliveries: list[tuple[str, bytes]] = []
        self.receivers: list[tuple[str, ...]] = []
        self.forwards: list[Command] = []
        self.replies: list[tuple[str, bytes]] = []


class Rules:
    """One partition's state and its place in the log."""

    def __init__(self, service: str, partition: int, state: State, *, limit: int) -> None:
        """*limit* is how many bytes one thing that is said may have."""
        self.state: Final = state
        self.partition: Final = partition
        self.cursor = 0
        self.time = 0
        self.stream = ""
        self.marks: Marks = {}
        self._service = service
        self._source = f"parley/{service}"
        self._limit = limit
        self._tables = list(state.tables())
        self._moves = tuple(state.moves)
        self._told = 0
        """Deliveries of this entry so far."""
        self._forwarded = 0
        """Forwards of this entry so far."""
        self._prefix = ""
        self._gateways: set[str] = set()
        """Names that have been found fit for a subject."""

    def begin(self, stream: str, cursor: int, time: int, marks: Marks) -> None:
        """Stand behind entry *cursor* of the log that was created at *stream*."""
        self.stream, self.cursor, self.time, self.marks = stream, cursor, time, dict(marks)
        self._prefix = f"{self._service}.{_milliseconds(stream):x}"

    def rounds(self, entries: Sequence[Entry]) -> Iterator[Round]:
        """
        Reduce *entries*, and yield what to say about them, round by round.

        A round is to be said completely before the next one is asked for. The cursor is behind *entries* when all
        have been.
        """
        said = Round()
        for entry in entries:
            self.time = max(self.time, entry.time)
            self._told = self._forwarded = 0
            batch = self._batch(entry)
            if batch is not None and self._is_new(batch.gateway, batch.number):
                for index, event in enumerate(batch.events):
                    if not self._is_next(event):
                        continue
                    if isinstance(event.data, self._moves) and said.speaks_to(event.data.connection):
                        yield said
                        said = Round()
                    self._event(event, Place(self.partition, entry.sequence, index, self.time, batch.gateway), said)
            self.cursor = entry.sequence
        if said:
            yield said

    def log_lost(self, stream: str) -> Round:
        """Close what the state holds, because the log is another one: the one created at *stream*."""
        self.begin(stream, 0, max(self.time, _milliseconds(stream)), {})
        said = Round()
        # No entry is behind this, as it is in every partition: ids tell them apart by the index.
        at = Place(self.partition, 0, self.partition, self.time, "")
        self._told = self._forwarded = 0
        try:
            self._add(self._encoded(self.state.log_lost(at), at, _NO_CAUSE), said)
        except Exception:  # noqa: BLE001 - as with an event: the partition goes on
            self._undo()
            _log.exception("what the lost log left behind could not be closed", partition=self.partition)
        self._keep()
        return said

    def recent_marks(self) -> Marks:
        """Return the marks that still matter."""
        return {writer: mark for writer, mark in self.marks.items() if self.time - mark[1] <= FORGET_MS}

    def _batch(self, entry: Entry) -> Batch | None:
        try:
            return _BATCH.decode(entry.payload)
        except _UNREADABLE:
            return _legible(entry)

    def _is_new(self, writer: str, number: int) -> bool:
        last, time = self.marks.get(writer, (0, 0))
        if number <= last and self.time - time <= FORGET_MS:
            return False
        self.marks[writer] = (number, self.time)
        return True

    def _is_next(self, event: CloudEvent[AnyCommand]) -> bool:
        """Whether an event that an owner has forwarded is above the last one of its partition.

        Two owners of that partition may forward the same, each in its own time: the slower one must not have the
        last word.
        """
        if not isinstance(event.partitionkey, str) or not isinstance(event.sequence, str):
            return True  # a client's, or a watch's
        return not event.sequence.isdecimal() or self._is_new(
            f"{event.source}/{event.partitionkey}", int(event.sequence)
        )

    def _event(self, event: CloudEvent[AnyCommand], at: Place, said: Round) -> None:
        call = None
        traceparent = event.traceparent or None
        span: telemetry.Span | None = None
        if telemetry.recording():
            span = telemetry.messaging(
                "process", "parley.in.{partition}.{class}", parent=traceparent, attributes=partial(about, event.data)
            )
            said.spans.append(span)
            traceparent = span.traceparent
            if span.recording:
                call = self.state.call_of(event.data)
        cause = _cause(event.time, traceparent, call)
        told, forwarded = self._told, self._forwarded
        try:
            mine = self._encoded(self.state.reduce(event, at), at, cause)
        except Exception as error:  # noqa: BLE001 - whatever it is, one frame must not stop a partition
            self._undo()
            self._told, self._forwarded = told, forwarded
            if span is not None:
                span.fail(type(error).__name__)
            _FAILED.inc()
            _log.exception("an event failed; it has changed nothing", **_about(event, at, traceparent))
            try:
                mine = self._encoded(self.state.failed(event, at, error), at, cause)
            except Exception:  # noqa: BLE001 - as above
                self._undo()
                self._told, self._forwarded = told, forwarded
                _log.exception("nobody could be told", **_about(event, at, traceparent))
                return
        if span is not None and span.recording and (call := call or self.state.call_of(event.data)):
            span.set(CALL, call)
            span.link(telemetry.call_of(call))
        self._keep()
        self._add(mine, said)

    def _encoded(self, outputs: Iterable[Output], at: Place, cause: _Cause) -> _Said:
        """Put *outputs* into the words that will be published, so that what can't be said fails here."""
        said = _Said()
        self._encode(outputs, at, cause, {}, said)
        return said

    def _encode(self, outputs: Iterable[Output], at: Place, cause: _Cause, counts: dict[str, int], said: _Said) -> None:
        stem = f"{self._prefix}.{at.sequence}.{at.index}"
        for output in outputs:
            if isinstance(output, Deliver):
                self._deliver(output, at, stem, counts, cause, said)
            elif isinstance(output, Fact):
                said.facts.append(self._fact(output, at, _id(stem, KINDS[type(output.data)], counts), cause))
            elif isinstance(output, Forward):
                said.forwards.append(self._forward(output, at, stem, counts, cause))
            elif isinstance(output, Apart):
                self._apart(output, at, cause, counts, said)
            else:
                said.replies.append(_reply(output))

    def _apart(self, part: Apart, at: Place, cause: _Cause, counts: dict[str, int], said: _Said) -> None:
        marks = [table.mark() for table in self._tables]
        told, forwarded, counted = self._told, self._forwarded, counts.copy()
        mine = _Said()
        try:
            self._encode(part.outputs, at, cause, counted, mine)
        except Exception:  # noqa: BLE001 - as with an event
            for table, mark in zip(self._tables, marks, strict=True):
                table.undo(mark)
            self._told, self._forwarded = told, forwarded
            _log.exception(
                "a part of an event failed; it has changed nothing",
                sequence=at.sequence,
                **_of(cause.traceparent or None),
            )
            return
        counts.update(counted)
        said.facts += mine.facts
        said.deliveries += mine.deliveries
        said.receivers += mine.receivers
        said.forwards += mine.forwards
        said.replies += mine.replies

    def _deliver(
        self,
        output: Deliver,
        at: Place,
        stem: str,
        counts: dict[str, int],
        cause: _Cause,
        said: _Said,
    ) -> None:
        kind = str(output.say.__struct_config__.tag)
        # A CloudEvent[Told], put together by hand: this is the one thing here that is done for every frame.
        encoded = b'{"specversion":"1.0","id":"%b","source":"%b","type":"%b"%b,"data":%b}' % (
            _id(stem, kind, counts).encode(),
            self._source.encode(),
            kind.encode(),
            cause.written,
            _ENCODER.encode(Told(at.sequence, self._told, output.to, output.say)),
        )
        if len(encoded) > self._limit and len(output.to) > 1:  # half of the receivers at a time
            receivers = tuple(sorted(output.to))  # rows come in another order after a takeover; halves must not
            half = len(receivers) // 2
            for to in (receivers[:half], receivers[half:]):
                self._deliver(Deliver(output.gateway, to, output.say), at, stem, counts, cause, said)
            return
        if output.gateway not in self._gateways:
            self._gateways.add(subjects.token(output.gateway))
        said.deliveries.append((output.gateway, self._fitting(encoded)))
        said.receivers.append(output.to)
        self._told += 1

    def _fact(self, output: Fact, at: Place, id_: str, cause: _Cause) -> Message:
        kind = KINDS[type(output.data)]
        event: CloudEvent[Any] = CloudEvent(
            id=id_,
            source=self._source,
            type=kind,
            subject=output.subject,
            time=rfc3339(at.time),
            partitionkey=output.subject,
            sequence=UNSET if output.sequence is None else str(output.sequence),
            traceparent=cause.traceparent,
            data=output.data,
        )
        return Message(
            subjects.event(output.data.app, kind), self._fitting(_ENCODER.encode(event)), id_, output.subject
        )

    def _forward(self, output: Forward, at: Place, stem: str, counts: dict[str, int], cause: _Cause) -> Command:
        kind = type_of(output.command)
        self._forwarded += 1
        event = CloudEvent(
            id=_id(stem, kind, counts),
            source=self._source,
            type=kind,
            time=cause.time,
            partitionkey=str(self.partition),
            sequence=str(at.sequence * PER_ENTRY + self._forwarded),
            traceparent=cause.traceparent,
            data=output.command,
        )
        return Command(output.partition, class_of(output.command), self._fitting(_ENCODER.encode(event)))

    def _fitting(self, encoded: bytes) -> bytes:
        if len(encoded) > self._limit:
            raise ValueError(f"what is to be said has {len(encoded)} bytes, and the bus takes {self._limit} at a time")
        return encoded

    def _add(self, mine: _Said, said: Round) -> None:
        said.facts += mine.facts
        said.forwards += mine.forwards
        said.replies += mine.replies
        said.receivers += mine.receivers
        for gateway, told in mine.deliveries:
            said.deliveries.setdefault(gateway, []).append(told)

    def _keep(self) -> None:
        for table in self._tables:
            table.keep()

    def _undo(self) -> None:
        for table in self._tables:
            table.undo()


def _cause(time: str | UnsetType, traceparent: str | None, call: str | None) -> _Cause:
    if time is UNSET and traceparent is None:
        return _NO_CAUSE
    written = b"" if time is UNSET else b',"time":' + _ENCODER.encode(time)
    if traceparent is not None:
        written += b',"traceparent":' + _ENCODER.encode(traceparent)
    if call is not None:
        written += b',"call":' + _ENCODER.encode(call)
    return _Cause(time, traceparent or UNSET, written)


def _cut(told: list[bytes], limit: int) -> Iterator[list[bytes]]:
    """Cut a gateway's deliveries so that each part fits into a message."""
    part: list[bytes] = []
    size = 0
    for encoded in told:
        if part and (size + len(encoded) >= limit or len(part) == PER_MESSAGE):
            yield part
            part, size = [], 0
        part.append(encoded)
        size += len(encoded) + 1
    if part:
        yield part


def _id(stem: str, kind: str, counts: dict[str, int]) -> str:
    ordinal = counts[kind] = counts.get(kind, -1) + 1
    return f"{stem}.{kind}.{ordinal}"


def _reply(output: Reply) -> tuple[str, bytes]:
    if not _REPLY.fullmatch(output.subject):
        raise ValueError(f"not a subject to reply to: {output.subject!r}")
    return output.subject, _ENCODER.encode(output.body)


def _legible(entry: Entry) -> Batch | None:
    """Return what can be read of a batch; an event of another version of ours must not stop a partition."""
    try:
        loose = _LOOSE.decode(entry.payload)
    except _UNREADABLE:
        _log.exception("an entry cannot be read; it is skipped", sequence=entry.sequence, subject=entry.subject)
        return None
    events = []
    for raw in loose.events:
        try:
            events.append(_EVENT.decode(raw))
        except _UNREADABLE:
            _log.exception("an event cannot be read; it is skipped", sequence=entry.sequence, payload=bytes(raw)[:200])
    return Batch(loose.gateway, loose.number, events)


def _about(event: CloudEvent[AnyCommand], at: Place, traceparent: str | None) -> dict[str, object]:
    """Return whom and what an event is about, for the log."""
    known = about(event.data)
    named = {name: known[key] for name, key in _IN_LOGS.items() if key in known}
    return {"id": event.id, "type": event.type, "sequence": at.sequence} | named | _of(traceparent)


def _of(traceparent: str | None) -> dict[str, str]:
    accepted = telemetry.accepted(traceparent)
    return {"trace_id": accepted.split("-")[1]} if accepted else {}


def _milliseconds(stream: str) -> int:
    return int(datetime.fromisoformat(stream).timestamp() * 1000)
