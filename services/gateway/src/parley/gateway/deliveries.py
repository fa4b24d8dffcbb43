"""
What owners have for our clients, written to their sockets.

An owner may say a thing twice, or two owners the same thing; each says where in
the log it stands, and what is not above the last place written from that
partition is dropped (design section 6).
"""

from collections.abc import Callable
from functools import partial
from time import time
from typing import Final, get_args

import msgspec
import structlog
from msgspec import UNSET, Raw, Struct

from parley.gateway.connection import Connection
from parley.gateway.latency import LATENCIES, seconds_of
from parley.gateway.notes import ROUTES, Note
from parley.gateway.notes import told as noted
from parley.gateway.tallies import DELIVERIES, DROPS, JOINED
from parley.gateway.websocket import HEADROOM
from parley.kit import telemetry
from parley.kit.about import CALL, CONNECTION, ROOM
from parley.protocol.codes import CloseCode
from parley.protocol.dialects import Dialect, Frame, Personal
from parley.protocol.envelope import CloudEvent
from parley.protocol.outputs import Deliveries as Batch
from parley.protocol.outputs import Told
from parley.protocol.says import Error, JoinOk, MemberLeft, Message, ToClient, ToGateway

log = structlog.get_logger(__name__)

PER_MESSAGE: Final = 4096
"""Places in one message: ``n`` is the stream's sequence times this, plus an index."""

Obey = Callable[[str, ToGateway], None]
"""Does what an owner tells this gateway about a connection."""

_decode: Final = msgspec.json.Decoder(Batch).decode
_event: Final = msgspec.json.Decoder(CloudEvent[Told]).decode


class Legible(Struct, frozen=True):
    """What can be read of a message: an owner of another version may say what we do not know."""

    partition: int
    events: list[CloudEvent[Told] | None]


class _Loose(Struct, frozen=True):
    partition: int
    events: list[Raw]


_loose: Final = msgspec.json.Decoder(_Loose).decode

_TO_GATEWAY: Final = frozenset(get_args(ToGateway))
_HEEDED: Final = frozenset({MemberLeft, Error, JoinOk, Message})
"""What is looked at besides being written. To `isinstance` these take near a microsecond, and most frames are none."""


