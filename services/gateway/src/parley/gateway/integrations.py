"""Calls what is behind a route: a NATS subject, or an HTTP endpoint, each given the event and asked for its answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec
import nats.errors
from msgspec import Struct

from parley.kit import telemetry
from parley.kit.bus import Bus
from parley.kit.discretion import place
from parley.protocol import subjects
from parley.protocol.apps import App, Apps, Authorizer, Integration
from parley.protocol.proxy import Event

if TYPE_CHECKING:
    import httpx

ERROR_HEADER: Final = "X-Amz-Function-Error"
"""The header of a NATS answer that says what a handler has raised, as Lambda has it."""

MAX_ANSWER_BYTES: Final = 1 << 20
"""Of an integration's answer; over NATS no more fits either."""

AUTHORIZER: Final = "$authorizer"
"""The route at whose subject an app's authorizer listens."""


class Failed(Exception):  # noqa: N818 - somebody else's, and expected
    """The integration has no answer to give: it raised, cannot be reached, or answered with an HTTP error."""

    def __init__(self, message: str, plain: str = "It answered with an error.") -> None:
        super().__init__(message)
        self.message = message
        self.plain = plain
        """What the log may say: not what others have said."""


class TimedOut(Failed):
    """It took longer than it may."""


class _Error(Struct):
    message: str = msgspec.field(name="errorMessage", default="")


class Integrations:
    """Calls them; see `integrations`."""

    def __init__(self, bus: Bus, http: "httpx.AsyncClient | None") -> None:
        self._bus = bus
        self._http = http

    async def call(self, app: str, route: str, integration: Integration, event: Event) -> bytes:
        """Return the answer of what is behind *route*, as JSON; raise Failed."""
        payload = msgspec.json.encode(event)
        name = f"invoke {place(integration.http) if integration.http else 'parley.route.{app}.{route}'}"
        with telemetry.span(name, kind="client", attributes={"parley.app": app, "parley.route": route}) as span:
            headers = {"traceparent": span.traceparent} if span.traceparent else {}
            try:
                async with asyncio.timeout(integration.timeout_seconds):
                    if integration.http:
                        return await self._post(integration.http, payload, headers)
                    subject = integration.nats if isinstance(integration.nats, str) else subjects.route(app, route)
                    return await self._ask(subject, payload, headers, integration.timeout_seconds)
            except TimeoutError:
                late = f"It took longer than {integration.timeout_seconds:g} s."
                raise TimedOut(late, late) from None

    async def _ask(self, subject: str, payload: bytes, headers: dict[str, str], seconds: float) -> bytes:
        try:
            answer = await self._bus.client.request(subject, payload, timeout=seconds, headers=headers or None)
        except nats.errors.NoRespondersError:
            nobody = f"Nobody listens at {subject}: start what serves this route, such as `parley function`."
            raise Failed(nobody, nobody) from None
        except nats.errors.TimeoutError:
            raise TimeoutError from None
        except (nats.errors.Error, ValueError) as error:
            raise Failed(f"{subject} could not be asked: {error}.", f"{subject} could not be asked.") from None
        if answer.headers and ERROR_HEADER in answer.headers:
            raise Failed(_reason(answer.data))
        return answer.data

    async def _post(self, url: str, payload: bytes, headers: dict[str, str]) -> bytes:
        import httpx  # noqa: PLC0415 - whoever has no such integration does without

        assert self._http is not None  # an app has this integration
        body = bytearray()
        headers = {"Content-Type": "application/json"} | headers
        try:
            async with self._http.stream("POST", url, content=payload, headers=headers) as answer:
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise Failed(
                            f"{url} answered more than {MAX_ANSWER_BYTES:,} bytes.", "It answered far too much."
                        )
        except httpx.HTTPError as error:
            kind = type(error).__name__
            raise Failed(f"{url} does not answer: {error or kind}.", f"It does not answer: {kind}.") from None
        if not answer.is_success:
            status = answer.status_code
            raise Failed(_reason(body) or f"{url} answered {status}.", f"It answered {status}.")
        if ERROR_HEADER in answer.headers:
            raise Failed(_reason(body))
        return bytes(body)


@asynccontextmanager
async def integrations(bus: Bus, apps: Apps) -> AsyncIterator[Integrations]:
    """Give what calls the integrations of *apps*."""
    async with AsyncExitStack() as stack:
        http = None
        if any(integration.http for _, app in apps.items() for integration in _all(app)):
            import httpx  # noqa: PLC0415 - as above

            # Each call is bounded from around it; the environment's proxies are not meant for these.
            client = httpx.AsyncClient(timeout=None, trust_env=False)  # noqa: S113
            http = await stack.enter_async_context(client)
        yield Integrations(bus, http)


def _all(app: App) -> list[Integration]:
    found: list[Integration] = list(app.routes.values())
    if isinstance(app.authorizer, Authorizer):
        found.append(app.authorizer)
    return found


def _reason(answer: bytes | bytearray) -> str:
    try:
        return msgspec.json.decode(answer, type=_Error).message
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
