"""What history keeps of an event: rows, decided without any I/O."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct

from parley.history.activity import COUNTED, Happened
from parley.protocol.clock import milliseconds
from parley.protocol.envelope import traceparent as accepted
from parley.protocol.events import (
    CallEnded,
    CallQuality,
    CallStarted,
    Data,
    MessagePosted,
    NegotiationAnswered,
    NegotiationFailed,
    NegotiationOffered,
    RoomCreated,
)


class Message(Struct, frozen=True):
    """A row of `messages`."""

    app: str
    room: str
    epoch: str
    position: int
    id: str
    connection_id: str | None
    user_id: str | None
    text: str
    data: Raw
    time: str


class Epoch(Struct, frozen=True):
    """A row of `epochs`."""

    app: str
    room: str
    epoch: str
    opened_at: str


class Part(Struct, frozen=True):
    """A row of `participants`."""

    app: str
    call_id: str
    ordinal: int
    connection_id: str
    user_id: str | None
    joined_at: str
    left_at: str | None


class Call(Struct, frozen=True):
    """A row of `calls`."""

    app: str
    id: str
    room: str
    epoch: str
    started_at: str
    ended_at: str | None
    duration_ms: int | None
    reason: str | None
    trace_id: str | None
    """Of the frame that started it; where only its end is known, None."""


class CallRecord(Struct, frozen=True):
    """A call with who took part."""

    call: Call
    parts: tuple[Part, ...]

    @property
    def ended(self) -> bool:
        """Whether it says how the call ended; if so it says more than any record of its start."""
        return self.call.ended_at is not None


class Step(Struct, frozen=True):
    """A row of `steps`."""

    app: str
    connection_id: str
    time: str
    id: str
    type: str
    room: str | None
    to_id: str | None
    traceparent: str | None
    """Of its event, if that was kept."""


class Report(Struct, frozen=True):
    """A row of `reports`."""

    app: str
    call_id: str
    time: str
    connection_id: str
    peer: str
    state: str
    bytes_sent: int
    bytes_received: int
    packets_received: int
    packets_lost: int
    jitter_ms: float | None
    round_trip_ms: float | None
    local_candidate: str | None
    remote_candidate: str | None
    setup_ms: float | None
    first_media_ms: float | None


class FirstMedia(Struct, frozen=True):
    """A row of `first_media`."""

    app: str
    call_id: str
    connection_id: str
    peer: str
    room: str
    time: str
    first_media_ms: float


class Quality(Struct, frozen=True):
    """What a member of a call reports about its peers."""

    reports: tuple[Report, ...]
    first_media: tuple[FirstMedia, ...]


Record = Message | Epoch | CallRecord | Step | Quality


class Unreadable(ValueError):  # noqa: N818 - it says what the message is
    """A message that is no event, or not one of the type it claims."""


class _Kept(Struct, frozen=True):
    """The envelope, as far as it matters here."""

    type: str
    data: Raw
    id: str | msgspec.UnsetType = UNSET
    traceparent: str | msgspec.UnsetType = UNSET
    time: str | msgspec.UnsetType = UNSET


_ENVELOPE: Final = msgspec.json.Decoder(_Kept)
_DATA: Final[Mapping[str, msgspec.json.Decoder[Any]]] = {
    "message.posted": msgspec.json.Decoder(MessagePosted),
    "call.started": msgspec.json.Decoder(CallStarted),
    "call.ended": msgspec.json.Decoder(CallEnded),
    "call.quality": msgspec.json.Decoder(CallQuality),
    "negotiation.offered": msgspec.json.Decoder(NegotiationOffered),
    "negotiation.answered": msgspec.json.Decoder(NegotiationAnswered),
    "negotiation.failed": msgspec.json.Decoder(NegotiationFailed),
    "room.created": msgspec.json.Decoder(RoomCreated),
}
_ANY: Final = msgspec.json.Decoder(Data)
"""As much of an event's data as counting it takes."""


class Read(Struct, frozen=True):
    """An event, with what history keeps of it."""

    record: Record | None
    """None for a type that history does not keep."""
    happened: Happened | None
    """None for a type that is not counted."""
    traceparent: str | None


def read(payload: bytes) -> Read:
    """Return what to keep of the event in *payload*, or raise Unreadable."""
    try:
        envelope = _ENVELOPE.decode(payload)
        counter = COUNTED.get(envelope.type)
        decoder = _DATA.get(envelope.type) or (_ANY if counter else None)
        traceparent = None if envelope.traceparent is UNSET else envelope.traceparent
        if decoder is None:
            return Read(None, None, traceparent)
        if envelope.time is UNSET:
            raise Unreadable("the event names no time")
        time = milliseconds(envelope.time)
        data = decoder.decode(envelope.data)
        happened = Happened(data.app, counter, time) if counter else None
        return Read(_record(data, envelope), happened, traceparent)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise Unreadable(str(error)) from error


