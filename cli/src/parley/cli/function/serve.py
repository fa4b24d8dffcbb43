"""The command: subscribes to its routes, has the events answered, and ends without leaving one behind."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from parley.cli.function.answer import TOO_LARGE, TOO_MANY, Answer, failure
from parley.cli.function.copies import Work, copies
from parley.cli.function.copy import Function
from parley.cli.function.environment import AUTHORITIES, bundle, lambda_environment
from parley.cli.function.line import Line, Request
from parley.cli.instance import Instance, nats_of_instance
from parley.cli.problem import Problem
from parley.cli.settings import Settings
from parley.kit import logs
from parley.kit.apps import AppsError, apps
from parley.kit.telemetry import accepted, messaging, telemetry
from parley.protocol import subjects

WAITING: Final = 100
"""So many events may wait for each that can be worked on at once; then they are refused."""
COPY_CONCURRENCY: Final = 1
"""As on Lambda: a handler's globals are its own while it runs."""
ADDRESS_CONCURRENCY: Final = 50
"""A server has its own idea of how many things it does at once."""
LOG_LEVELS: Final = ("debug", "info", "warning", "error")

_CONNECT_SECONDS: Final = 5
_PING_SECONDS: Final = 2
_FLUSH_SECONDS: Final = 5
_log = structlog.get_logger("parley.function")


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for."""

    handler: str
    """``module:name``, or the URL of a server."""
    app: str
    routes: Sequence[str]
    copies: int
    concurrency: int | None
    """Events at once, in each copy; None for what is usual."""
    timeout: float
    """Seconds for one event."""

    @property
    def is_address(self) -> bool:
        """Whether the handler is a server."""
        return self.handler.startswith(("http://", "https://"))

    @property
    def subjects(self) -> dict[str, str]:
        """The subject of each route."""
        try:
            return {route: subjects.route(self.app, route) for route in self.routes}
        except ValueError:
            raise Problem(f"--app takes letters, digits, `-` and `_`, not {self.app!r}.") from None


def serve(wanted: Wanted, nats_url: str | None) -> None:
    """Serve until told to end."""
    if wanted.is_address and wanted.copies > 1:
        raise Problem("--copies is of Python handlers: a server at an address is one, run it as often as you like.")
    if not wanted.is_address and not all(wanted.handler.replace(":", ".").rpartition(".")):
        raise Problem(f"A handler is named as in app:handler, or by the address of a server, not {wanted.handler!r}.")
    listening = wanted.subjects
    settings = Settings.from_env(os.environ)
    url = nats_url or nats_of_instance(settings)
    private = os.environ.get("PARLEY_LOG_PRIVATE") == "true"
    logs.configure("function", _log_level(os.environ.get("PARLEY_LOG_LEVEL") or "info"), private=private)
    asyncio.run(_serve(wanted, settings, url, listening))


def _log_level(given: str) -> str:
    if given not in LOG_LEVELS:
        raise Problem(f"PARLEY_LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}, not {given!r}.")
    return given


async def _serve(wanted: Wanted, settings: Settings, url: str, listening: Mapping[str, str]) -> None:
    concurrency = wanted.concurrency or (ADDRESS_CONCURRENCY if wanted.is_address else COPY_CONCURRENCY)
    line = Line(WAITING * concurrency * wanted.copies)
    async with telemetry("function", os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")), _connected(url) as client:
        desk = _Desk(client, line)
        async with _handlers(wanted, settings, concurrency, line, desk.work):
            subscriptions = [
                await client.subscribe(
                    subject,
                    queue=subjects.escaped(route),
                    cb=desk.receive,
                    pending_msgs_limit=0,  # the line has its limit, and says so; nats-py would drop
                    pending_bytes_limit=0,
                )
                for route, subject in listening.items()
            ]
            await client.flush()
            told = _until_told()
            _log.info("serving", handler=wanted.handler, app=wanted.app, routes=list(wanted.routes))
            await told.wait()
            _log.info("finishing what has come in; a second signal ends at once")
            await _unsubscribe(subscriptions)
            await line.answered()
    _log.info("stopped")


@asynccontextmanager
async def _handlers(
    wanted: Wanted, settings: Settings, concurrency: int, line: Line, work: Work
) -> AsyncIterator[None]:
    """Have the events of *line* answered while the block runs."""
    if wanted.is_address:
        from parley.cli.function.address import address  # noqa: PLC0415 - an HTTP library takes its time to import

        async with address(wanted.handler, concurrency, wanted.timeout, line, work):
            yield
        return
    with _environment(wanted, settings) as environment:
        function = Function(wanted.handler, environment, concurrency, wanted.timeout)
        async with copies(function, wanted.copies, line, work):
            yield


@contextmanager
def _environment(wanted: Wanted, settings: Settings) -> Iterator[dict[str, str]]:
    """Give the environment of the copies, for as long as the file is there that it may name."""
    development = settings.mode == "development"
    instance = Instance(settings.data)
    state = instance.read() if instance.runs else None
    path = _path(wanted.app, development=development)
    endpoint = state.front_door + path if state else None
    environment = lambda_environment(os.environ, wanted.handler, endpoint=endpoint, development=development)
    with NamedTemporaryFile(suffix=".pem") as file:
        if state and state.root_certificate:
            file.write(bundle(Path(state.root_certificate)))
            file.flush()
            environment.setdefault(AUTHORITIES, file.name)
        yield environment


def _path(app: str, *, development: bool) -> str:
    """Return where *app* is at the front door; of an endpoint's query, SDKs send nothing."""
    try:
        declared = apps(os.environ.get("PARLEY_APPS", ""), development=development)
    except AppsError as error:
        raise Problem(str(error)) from None
    return next(iter(declared.named(app).paths), "")


