"""
NATS for the length of a block: publishes that are stored for sure, and readers that miss nothing.

A publish of state returns when the stream has it, however often NATS has to be asked: what a later publish says is
never stored before what an earlier, awaited one said. So something can be stored twice, and every reader of ours
knows how to tell. A reader (reader.py) yields what a stream holds in order, once, without gaps.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StreamInfo
from nats.js.errors import APIError

from parley.kit import metrics
from parley.kit.lifecycle import CannotStart
from parley.kit.streams import Sizes, ensure
from parley.protocol import subjects

PATIENCE: Final = 2.0
"""Seconds to wait for an acknowledgement before saying the same again."""

_CONNECT_SECONDS: Final = 10.0
_PING_SECONDS: Final = 2
_RECONNECT_SECONDS: Final = 0.1
_PAUSES: Final = (0.05, 0.1, 0.25, 0.5, 1.0)
_SAID_EVERY: Final = 10.0
_LOG_FULL: Final = 10077  # maximum bytes exceeded, with discard: new

_STORED: Final = metrics.histogram(
    "nats_publish_seconds", "From publishing until NATS has acknowledged that all of it is stored."
)
_REFUSED: Final = metrics.counter(
    "nats_refusals", "What NATS refused to store, by its error code; it is asked again.", "code"
)
_CONNECTED: Final = metrics.gauge("nats_connected", "1 while NATS is there, else 0.")
_RECONNECTS: Final = metrics.counter("nats_reconnects", "How often the connection to NATS was made anew.")

_log = structlog.get_logger("parley.bus")


class LogFullError(Exception):
    """The stream refuses because it is full. Nothing was stored; try later."""


class TooLargeError(ValueError):
    """A message is above the server's max_payload, so it can never be stored."""


class Message(NamedTuple):
    """What is to be stored, and where."""

    subject: str
    payload: bytes
    id: str = ""
    """Where a stream shall drop repetitions by itself (`Nats-Msg-Id`); costs throughput, so only EVENTS has it."""
    key: str = ""
    """Whose story it is a part of: of the same, none may be stored before an earlier one (`Round.fact_waves`)."""


class _Refusal(msgspec.Struct, frozen=True):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Ack(msgspec.Struct, frozen=True):
    seq: int = 0
    error: _Refusal | None = None


_ACK: Final = msgspec.json.Decoder(_Ack)
_UNREACHABLE: Final = _Refusal(503, 0, "no stream listens there")


class _Flight:
    """Messages that were sent together, and which of them are stored."""

    def __init__(self, messages: dict[str, Message], loop: asyncio.AbstractEventLoop) -> None:
        self.missing = messages
        """By token: what no acknowledgement has come for."""
        self.unanswered = len(messages)
        self.refusal: _Refusal | None = None
        self.sequence = 0
        """Where the last acknowledged one is stored."""
        self.landed: asyncio.Future[None] = loop.create_future()
        """Done when all have been answered, or when waiting longer is no use."""

    def land(self) -> None:
        if not self.landed.done():
            self.landed.set_result(None)


class _Refusals:
    """What NATS refuses just now. All ask again until it is stored, so it is said at once, and then now and then."""

    def __init__(self) -> None:
        self._flights: set[_Flight] = set()
        """What has been refused and not stored yet."""
        self._due: dict[tuple[int, int], float] = {}
        """By kind of refusal: when it may be said again."""
        self._times = 0
        self._said = False

    def add(self, flight: _Flight, refusal: _Refusal, now: float) -> None:
        """Note that *flight* was refused; *now* is any clock's."""
        _REFUSED.labels(str(refusal.err_code or refusal.code)).inc()
        self._flights.add(flight)
        self._times += 1
        kind = (refusal.code, refusal.err_code)
        if now >= self._due.get(kind, now):
            self._due[kind] = now + _SAID_EVERY
            self._said = True
            _log.warning("NATS refuses; asking again", **msgspec.structs.asdict(refusal), times=self._times)

    def over(self, flight: _Flight) -> None:
        """Note that nobody asks for *flight* any more."""
        if flight not in self._flights:
            return
        self._flights.discard(flight)
        if self._said and not self._flights and not flight.missing:
            _log.info("NATS accepts again", times=self._times)
            self._times, self._said = 0, False