def _record(data: Data, envelope: _Kept) -> Record | None:
    assert isinstance(envelope.time, str)  # looked at by the caller
    time = envelope.time
    record: Record | None = None
    match data:
        case MessagePosted():
            record = _message(data, time)
        case CallStarted():
            kept = _kept(envelope)
            trace = kept.split("-")[1] if kept else None
            record = _call(data, started_at=time, ended_at=None, duration_ms=None, reason=None, trace_id=trace)
        case CallEnded():
            record = _call(
                data,
                started_at=data.started_at,
                ended_at=time,
                duration_ms=data.duration_ms,
                reason=data.reason,
                trace_id=None,
            )
        case RoomCreated():
            record = Epoch(app=data.app, room=_storable(data.room), epoch=data.epoch, opened_at=time)
        case NegotiationOffered() | NegotiationAnswered() | NegotiationFailed():
            record = _step(data, envelope.type.rpartition(".")[2], time, envelope)
        case CallQuality(call_id=str(call_id)):
            record = _quality(data, call_id, time)
    return record


def _kept(envelope: _Kept) -> str | None:
    """Return the traceparent of an event, if anybody keeps the trace: it says so in its last bit."""
    traceparent = accepted(envelope.traceparent)
    return traceparent if traceparent and int(traceparent[-2:], 16) & 1 else None


def _step(
    data: NegotiationOffered | NegotiationAnswered | NegotiationFailed, kind: str, time: str, envelope: _Kept
) -> Step:
    if envelope.id is UNSET:
        raise Unreadable("the event has no id")
    return Step(
        app=data.app,
        connection_id=data.connection_id,
        time=time,
        id=envelope.id,
        type=kind,
        room=None if data.room is None else _storable(data.room),
        to_id=None if data.to is None else _storable(data.to),
        traceparent=_kept(envelope),
    )


def _quality(data: CallQuality, call_id: str, time: str) -> Quality:
    return Quality(tuple(_reports(data, call_id, time)), tuple(_first_media(data, call_id, time)))


def _reports(data: CallQuality, call_id: str, time: str) -> Iterator[Report]:
    for peer in data.peers:
        yield Report(
            app=data.app,
            call_id=call_id,
            time=time,
            connection_id=data.connection_id,
            peer=peer.connection_id,
            state=peer.state,
            bytes_sent=peer.bytes_sent,
            bytes_received=peer.bytes_received,
            packets_received=peer.packets_received,
            packets_lost=peer.packets_lost,
            jitter_ms=peer.jitter_ms,
            round_trip_ms=peer.round_trip_ms,
            local_candidate=peer.local_candidate,
            remote_candidate=peer.remote_candidate,
            setup_ms=peer.setup_ms,
            first_media_ms=peer.first_media_ms,
        )


def _first_media(data: CallQuality, call_id: str, time: str) -> Iterator[FirstMedia]:
    for peer in data.peers:
        if peer.first_media_ms is not None:
            yield FirstMedia(
                app=data.app,
                call_id=call_id,
                connection_id=data.connection_id,
                peer=peer.connection_id,
                room=_storable(data.room),
                time=time,
                first_media_ms=peer.first_media_ms,
            )


def _message(data: MessagePosted, time: str) -> Message:
    return Message(
        app=data.app,
        room=_storable(data.room),
        epoch=data.epoch,
        position=data.position,
        id=_storable(data.id),
        connection_id=data.connection_id,
        user_id=None if data.user_id is None else _storable(data.user_id),
        text=_storable(data.text),
        data=data.data,
        time=time,
    )


def _call(
    data: CallStarted | CallEnded,
    *,
    started_at: str,
    ended_at: str | None,
    duration_ms: int | None,
    reason: str | None,
    trace_id: str | None,
) -> CallRecord:
    call = Call(
        app=data.app,
        id=data.call_id,
        room=_storable(data.room),
        epoch=data.epoch,
        started_at=_moment(started_at),
        ended_at=ended_at,
        duration_ms=duration_ms,
        reason=reason,
        trace_id=trace_id,
    )
    parts = (
        Part(
            app=data.app,
            call_id=data.call_id,
            ordinal=ordinal,
            connection_id=who.connection_id,
            user_id=None if who.user_id is None else _storable(who.user_id),
            joined_at=_moment(who.joined_at),
            left_at=None if who.left_at is None else _moment(who.left_at),
        )
        for ordinal, who in enumerate(data.participants)
    )
    return CallRecord(call, tuple(parts))


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


def _storable(text: str) -> str:
    """Return *text* without U+0000, which JSON can hold and PostgreSQL's text can't."""
    return text.replace("\0", "\ufffd")
