"""
Events as they come from the durable consumer of EVENTS, in batches.

The consumer belongs to all replicas: each event goes to one of them, and to another one if that one does not
acknowledge it in time. What came while the last batch was being written is the next one. A request for more is
always open (nats-py's ``fetch`` waits out its timeout where it finds fewer than it asked for).
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final, Self

import msgspec
import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from parley.kit.bus import Bus
from parley.protocol import subjects

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription

ACK_SECONDS: Final = 10.0
"""How long after the death of a replica another one is given what it had in hand."""

_EXPIRES_SECONDS: Final = 30.0
_HEARTBEAT_SECONDS: Final = 1.0
_SILENCE_SECONDS: Final = 3.0
"""Longer than this without even a heartbeat, and NATS has forgotten that we asked."""
_AGAIN_SECONDS: Final = 0.5
_GOODBYE_SECONDS: Final = 2.0
_IN_HAND: Final = 20_000
"""Events that all replicas together may have in hand."""

_SHORT: Final = 9
"""Tokens of a reply subject in its first form, which names neither domain nor account."""
_HEARTBEAT: Final = "100"
_NOBODY: Final = "503"

_log = structlog.get_logger("parley.history")


class Inbox:
    """The durable consumer, as this replica reads it. Enter it to read."""

    def __init__(self, bus: Bus, consumer: str, size: int) -> None:
        """*size* is how many events a batch has at most."""
        self._bus = bus
        self._consumer = consumer
        self._size = size
        self._address = bus.client.new_inbox()
        self._asked = 0
        """How many events the open request may still bring."""
        self._came: deque[Msg] = deque()
        self._news = asyncio.Event()
        self._in_hand: list[Msg] = []
        """The last batch, until it is acknowledged."""
        self._subscription: Subscription | None = None
        """Set while entered."""
        self.stream = ""
        """Which incarnation of EVENTS the events are from: when it was made. Set before there are any."""

    async def __aenter__(self) -> Self:
        await self._make()
        self._subscription = await self._bus.client.subscribe(self._address, cb=self._take)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give back what is not acknowledged, so that another replica has it now and not when our time is over."""
        assert self._subscription
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                # Else NATS would give to us once more what we give back.
                await self._subscription.drain()  # type: ignore[no-untyped-call] # nats-py leaves it so
                for message in (*self._in_hand, *self._came):
                    if _status(message) is None:
                        await message.nak()
        except (nats.errors.Error, TimeoutError) as error:
            _log.debug("not given back", error=error)

    async def batch(self) -> Sequence[Msg]:
        """Return what there is, at least one event, however long that takes. Acknowledge it before the next one."""
        assert not self._in_hand, "one batch after the other"
        while True:
            self._in_hand = await self._events()
            if self._asked <= 0:
                await self._ask()
            if self._in_hand:
                return self._in_hand
            self._news.clear()
            try:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                self._asked = 0

    async def acknowledge(self) -> None:
        """Say that the batch is written."""
        for message in self._in_hand:
            try:
                await message.ack()
            except nats.errors.Error as error:  # it comes again, and changes nothing
                _log.debug("not acknowledged", subject=message.subject, error=error)
        self._in_hand = []

    async def still_busy(self) -> None:
        """Say that the batch is still in hand, lest somebody else is given it."""
        for message in self._in_hand:
            try:
                await message.in_progress()
            except nats.errors.Error:
                return  # NATS is away, too; somebody may be given it again, which is harmless

    async def level(self, target: int) -> str | None:
        """Return None once every event up to the sequence *target* is acknowledged, else how many are not."""
        try:
            info = await self._bus.js.consumer_info(subjects.EVENTS, self._consumer)
        except (nats.errors.Error, APIError, TimeoutError) as error:
            return f"NATS does not say how far it is ({error})."
        behind = (info.num_pending or 0) + (info.num_ack_pending or 0)
        done = info.ack_floor.stream_seq if info.ack_floor else 0
        if not behind or done >= target:
            return None
        return f"{behind} events are not written yet."

    async def figures(self) -> dict[str, int]:
        """Return how many events all replicas together have still to write."""
        info = await self._bus.js.consumer_info(subjects.EVENTS, self._consumer)
        return {"waiting": (info.num_pending or 0) + (info.num_ack_pending or 0)}

    @property
    def oldest(self) -> float | None:
        """When the oldest event was stored that this replica has and has not written, in seconds since the epoch."""
        waiting = chain(self._in_hand, self._came)
        return next((stored_at(message) for message in waiting if _status(message) is None), None)

    async def newest(self) -> int:
        """Return the sequence of the newest event there is; wait for a NATS that knows."""
        while True:
            await self._bus.connected.wait()
            try:
                return (await self._bus.js.stream_info(subjects.EVENTS)).state.last_seq
            except (nats.errors.Error, APIError, TimeoutError):
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _take(self, message: Msg) -> None:
        self._came.append(message)
        self._news.set()

    async def _events(self) -> list[Msg]:
        """Return the events among what came, as many as a batch has."""
        found: list[Msg] = []
        while self._came and len(found) < self._size:
            message = self._came.popleft()
            status = _status(message)
            if status is None:
                self._asked -= 1
                found.append(message)
            elif status != _HEARTBEAT:
                await self._heed(status, message)
        return found

    async def _heed(self, status: str, message: Msg) -> None:
        """A request is over: it expired, has brought all it could, or the consumer is not there (any more)."""
        self._asked = 0
        description = (message.headers or {}).get("Description", "")
        if status == _NOBODY or "deleted" in description.lower():
            _log.warning("the consumer is gone; making it again", consumer=self._consumer)
            await self._make()

    async def _ask(self) -> None:
        request = {
            "batch": self._size,
            "expires": int(_EXPIRES_SECONDS * 1e9),
            "idle_heartbeat": int(_HEARTBEAT_SECONDS * 1e9),
        }
        self.stream = await self._bus.created(subjects.EVENTS)  # the open request of another one brings nothing more
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{subjects.EVENTS}.{self._consumer}"
        await self._bus.client.publish(subject, msgspec.json.encode(request), reply=self._address)
        self._asked = self._size

    async def _make(self) -> None:
        """Make the consumer, or bring it to our settings; wait for a NATS that can."""
        config = ConsumerConfig(
            durable_name=self._consumer,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_SECONDS,
            max_ack_pending=_IN_HAND,
            filter_subjects=[subjects.ALL_EVENTS],  # those of no use, too: without gaps is easier to keep
        )
        while True:
            await self._bus.connected.wait()
            try:
                await self._bus.js.add_consumer(subjects.EVENTS, config=config)
            except (nats.errors.Error, APIError, TimeoutError) as error:
                _log.warning("the consumer could not be made yet", consumer=self._consumer, error=error)
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return


def number(message: Msg) -> int:
    """Return an event's sequence in the stream. It is in `metadata`, too, which takes as long as all else to read."""
    place = (message.reply or "").split(".")
    return int(place[5] if len(place) == _SHORT else place[7])


def stored_at(message: Msg) -> float:
    """Return when an event was stored in the stream, in seconds since the epoch."""
    place = (message.reply or "").split(".")
    return int(place[7] if len(place) == _SHORT else place[9]) / 1e9


def _status(message: Msg) -> str | None:
    """Return what NATS says about a request; None if the message is an event."""
    return message.headers.get("Status") if message.headers and not message.data else None