class Bus:
    """One connection to NATS."""

    def __init__(self, client: Client, sizes: Sizes) -> None:
        """Use `nats_bus`."""
        self.client: Final = client
        self.js: Final = client.jetstream(timeout=PATIENCE)
        self.connected: Final = asyncio.Event()
        """Whether there is a server at the other end, as far as we know."""
        self.reconnects = 0
        """How often the connection was made anew; what was subscribed before may have missed something."""
        self.trouble = ""
        """What the connection last failed with, such as a certificate that nobody here trusts."""
        self._sizes = sizes
        self._flights: dict[str, _Flight] = {}
        self._refusals = _Refusals()
        self._inbox = ""
        self._count = 0
        self._loop = asyncio.get_running_loop()
        self._restoring: asyncio.Task[None] | None = None

    @property
    def max_batch(self) -> int:
        """Bytes at which batches are cut: half of what the server takes."""
        return self.client.max_payload // 2

    def check(self) -> str | None:
        """Return None if NATS is there, else the sentence that says it is not; for readiness."""
        return None if self.connected.is_set() else "NATS does not answer."

    async def publish(self, subject: str, payload: bytes, *, id: str = "") -> int:  # noqa: A002 - as in Message
        """
        Return the sequence once *payload* is stored; ask again for as long as it takes.

        Raise LogFullError when the stream refuses because it is full, TooLargeError for what no stream takes.
        """
        return await self.publish_all([Message(subject, payload, id)])

    async def publish_all(self, messages: Sequence[Message]) -> int:
        """
        Store all *messages*, and return the last one's sequence. What must not overtake is no part of the same call.

        They are sent together, and those that NATS did not acknowledge again, until it does. So when a connection
        breaks or a stream gets another leader, a later one may be stored before an earlier one.
        """
        limit = self.client.max_payload
        for message in messages:
            if len(message.payload) > limit:
                raise TooLargeError(f"{len(message.payload)} bytes for {message.subject}, and NATS takes {limit}")
        start = self._count
        self._count += len(messages)
        tokens = {f"{start + offset:x}": message for offset, message in enumerate(messages)}
        flight = _Flight(tokens, self._loop)
        for token in tokens:
            self._flights[token] = flight
        began = self._loop.time()
        try:
            await self._land(flight)
            _STORED.observe(self._loop.time() - began)
        finally:
            for token in flight.missing:
                self._flights.pop(token, None)
            self._refusals.over(flight)
        return flight.sequence

    async def say(self, subject: str, payload: bytes) -> None:
        """Publish without asking whether anybody heard it: an answer to somebody who will ask again."""
        try:
            await self.client.publish(subject, payload)
        except nats.errors.OutboundBufferLimitError:
            _log.warning("an answer was dropped: NATS is away", subject=subject)

    async def created(self, stream: str) -> str:
        """Return when *stream* was created, which names this incarnation of it; wait for NATS to know."""
        created = (await self._info(stream)).created
        assert created is not None
        return created.isoformat()

    async def first(self, stream: str) -> int:
        """Return where *stream* begins, with what is not purged; wait for NATS to know."""
        return (await self._info(stream)).state.first_seq

    async def _info(self, stream: str) -> StreamInfo:
        for pause in pauses():
            await self.connected.wait()
            try:
                return await self.js.stream_info(stream)
            except (nats.errors.Error, APIError, TimeoutError) as error:
                _log.debug("NATS does not know the stream yet", stream=stream, error=error)
                await asyncio.sleep(pause)
        raise AssertionError

    async def _land(self, flight: _Flight) -> None:
        for pause in pauses():
            await self.connected.wait()
            flight.unanswered = len(flight.missing)
            flight.refusal = None
            flight.landed = self._loop.create_future()
            try:
                for token, message in list(flight.missing.items()):
                    await self.client.publish(
                        message.subject,
                        message.payload,
                        reply=f"{self._inbox}.{token}",
                        headers={"Nats-Msg-Id": message.id} if message.id else None,
                    )
            except nats.errors.OutboundBufferLimitError:
                await asyncio.sleep(pause)  # the connection is just breaking
                continue
            timer = self._loop.call_later(PATIENCE, self._waited, flight, self._loop.time() + PATIENCE)
            try:
                await flight.landed
            finally:
                timer.cancel()
            if not flight.missing:
                return
            if flight.refusal:
                if flight.refusal.err_code == _LOG_FULL:
                    raise LogFullError(flight.refusal.description)
                self._refusals.add(flight, flight.refusal, self._loop.time())
                await asyncio.sleep(pause)

    def _waited(self, flight: _Flight, due: float) -> None:
        """Give up waiting; unless it was us who slept, then the acknowledgement may lie in the socket."""
        now = self._loop.time()
        if now - due > 1:
            self._loop.call_later(PATIENCE, self._waited, flight, now + PATIENCE)
        else:
            flight.land()

    async def _answered(self, msg: Msg) -> None:
        token = msg.subject[len(self._inbox) + 1 :]
        flight = self._flights.get(token)
        if flight is None:
            return  # the first copy's acknowledgement, after the second's
        ack = _ACK.decode(msg.data) if msg.data else _Ack(error=_UNREACHABLE)
        flight.unanswered -= 1
        if ack.error is None:
            flight.sequence = max(flight.sequence, ack.seq)
            del self._flights[token], flight.missing[token]
        else:
            flight.refusal = ack.error
        if not flight.missing or (flight.refusal and flight.unanswered <= 0):
            flight.land()

    async def open(self) -> None:
        """Make what must be there; called once, by `nats_bus`."""
        self._inbox = self.client.new_inbox()
        await self.client.subscribe(f"{self._inbox}.*", cb=self._answered, pending_msgs_limit=0, pending_bytes_limit=0)
        await ensure(self.js, self._sizes)
        self._is_there(True)

    async def disconnected(self) -> None:
        """Note that the connection broke: nothing that is under way will be acknowledged."""
        if self.connected.is_set() and not self.client.is_closed:
            _log.warning("NATS is away")
        self._is_there(False)
        for flight in {id(flight): flight for flight in self._flights.values()}.values():
            flight.land()

    async def reconnected(self) -> None:
        """Note that there is a server again, perhaps with nothing in it."""
        self.reconnects += 1
        _RECONNECTS.inc()
        if self._restoring is None or self._restoring.done():
            self._restoring = asyncio.create_task(self._restore())

    async def _restore(self) -> None:
        """Make the streams again if they were wiped, before anybody speaks."""
        for pause in pauses():
            try:
                await ensure(self.js, self._sizes)
            except (nats.errors.Error, APIError, TimeoutError) as error:
                _log.debug("JetStream is not ready", error=error)
                await asyncio.sleep(pause)
            else:
                break
        _log.info("NATS is back")
        self._is_there(True)

    def _is_there(self, there: bool) -> None:
        if there:
            self.connected.set()
        else:
            self.connected.clear()
        _CONNECTED.set(there)

    def close(self) -> None:
        """End what goes on in the background."""
        if self._restoring:
            self._restoring.cancel()

    async def failed(self, error: Exception) -> None:
        """Log what nats-py could tell nobody else."""
        self.trouble = str(error)
        _log.debug("nats", error=error)


