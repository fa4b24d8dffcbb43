"""Events of a room, as the rooms service would publish them, for tests of those who read them."""

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from parley.kit.bus import Bus, Message
from parley.protocol import subjects
from parley.protocol.clock import rfc3339
from parley.protocol.commands import Reason
from parley.protocol.envelope import CloudEvent
from parley.protocol.events import (
    KINDS,
    CallEnded,
    CallQuality,
    CallStarted,
    Data,
    MessagePosted,
    NegotiationAnswered,
    NegotiationFailed,
    NegotiationOffered,
    Participant,
    RoomCreated,
)
from parley.protocol.requests import PeerQuality

NOON = 1_750_000_000_000
"""A time to begin at, in milliseconds."""

_ids: Iterator[int] = itertools.count()


class Room:
    """A room in which events happen, one millisecond after the other."""

    def __init__(self, name: str = "r1", *, app: str = "default", epoch: str = "e1", now: int = NOON) -> None:
        self.name = name
        self.app = app
        self.epoch = epoch
        self.now = now
        self.position = 0

    def created(self) -> Message:
        return self._event(RoomCreated(app=self.app, room=self.name, epoch=self.epoch))

    def says(
        self, text: str, *, data: bytes = b"null", user: str | None = "ana", traceparent: str | None = None
    ) -> Message:
        self.position += 1
        posted = MessagePosted(
            app=self.app,
            room=self.name,
            epoch=self.epoch,
            position=self.position,
            id=f"m{self.position}",
            connection_id=f"c-{user}".replace("\0", "") if user else None,
            user_id=user,
            text=text,
            data=Raw(data),
        )
        return self._event(posted, traceparent)

    def calls(self, id_: str, *people: str, traceparent: str | None = None) -> Message:
        return self._event(
            CallStarted(
                app=self.app,
                room=self.name,
                epoch=self.epoch,
                call_id=id_,
                participants=[Participant(f"c-{who}", who, rfc3339(self.now)) for who in people],
            ),
            traceparent,
        )

    def hangs_up(self, id_: str, *people: str, began: int, reason: Reason = "left") -> Message:
        return self._event(
            CallEnded(
                app=self.app,
                room=self.name,
                epoch=self.epoch,
                call_id=id_,
                started_at=rfc3339(began),
                duration_ms=self.now - began,
                reason=reason,
                participants=[Participant(f"c-{who}", who, rfc3339(began), rfc3339(self.now)) for who in people],
            )
        )

    def offers(self, sender: str, to: str | None, *, direct: bool = False, traceparent: str | None = None) -> Message:
        return self._event(NegotiationOffered(**self._step(sender, to, direct)), traceparent)

    def answers(self, sender: str, to: str | None, *, direct: bool = False, traceparent: str | None = None) -> Message:
        return self._event(NegotiationAnswered(**self._step(sender, to, direct)), traceparent)

    def fails(self, sender: str, to: str | None, *, direct: bool = False) -> Message:
        return self._event(NegotiationFailed(**self._step(sender, to, direct)))

    def _step(self, sender: str, to: str | None, direct: bool) -> dict[str, Any]:
        room = None if direct else self.name
        return {"app": self.app, "room": room, "connection_id": f"c-{sender}", "to": f"c-{to}" if to else None}

    def reports(self, sender: str, call: str | None, *peers: PeerQuality) -> Message:
        return self._event(
            CallQuality(
                app=self.app,
                room=self.name,
                epoch=self.epoch,
                call_id=call,
                connection_id=f"c-{sender}",
                user_id=sender,
                peers=peers,
            )
        )

    def _event(self, data: Data, traceparent: str | None = None) -> Message:
        kind = KINDS[type(data)]
        event: CloudEvent[Any] = CloudEvent(
            id=f"test-{next(_ids)}",
            source="/rooms",
            type=kind,
            subject=self.name,
            time=rfc3339(self.now),
            traceparent=traceparent or UNSET,
            data=data,
        )
        self.now += 1
        return Message(subjects.event(self.app, kind), msgspec.json.encode(event), event.id)


async def publish(bus: Bus, *messages: Message) -> None:
    """Publish events, in this order."""
    await bus.publish_all(messages)