class _Desk:
    """Takes events from NATS, and sends their answers."""

    def __init__(self, client: Client, line: Line) -> None:
        self._client = client
        self._line = line

    async def receive(self, message: Msg) -> None:
        """Put an event into the line, or refuse it."""
        traceparent = accepted((message.headers or {}).get("traceparent"))
        request = Request(message.data, message.reply, traceparent)
        if not self._line.put(request):
            _log.warning("too many events wait; one is refused", subject=message.subject)
            await self._say(request, failure(TOO_MANY, "Rate Exceeded.", request.id))

    async def work(self, request: Request, invoke: Callable[[Request], Awaitable[Answer]]) -> None:
        """Have a request answered, as a part of its caller's trace."""
        with messaging("process", "parley.route.{app}.{route}", parent=request.traceparent) as span:
            span.set("faas.invocation_id", request.id)
            answer = await invoke(replace(request, traceparent=span.traceparent))
            span.set("parley.failed", answer.failed)
        await self._say(request, answer)

    async def _say(self, request: Request, answer: Answer) -> None:
        if not request.reply:
            return
        if len(answer.payload) > (limit := self._client.max_payload - 1024):  # and its headers
            message = f"Response payload size exceeded maximum allowed payload size ({limit} bytes)."
            answer = failure(TOO_LARGE, message, request.id)
        try:
            await self._client.publish(request.reply, answer.payload, headers=answer.headers)
        except nats.errors.Error as error:  # NATS is away, and for so long that nobody waits any more
            _log.warning("an answer was dropped", error=error)


async def _unsubscribe(subscriptions: Sequence[Subscription]) -> None:
    """Ask for no more; what NATS has sent by then is taken in."""
    for subscription in subscriptions:
        try:
            async with asyncio.timeout(_FLUSH_SECONDS):
                await subscription.drain()  # type: ignore[no-untyped-call] # nats-py has no type for it
        except (nats.errors.Error, TimeoutError) as error:  # NATS is away: no more will come anyway
            _log.debug("not unsubscribed", error=error)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Client]:
    """Connect, and stay connected; a NATS that is not there to begin with is a Problem."""

    async def failed(error: Exception) -> None:
        _log.debug("nats", error=error)

    async def lost() -> None:
        if not client.is_closed:
            _log.warning("NATS is away")

    async def back() -> None:
        _log.info("NATS is back")

    client = Client()
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):  # what never was there shall not be waited for
            await client.connect(
                url.split(","),
                name="function",
                max_reconnect_attempts=-1,
                ping_interval=_PING_SECONDS,
                connect_timeout=_PING_SECONDS,
                error_cb=failed,
                disconnected_cb=lost,
                reconnected_cb=back,
            )
    except (nats.errors.Error, OSError, TimeoutError):
        where = url.rpartition("@")[2]
        raise Problem(f"NATS does not answer at {where}: start Parley first, or name another with --nats.") from None
    try:
        yield client
        with suppress(nats.errors.Error, TimeoutError):
            await client.flush(_FLUSH_SECONDS)
    finally:
        await client.close()


def _until_told() -> asyncio.Event:
    """Return what is set by the first signal to end; the second ends the process, and with it all copies."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def tell() -> None:
        told.set()
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in signals:
        loop.add_signal_handler(number, tell)
    return told
