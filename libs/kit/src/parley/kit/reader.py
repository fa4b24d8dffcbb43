"""
Reading a stream in order: every message once, none left out, whatever happens to NATS in between.

nats-py has an ordered consumer of its own. This one differs where ours must not be wrong: what does not fit into a
buffer there is dropped without a word and the reading goes on behind it; flow control is answered up to a quarter
second late; and nobody notices that the stream is another one. Here every doubt (a silence, a step in the consumer's
numbers, a new connection, a full buffer) has the same cure: begin again behind the last entry that was handed out.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from parley.kit import metrics
from parley.kit.bus import Bus, pauses

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription

HEARTBEAT: Final = 1.0
SILENCE: Final = 2.5
"""Seconds without a heartbeat after which the consumer is taken for dead."""

AT_ONCE: Final = 512
"""Entries handed out at a time, at most."""

_PAUSED_BYTES: Final = 8 << 20
"""What may wait here before the server is asked to pause."""

_MAX_BYTES: Final = 64 << 20
"""What may wait here at all; the rest is read again later."""

_ACK_TOKENS: Final = 9  # $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<nanoseconds>.<pending>

_AGAIN: Final = metrics.counter(
    "stream_readings_again",
    "How often a stream was read again from where we were, as something may have been missed; nothing is then.",
    "stream",
    "doubt",
)

_log = structlog.get_logger("parley.reader")


class StreamReplacedError(Exception):
    """The stream is another one than before: NATS was wiped. Sequences begin anew and mean something else."""

    def __init__(self, created: str) -> None:
        super().__init__(f"the stream was created anew at {created}")
        self.created = created


class Entry(NamedTuple):
    """One message of a stream."""

    sequence: int
    time: int
    """When it was stored, in milliseconds."""
    subject: str
    payload: bytes


class _Tap:
    """One consumer's messages, until the first doubt."""

    def __init__(self, bus: Bus, inbox: str, max_bytes: int | None) -> None:
        self._max_bytes = max_bytes or _MAX_BYTES
        self._paused_bytes = max_bytes // 8 if max_bytes else _PAUSED_BYTES
        self.entries: list[Entry] = []
        self.bytes = 0
        self.doubt = ""
        """Why to begin again."""
        self.behind = -1
        """How many entries the server has for us still, or -1: not known."""
        self.news = asyncio.Event()
        self.inbox = inbox
        self.subscription: Subscription | None = None
        self._bus = bus
        self._reconnects = bus.reconnects
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._number = 0
        self._owed = ""
        """Where the server waits for a word before it sends more."""
        self._watch = self._loop.call_later(HEARTBEAT, self._listen)

    async def arrived(self, msg: Msg) -> None:
        """Take one message of the server's."""
        if self.doubt:
            return
        self._heard = self._loop.time()
        if msg.headers is not None and not msg.data and msg.headers.get("Status") == "100":
            await self._control(msg, msg.headers)
            return
        tokens = msg.reply.split(".")
        first = 5 if len(tokens) == _ACK_TOKENS else 7  # with a domain there are two more before
        self._number += 1
        if int(tokens[first + 1]) != self._number:
            self.suspect("a message is missing")
            return
        self.bytes += len(msg.data)
        if self.entries and self.bytes > self._max_bytes:
            self.suspect("too much is waiting")
            return
        self.behind = int(tokens[first + 3])
        self.entries.append(Entry(int(tokens[first]), int(tokens[first + 2]) // 1_000_000, msg.subject, msg.data))
        self.news.set()

    def suspect(self, doubt: str) -> None:
        """Trust nothing that comes from here on."""
        self.doubt = self.doubt or doubt
        self.news.set()

    async def take(self, limit: int) -> list[Entry]:
        """Hand out what is there, oldest first, and let the server go on."""
        if self._owed and self.bytes - sum(len(entry.payload) for entry in self.entries[:limit]) <= self._paused_bytes:
            owed, self._owed = self._owed, ""
            await self._go_on(owed)
        taken = self.entries  # from here on nothing is awaited: who cancels this loses nothing
        if len(taken) > limit:
            taken, self.entries = taken[:limit], taken[limit:]
            self.bytes -= sum(len(entry.payload) for entry in taken)
        else:
            self.entries = []
            self.bytes = 0
            if not self.doubt:
                self.news.clear()
        return taken

    async def close(self) -> None:
        """Stop listening; the server forgets the consumer when nobody does."""
        self.suspect("closed")
        self._watch.cancel()
        if self.subscription is not None:
            try:
                await self.subscription.unsubscribe()
            except nats.errors.Error as error:
                _log.debug("nobody to unsubscribe from", error=error)

    async def _control(self, msg: Msg, headers: dict[str, str]) -> None:
        asked = msg.reply or headers.get("Nats-Consumer-Stalled", "")
        if asked:
            if self.bytes > self._paused_bytes:
                self._owed = asked
            else:
                await self._go_on(asked)
        if int(headers.get("Nats-Last-Consumer", "0")) > self._number:
            self.suspect("the last messages are missing")

    async def _go_on(self, asked: str) -> None:
        try:
            await self._bus.client.publish(asked)
        except nats.errors.Error:
            self.suspect("NATS is away")

    def _listen(self) -> None:
        if self._bus.reconnects != self._reconnects:
            self.suspect("the connection is a new one")
        elif self._loop.time() - self._heard > SILENCE:
            self.suspect("the server has fallen silent")
        if not self.doubt:
            self._watch = self._loop.call_later(HEARTBEAT / 4, self._listen)


class Reader:
    """A place in a stream, and what comes behind it."""

    def __init__(
        self,
        bus: Bus,
        stream: str,
        subjects: Sequence[str],
        start: int,
        *,
        created: str | None,
        since: datetime | None,
        max_bytes: int | None,
    ) -> None:
        """Use `reading`."""
        self.created = created
        """Which incarnation of the stream is read."""
        self._bus = bus
        self._stream = stream
        self._subjects = list(subjects)
        self._next = start
        self._since = since
        """Where the first reading begins instead, until an entry was handed out."""
        self._max_bytes = max_bytes
        self._tap: _Tap | None = None
        self._pauses = pauses()

    @property
    def level(self) -> bool:
        """Whether everything that was stored has been handed out, as far as the server has told us."""
        return self.behind == 0

    @property
    def behind(self) -> int | None:
        """How many entries are still to be handed out, as far as the server has told us; None if we don't know."""
        tap = self._tap
        return None if tap is None or tap.doubt or tap.behind < 0 else tap.behind + len(tap.entries)

    async def next(self, limit: int = AT_ONCE) -> list[Entry]:
        """
        Wait until there is something to read, and return what is there: at least one entry, in order.

        Cancelling this loses nothing. Raise StreamReplacedError when the stream is another one than at the start.
        """
        while True:
            tap = self._tap
            if tap is None:
                self._tap = tap = await self._open()
            if tap.entries:
                self._pauses = pauses()
                taken = await tap.take(limit)
                self._next = taken[-1].sequence + 1
                self._since = None
                return taken
            if tap.doubt:
                _log.debug("reading again", stream=self._stream, sequence=self._next, doubt=tap.doubt)
                _AGAIN.labels(self._stream, tap.doubt).inc()
                self._tap = None
                await tap.close()
                continue
            await tap.news.wait()

    async def close(self) -> None:
        """Stop reading."""
        if self._tap:
            await self._tap.close()

    async def _open(self) -> _Tap:
        while True:
            await self._bus.connected.wait()
            tap = _Tap(self._bus, self._bus.client.new_inbox(), self._max_bytes)
            try:
                await self._consume(tap)
            except (nats.errors.Error, APIError, TimeoutError) as error:
                await tap.close()
                _log.debug("cannot read yet", stream=self._stream, error=error)
                await asyncio.sleep(next(self._pauses))
            except BaseException:
                await tap.close()
                raise
            else:
                return tap

    def _beginning(self) -> dict[str, Any]:
        if self._since is None:
            return {"deliver_policy": DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": max(1, self._next)}
        return {"deliver_policy": DeliverPolicy.BY_START_TIME, "opt_start_time": self._since.isoformat()}

    async def _consume(self, tap: _Tap) -> None:
        tap.subscription = await self._bus.client.subscribe(
            tap.inbox,
            cb=tap.arrived,
            pending_msgs_limit=0,  # what waits is bounded here, where nothing is dropped for it
            pending_bytes_limit=0,
        )
        config = ConsumerConfig(
            deliver_subject=tap.inbox,
            **self._beginning(),
            ack_policy=AckPolicy.NONE,
            max_deliver=1,
            filter_subjects=self._subjects,
            idle_heartbeat=HEARTBEAT,
            flow_control=True,
            mem_storage=True,
            num_replicas=1,
        )
        made = await self._bus.js.add_consumer(self._stream, config)
        created = await self._bus.created(self._stream)
        if self.created is not None and created != self.created:
            raise StreamReplacedError(created)
        self.created = created
        if tap.behind < 0:
            tap.behind = made.num_pending or 0


@asynccontextmanager
async def reading(
    bus: Bus,
    stream: str,
    subjects: Sequence[str],
    start: int,
    *,
    created: str | None = None,
    since: datetime | None = None,
    max_bytes: int | None = None,
) -> AsyncIterator[Reader]:
    """
    Read what *stream* holds on *subjects* from sequence *start* on, if it is still the one *created* then.

    With *since* read from that time on instead. *max_bytes* is what may wait here, where it is to be less than for an
    owner: one entry always may.
    """
    reader = Reader(bus, stream, subjects, start, created=created, since=since, max_bytes=max_bytes)
    try:
        yield reader
    finally:
        await reader.close()
