"""An app's own routes, for one connection: asked whether it may come in, told what it says, told that it is gone.

What a client says goes to its routes one after another, in its order: API Gateway does not promise that, and an offer
that a backend relays must not be overtaken by its candidates (decision 7).
"""

import asyncio
import secrets
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import time
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from parley.gateway.integrations import AUTHORIZER, Failed, Integrations, TimedOut, integrations
from parley.gateway.session import Call
from parley.kit import telemetry
from parley.kit.bus import Bus
from parley.protocol import proxy
from parley.protocol.apps import App, Apps, Authorizer, Integration
from parley.protocol.codes import CloseCode, ErrorCode
from parley.protocol.dialects import Frame
from parley.protocol.dialects.apigw import CONNECT, DISCONNECT, error_frame, failure_frame
from parley.protocol.policy import Granted, granted

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 1000
"""Frames of a connection that may wait for its routes; further ones are refused."""

REGION: Final = "us-east-1"
ACCOUNT: Final = "000000000000"
"""What is said where AWS would name its own; handlers take them apart and look no further."""

OK: Final = range(200, 300)
BAD_GATEWAY: Final = 502
FAREWELL_SECONDS: Final = 2.0
"""For routes to be told, when the gateway ends, what was said last."""

UNSAID: Final = "Client-side close frame status not set"

Say = Callable[[Frame], None]