class Deliveries:
    """Reads message after message, in the stream's order."""

    def __init__(self, find: Callable[[str], Connection | None], obey: Obey, place: int = 0) -> None:
        self._find = find
        self._obey = obey
        self._marks: dict[tuple[str, int], tuple[int, int]] = {}
        self.place = place
        """How far we have come: every frame with an ``n`` up to here has been written."""

    def read(self, sequence: int, message: bytes) -> None:
        """Write what one message of DELIVERIES holds."""
        first = sequence * PER_MESSAGE
        if first <= self.place:  # the stream was made anew, and so was the log that marks speak of
            self._marks.clear()
        batch = readable(sequence, message)
        for index, event in enumerate(batch.events):
            if event is None:
                continue
            told, mark = event.data, (event.source, batch.partition)
            place = (told.sequence, told.index)
            if place <= self._marks.get(mark, (0, -1)):
                continue
            self._marks[mark] = place
            try:
                self._write(event, first + index)
            except Exception:
                DROPS["failed"] += 1
                log.exception("A delivery could not be written.", id=event.id, room=getattr(told.say, "room", None))
        self.place = first + max(len(batch.events) - 1, 0)

    def _write(self, event: CloudEvent[Told], n: int) -> None:
        told, say = event.data, event.data.say
        if type(say) in _TO_GATEWAY:
            for receiver in told.to:
                self._obey(receiver, say)  # type: ignore[arg-type] # it is one
            return
        came = None if event.time is UNSET else seconds_of(event.time)
        recording = telemetry.recording()
        if recording and not telemetry.refused(event.traceparent):
            self._traced(event, n, came)
            return
        try:
            here = self._tell(told.to, say, n)  # type: ignore[arg-type] # it is for clients, as it is not for us
        except Exception as error:
            span = _span(event, came)
            span.fail(type(error).__name__)
            span.end()
            raise
        if came is not None and here:
            took = time() - came
            known = None
            if recording and telemetry.slow(took):
                span = _span(event, came)
                span.end()
                known = span.traceparent if span.recording else None
            LATENCIES.observe(ROUTES[type(say)], took, here, known)

    def _traced(self, event: CloudEvent[Told], n: int, came: float | None) -> None:
        """Tell clients, and a trace of it."""
        told, say = event.data, event.data.say
        span = _span(event, came)
        try:
            here = self._tell(told.to, say, n)  # type: ignore[arg-type] # as above
        except Exception as error:
            span.fail(type(error).__name__)
            raise
        finally:
            span.end()
        if came is not None and here:
            LATENCIES.observe(ROUTES[type(say)], time() - came, here, span.traceparent if span.recording else None)

    def _tell(self, to: tuple[str, ...], say: ToClient, n: int) -> int:
        """Encode once per dialect, write to each of its connections; return how many are here."""
        known: dict[Dialect, tuple[bytearray, Note] | Personal | None] = {}
        find = self._find
        now = time()
        here = 0
        if type(say) in _HEEDED:
            self._heed(to, say, n, now)
        for receiver in to:
            connection = find(receiver)
            if connection is None:
                continue
            dialect = connection.session.dialect
            if dialect not in known:
                said = dialect.encode(say, n)
                known[dialect] = (prepared(said), noted(now, say, len(said))) if isinstance(said, bytes) else said
            here += 1
            words = known[dialect]
            if isinstance(words, tuple):
                connection.deliver(words[0], n, words[1])
            elif words is not None:
                own = words(receiver)
                if own is not None:
                    connection.deliver(prepared(own), n, noted(now, say, len(own)))
            if isinstance(say, Error) and say.code in dialect.final:
                connection.hang_up(CloseCode.NORMAL)
        DELIVERIES[ROUTES[type(say)]] += here
        return here

    def _heed(self, to: tuple[str, ...], say: ToClient, n: int, now: float) -> None:
        """Look at what is for clients and tells the gateway something, too."""
        if isinstance(say, Message):
            if say.room is None:
                self._posted(to)
        elif isinstance(say, JoinOk):
            self._joined(to, say, now)
        elif isinstance(say, MemberLeft | Error):
            self._note(to, say, n)

    def _note(self, to: tuple[str, ...], say: MemberLeft | Error, n: int) -> None:
        """Tell sessions that are out of a room without having left it themselves."""
        out = (say.connection_id,) if isinstance(say, MemberLeft) else to
        for receiver in out:
            connection = self._find(receiver) if receiver in to else None
            if connection is not None and say.room is not None and n > connection.since:
                connection.session.is_out_of(say.room)

    def _joined(self, to: tuple[str, ...], say: JoinOk, now: float) -> None:
        """Measure how long a client has waited, if the note of its request is still there."""
        for receiver in to:
            connection = self._find(receiver)
            asked = connection and connection.session.asked(say.ref)
            if asked:
                JOINED.observe(max(0.0, now - asked))

    def _posted(self, to: tuple[str, ...]) -> None:
        """Note that a backend keeps a connection busy."""
        for receiver in to:
            connection = self._find(receiver)
            if connection is not None:
                connection.active_at = time()


def _span(event: CloudEvent[Told], came: float | None) -> telemetry.Span:
    """Begin the span of a delivery; it is slow if its frame came long ago."""
    return telemetry.messaging(
        "process",
        "parley.out.{gateway}",
        parent=event.traceparent or None,
        links=(telemetry.call_of(event.call),) if event.call else (),
        count=len(event.data.to),
        attributes=partial(_about, event, came),
        since=None if came is None else int(came * 1e9),
    )


def _about(event: CloudEvent[Told], came: float | None) -> telemetry.Attributes:
    told = event.data
    said: dict[str, telemetry.Value] = {"parley.route": ROUTES[type(told.say)]}
    if len(told.to) == 1:
        said[CONNECTION] = told.to[0]
    room = getattr(told.say, "room", None)
    if room is not None:
        said[ROOM] = room
    if event.call:
        said[CALL] = event.call
    if came is not None:
        said["parley.since_frame_ms"] = round((time() - came) * 1000, 3)
    return said


def prepared(frame: Frame) -> bytearray:
    """Return a frame as sockets write it, any number of them the same."""
    return bytearray(HEADROOM) + frame


def readable(sequence: int, message: bytes) -> Batch | Legible:
    """Return what a message of DELIVERIES says, or what of it can be read."""
    try:
        return _decode(message)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _legible(sequence, message)


def _legible(sequence: int, message: bytes) -> Legible:
    """Leave out what cannot be read, and keep the places of the rest."""
    try:
        loose = _loose(message)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        DROPS["unreadable"] += 1
        log.exception("A message of deliveries cannot be read; it is left out.", sequence=sequence)
        return Legible(0, [])
    events: list[CloudEvent[Told] | None] = []
    for raw in loose.events:
        try:
            events.append(_event(raw))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            DROPS["unreadable"] += 1
            log.exception("A delivery cannot be read; it is left out.", sequence=sequence, payload=bytes(raw)[:200])
            events.append(None)
    return Legible(loose.partition, events)