@asynccontextmanager
async def nats_bus(url: str, name: str, *, sizes: Sizes | None = None, ca_file: str = "") -> AsyncIterator[Bus]:
    """
    Connect to the NATS at *url* (several, separated by commas), with streams and buckets there.

    Certificates of its servers must be signed by whom *ca_file* names, or without it by whom this machine trusts.
    """
    client = Client()
    bus = Bus(client, sizes or Sizes())
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await client.connect(
                servers=url.split(","),
                name=name,
                inbox_prefix=inboxes(url),
                max_reconnect_attempts=-1,  # at the start, too: NATS may be starting as we are
                reconnect_time_wait=_RECONNECT_SECONDS,  # type: ignore[arg-type] # it is slept, so a float is fine
                ping_interval=_PING_SECONDS,
                connect_timeout=_PING_SECONDS,
                tls=_trust(ca_file),
                error_cb=bus.failed,
                disconnected_cb=bus.disconnected,
                reconnected_cb=bus.reconnected,
            )
            await bus.open()
    except (nats.errors.Error, APIError, OSError, TimeoutError) as error:
        await _close(client, bus)
        reason = error if str(error) else bus.trouble or "no answer"
        raise CannotStart(f"NATS with JetStream does not answer at {_place(url)} ({reason}).") from error
    try:
        yield bus
    finally:
        await _close(client, bus)


async def _close(client: Client, bus: Bus) -> None:
    bus.close()
    if client.is_connected:
        try:
            await client.flush(timeout=1)
        except (nats.errors.Error, TimeoutError):
            _log.debug("closing without NATS")
    await client.close()


def _trust(ca_file: str) -> ssl.SSLContext | None:
    try:
        return ssl.create_default_context(cafile=ca_file) if ca_file else None
    except OSError as error:
        raise CannotStart(f"NATS_CA_FILE names {ca_file!r}, which has no certificates: {error}.") from error


def inboxes(url: str) -> str:
    """
    Return what the subjects begin with at which answers to us arrive.

    A user whom *url* names has inboxes of its own, so that NATS can be told to let nobody else listen there.
    """
    server = urlsplit(url.partition(",")[0])
    return f"_INBOX_{subjects.escaped(server.username)}" if server.username and server.password else "_INBOX"


def pauses() -> Iterator[float]:
    """Yield how long to wait before the next attempt: a little, then longer, without an end."""
    yield from _PAUSES
    while True:
        yield _PAUSES[-1]


def _place(url: str) -> str:
    return ", ".join(part.rpartition("@")[2].removeprefix("nats://") for part in url.split(","))
