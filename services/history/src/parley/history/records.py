"""What history keeps of an event: rows, decided without any I/O."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct

from parley.protocol.clock import milliseconds
from parley.protocol.events import CallEnded, CallStarted, Data, MessagePosted, Participant, RoomCreated

TYPES: Final = ("message.posted", "call.started", "call.ended", "room.created")
"""The events that history reads; the rest is for others."""


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


class CallRecord(Struct, frozen=True):
    """A call with who took part."""

    call: Call
    parts: tuple[Part, ...]

    @property
    def ended(self) -> bool:
        """Whether it says how the call ended; if so it says more than any record of its start."""
        return self.call.ended_at is not None


Record = Message | Epoch | CallRecord


class Unreadable(ValueError):  # noqa: N818 - it says what the message is
    """A message that is no event, or not one of the type it claims."""


class _Kept(Struct, frozen=True):
    """The envelope, as far as it matters here."""

    type: str
    data: Raw
    traceparent: str | msgspec.UnsetType = UNSET
    time: str | msgspec.UnsetType = UNSET


_ENVELOPE: Final = msgspec.json.Decoder(_Kept)
_DATA: Final[Mapping[str, msgspec.json.Decoder[Any]]] = {
    "message.posted": msgspec.json.Decoder(MessagePosted),
    "call.started": msgspec.json.Decoder(CallStarted),
    "call.ended": msgspec.json.Decoder(CallEnded),
    "room.created": msgspec.json.Decoder(RoomCreated),
}


class Read(Struct, frozen=True):
    """An event, with what history keeps of it."""

    record: Record | None
    """None for a type that history does not keep."""
    traceparent: str | None


def read(payload: bytes) -> Read:
    """Return what to keep of the event in *payload*, or raise Unreadable."""
    try:
        envelope = _ENVELOPE.decode(payload)
        decoder = _DATA.get(envelope.type)
        traceparent = None if envelope.traceparent is UNSET else envelope.traceparent
        if decoder is None:
            return Read(None, traceparent)
        if envelope.time is UNSET:
            raise Unreadable("the event names no time")
        milliseconds(envelope.time)
        return Read(_record(decoder.decode(envelope.data), envelope.time), traceparent)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise Unreadable(str(error)) from error


def _record(data: Data, time: str) -> Record | None:
    match data:
        case MessagePosted():
            return _message(data, time)
        case CallStarted():
            return _call(data, data.participants, started_at=time, ended_at=None, duration_ms=None, reason=None)
        case CallEnded():
            return _call(
                data,
                data.participants,
                started_at=data.started_at,
                ended_at=time,
                duration_ms=data.duration_ms,
                reason=data.reason,
            )
        case RoomCreated():
            return Epoch(app=data.app, room=_storable(data.room), epoch=data.epoch, opened_at=time)
        case _:
            return None


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
    participants: list[Participant],
    *,
    started_at: str,
    ended_at: str | None,
    duration_ms: int | None,
    reason: str | None,
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
        for ordinal, who in enumerate(participants)
    )
    return CallRecord(call, tuple(parts))


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


def _storable(text: str) -> str:
    """Return *text* without U+0000, which JSON can hold and PostgreSQL's text can't."""
    return text.replace("\0", "\ufffd")