class TurnedAway(Exception):  # noqa: N818 - an answer to a client, not an error of ours
    """An app's own word that a client may not come in, or that of the system whose client it is."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


class Backends:
    """What the backends of all connections share."""

    def __init__(self, integrations: Integrations) -> None:
        self.integrations = integrations
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, task: asyncio.Task[None]) -> None:
        """Keep a task that works until it is done."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def done(self, within: float) -> None:
        """Return once all that was said has been answered, or after a while."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=within)
            if late:
                log.warning("Routes have not answered before the gateway ended.", connections=len(late))


@asynccontextmanager
async def serving(bus: Bus, apps: Apps) -> AsyncIterator[Backends]:
    """Give what serves the routes of *apps*; at the end what was said last is answered still."""
    async with integrations(bus, apps) as called:
        backends = Backends(called)
        try:
            yield backends
        finally:
            await backends.done(FAREWELL_SECONDS)


class _Said(Struct, frozen=True):
    call: Call
    span: telemetry.Span
    """Of the frame, from its arrival to the end of its call."""


class _End(Struct, frozen=True):
    code: int
    reason: str


class Backend:
    """The routes of one connection."""

    __slots__ = ("_app", "_backends", "_caller", "_handshake", "_line", "_working", "say")

    def __init__(self, backends: Backends, app: App, caller: proxy.Caller, handshake: proxy.Handshake) -> None:
        self._backends = backends
        self._app = app
        self._caller = caller
        self._handshake = handshake
        self._line: deque[_Said | _End] = deque()
        self._working = False
        self.say: Say = _nobody
        """Writes a frame to the client, as long as there is one."""

    # may it come in?

    async def authorize(self, authorizer: Authorizer) -> Granted:
        """Ask an authorizer; raise TurnedAway with 401 or 403 (protocols.md 1.2)."""
        if not all(self._has(source) for source in authorizer.identity_sources):
            raise TurnedAway(401, "Unauthorized")
        event = proxy.authorize(self._caller, self._handshake, _request_id(), _now(), REGION, ACCOUNT)
        try:
            answer = await self._call(AUTHORIZER, authorizer, event)
        except Failed as failed:
            if failed.message == "Unauthorized":
                raise TurnedAway(401, "Unauthorized") from None
            log.warning("An authorizer has failed.", **self._about, error=failed)
            raise TurnedAway(500, "Internal server error") from None
        allowed = granted(answer, event["methodArn"])
        if allowed is None:
            raise TurnedAway(403, "Forbidden")
        self._caller = replace(self._caller, authorizer=allowed.context)
        return allowed

    async def connect(self, offered: list[str]) -> str | None:
        """Ask ``$connect``, if the app has it; return which of the *offered* subprotocols it chose."""
        route = self._app.routes.get(CONNECT)
        if route is None:
            return None
        event = proxy.connect(self._caller, self._handshake, _request_id(), _now())
        try:
            result = proxy.result(await self._call(CONNECT, route, event))
        except asyncio.CancelledError:  # nobody waits any more, and whoever was asked may have noted the connection
            self.closed(CloseCode.ABNORMAL, "")
            raise
        except (Failed, proxy.Malformed) as wrong:
            log.warning("A $connect has failed.", **self._about, error=wrong)
            raise TurnedAway(BAD_GATEWAY, "Internal server error") from None
        if result.status not in OK:
            raise TurnedAway(result.status if result.status >= OK.start else BAD_GATEWAY, "Refused by $connect.")
        chosen = result.headers.get("sec-websocket-protocol")
        return chosen if chosen in offered else None

    # what it says

    def message(self, call: Call) -> None:
        """Have a frame's route called after those before it."""
        if len(self._line) >= MOST_WAITING:
            self.say(error_frame(ErrorCode.RATE_LIMITED, self._caller.connection, _request_id()))
        else:
            attributes = {"parley.app": self._caller.api, "parley.route": call.route}
            self._put(_Said(call, telemetry.span("frame", kind="server", attributes=attributes)))

    def closed(self, code: int, reason: str) -> None:
        """Tell ``$disconnect``, if the app has it, after all else; what comes back is for nobody."""
        self.say = _nobody
        if DISCONNECT in self._app.routes:
            self._put(_End(code, reason or (UNSAID if code == CloseCode.NO_STATUS else "")))

    def _put(self, what: _Said | _End) -> None:
        self._line.append(what)
        if not self._working:
            self._working = True
            self._backends.start(asyncio.get_running_loop().create_task(self._work()))

    async def _work(self) -> None:
        try:
            while self._line:
                what = self._line.popleft()
                if isinstance(what, _End):
                    await self._disconnect(what)
                else:
                    with what.span:
                        await self._answer(what.call)
        finally:
            self._working = False

    async def _answer(self, call: Call) -> None:
        """Call a route; what its client hears of it is protocols.md 1.5."""
        route, request = self._app.routes[call.route], _request_id()
        event = proxy.message(self._caller, call.route, call.body, request, _now())
        try:
            result = proxy.result(await self._call(call.route, route, event))
        except TimedOut:
            self.say(failure_frame(self._caller.connection, request, late=True))
        except (Failed, proxy.Malformed) as wrong:
            log.warning("A route has failed.", **self._about, route=call.route, error=wrong)
            self.say(failure_frame(self._caller.connection, request, late=False))
        except Exception:
            log.exception("A route could not be called.", **self._about, route=call.route)
            self.say(failure_frame(self._caller.connection, request, late=False))
        else:
            if route.response and result.body:
                self.say(result.body.encode())

    async def _disconnect(self, end: _End) -> None:
        event = proxy.disconnect(self._caller, end.code, end.reason, _request_id(), _now())
        try:
            await self._call(DISCONNECT, self._app.routes[DISCONNECT], event)
        except Failed as failed:
            log.warning("A $disconnect has failed.", **self._about, error=failed)

    @property
    def _about(self) -> dict[str, str]:
        """Whose routes these are, for the log."""
        return {"app": self._caller.api, "connection": self._caller.connection}

    async def _call(self, key: str, integration: Integration, event: proxy.Event) -> bytes:
        return await self._backends.integrations.call(self._caller.api, key, integration, event)

    def _has(self, source: str) -> bool:
        """Whether the client gave an identity source, such as ``route.request.header.Auth``."""
        kind, _, name = source.removeprefix("route.").removeprefix("request.").partition(".")
        if kind == "header":
            return bool(self._handshake.headers.get(name.lower()))
        if kind == "querystring":
            return any(key == name and value for key, value in self._handshake.query)
        return kind in {"context", "stageVariables"}


def _nobody(frame: Frame) -> None:
    """The client has gone."""


def _request_id() -> str:
    return urlsafe_b64encode(secrets.token_bytes(11)).decode()


def _now() -> int:
    return int(time() * 1000)
