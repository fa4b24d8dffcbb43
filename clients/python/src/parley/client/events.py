"""
The stream of public events, for backend teams.

    async for event in events("nats://127.0.0.1:4222", "default", since=timedelta(hours=1), durable="billing"):
        print(event.type, event.data)

What each event holds is in docs/reference/schemas/. Events of one room come in order, and ``sequence`` counts
them without gaps, so whoever missed one knows.
"""

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import nats
import nats.errors
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError, NotFoundError

from parley.client.errors import ParleyError
from parley.client.pull import ConsumerGone, Pull
from parley.protocol import subjects

_TYPES: Final = re.compile(r"([a-z][a-zA-Z]*|\*)(\.([a-z][a-zA-Z]*|\*))*(\.>)?|>")
_CONNECT_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 0.5
_RECENT: Final = 10_000
"""Events whose ids are remembered, oldest forgotten first."""
_IDLE_SECONDS: Final = 60.0
"""How long NATS keeps a consumer without a name that nobody reads."""

_log = logging.getLogger("parley.client")


@dataclass(frozen=True)
class Event:
    """One public fact, as the CloudEvents envelope tells it."""

    id: str
    """The same however often it is delivered."""
    type: str
    """Such as ``room.joined``."""
    source: str
    subject: str | None
    """The room, or the connection."""
    time: str | None
    """When it happened: RFC 3339, UTC, milliseconds."""
    sequence: int | None
    """The room's counter of events."""
    traceparent: str | None
    data: dict[str, Any]
    """In the words of the wire, such as ``connectionId``."""
    position: int
    """Its place in the stream EVENTS."""
    raw: bytes
    """The envelope as it is stored: JSON, on one line."""


async def events(
    nats_url: str,
    app: str | None = None,
    *,
    since: datetime | timedelta | None = None,
    durable: str | None = None,
    types: str = ">",
    ack_wait: float = 30,
    **options: Any,
) -> AsyncGenerator[Event, None]:
    """
    Yield public events as they come, for ever.

    *since* is a time, or how long ago; without it only new events come. *types* selects by type, as NATS does:
    ``room.joined``, ``room.*``. *app* None means all apps.

    With *durable* Parley remembers under that name how far you have come: an event counts as processed once the
    loop asks for the next one, a restart continues there, and *since* matters only the first time. One that was
    not processed comes again after *ack_wait* seconds, and nothing overtakes it. So an event may come twice; its
    ``id`` tells. *options* go to nats-py's ``connect``.
    """
    place = _Place(durable, _filter(app, types), _start(since), ack_wait)
    recent: dict[str, None] = {}  # NATS forgets its last acknowledgements when it is killed; we do not
    connection = await _connected(nats_url, options)
    try:
        consumer = await place.consumer(connection.jetstream())
        while True:
            try:
                async with Pull(connection, subjects.EVENTS, consumer) as pull:
                    while True:
                        message = await pull.next()
                        if (event := _decoded(message)) and event.id not in recent:
                            yield event
                            place.start = event.position + 1
                            recent[event.id] = None
                            if len(recent) > _RECENT:
                                del recent[next(iter(recent))]
                        if durable:
                            await message.ack()
            except ConsumerGone:
                consumer = await place.consumer_again(connection.jetstream())
    finally:
        await connection.close()


async def _connected(url: str, options: dict[str, Any]) -> Nats:
    """Connect, and stay connected from then on; a NATS that is not there to begin with is an error."""
    defaults = {"max_reconnect_attempts": -1, "ping_interval": 10, "connect_timeout": 2, "error_cb": _noted}
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            return await nats.connect(url, **{**defaults, **options})
    except (TimeoutError, OSError, nats.errors.Error) as error:
        raise ParleyError(
            f"NATS does not answer at {url.rpartition('@')[2]}: is it running, and the address right?"
        ) from error


async def _noted(error: Exception) -> None:
    _log.debug("nats: %r", error)


class _Place:
    """Where a reader is in the stream, and the consumer that stands there."""

    def __init__(self, durable: str | None, subject: str, start: datetime | int | None, ack_wait: float) -> None:
        self.start = start
        """A time, a sequence, or None for whatever comes next."""
        self._durable = durable
        self._subject = subject
        self._ack_wait = ack_wait

    async def consumer(self, js: JetStreamContext) -> str:
        """Return the name of the consumer, which is made if need be."""
        try:
            if self.start is None:  # pinned down now, so that nothing is missed if the consumer has to be made again
                self.start = (await js.stream_info(subjects.EVENTS)).state.last_seq + 1
            if self._durable is None:
                return (await js.add_consumer(subjects.EVENTS, config=self._config())).name
            return await self._bind(js, self._durable)
        except NotFoundError as error:
            raise ParleyError("there is no stream EVENTS at this NATS: start Parley first") from error

    async def consumer_again(self, js: JetStreamContext) -> str:
        """Make the consumer anew behind the last event that was read, as soon as NATS can."""
        while True:
            await asyncio.sleep(_AGAIN_SECONDS)
            try:
                return await self.consumer(js)
            except (TimeoutError, nats.errors.Error, APIError):
                continue

    async def _bind(self, js: JetStreamContext, durable: str) -> str:
        try:
            found = await js.consumer_info(subjects.EVENTS, durable)
        except NotFoundError:
            await js.add_consumer(subjects.EVENTS, config=self._config())
            return durable
        if found.config.filter_subject != self._subject:
            raise ParleyError(
                f"the durable {durable!r} reads {found.config.filter_subject!r}, not {self._subject!r}:"
                " choose another name, or delete it first"
            )
        return durable

    def _config(self) -> ConsumerConfig:
        config = ConsumerConfig(filter_subject=self._subject)
        if isinstance(self.start, datetime):
            config.deliver_policy = DeliverPolicy.BY_START_TIME
            config.opt_start_time = self.start
        else:
            config.deliver_policy = DeliverPolicy.BY_START_SEQUENCE
            config.opt_start_seq = self.start
        if self._durable:
            config.durable_name = self._durable
            config.ack_policy = AckPolicy.EXPLICIT
            config.ack_wait = self._ack_wait
            config.max_ack_pending = 1  # so nothing overtakes what has to be delivered again
        else:
            config.ack_policy = AckPolicy.NONE
            config.inactive_threshold = _IDLE_SECONDS
        return config


def _filter(app: str | None, types: str) -> str:
    if not _TYPES.fullmatch(types):
        raise ValueError(f"{types!r} selects no events: give a type such as 'room.joined', or 'room.*', or '>'")
    everything = subjects.events_of(app) if app is not None else subjects.ALL_EVENTS.replace(">", "*.>")
    return everything.removesuffix(">") + types


def _start(since: datetime | timedelta | None) -> datetime | None:
    if isinstance(since, timedelta):
        return datetime.now(UTC) - since
    if since is not None and since.tzinfo is None:
        raise ValueError("since names no time zone: use datetime.now(UTC) and the like")
    return since


def _decoded(message: Msg) -> Event | None:
    """Return the event in *message*, None if it is none: one bad message must not stop a reader for ever."""
    try:
        envelope = json.loads(message.data)
        sequence = envelope.get("sequence")
        return Event(
            id=envelope["id"],
            type=envelope["type"],
            source=envelope["source"],
            subject=envelope.get("subject"),
            time=envelope.get("time"),
            sequence=None if sequence is None else int(sequence),
            traceparent=envelope.get("traceparent"),
            data=envelope["data"],
            position=message.metadata.sequence.stream,
            raw=message.data,
        )
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
