"""
The management API of API Gateway: what a backend can do to one connection (protocols.md 1.8).

    POST, GET, DELETE  [/{app's path}][/{stage}]/@connections/{connectionId}

For the AWS SDKs, so the errors are in their form: the name in a header, a sentence in the body, and nothing at all in
the body of 410. Plain ASGI: a framework would want a content type, or read the body as what it is not.
"""

import asyncio
import re
from collections.abc import Callable
from time import time
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec
import structlog
from msgspec import Struct

from parley.gateway.activity import Session, active_at
from parley.gateway.origins import Origins
from parley.gateway.quotas import Quotas
from parley.gateway.sites import Site
from parley.kit.ask import Ask
from parley.kit.bus import Bus
from parley.kit.identity import DEFAULT_APP, named
from parley.kit.probes import Receive, Scope, Send
from parley.kit.sigv4 import BadSignature, Fault, Signed, check_headers, signer_in_headers
from parley.kit.tokens import Tokens
from parley.protocol import ids
from parley.protocol.apps import Apps
from parley.protocol.clock import rfc3339
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.commands import Describe, PostToConnection, Remove

log = structlog.get_logger(__name__)

PATTERN: Final = re.compile(r"((?:/.*)?)/(?:@|%40)connections/([^/]+)/?")
PATH: Final = "/{stage}/@connections/{connectionId}"

SERVICE: Final = "execute-api"
"""What the SDKs sign for."""

MAX_BYTES: Final = 131_072
"""Of what is posted; API Gateway's own limit."""

BODY_SECONDS: Final = 30.0
"""In which a body must have arrived."""

METHODS: Final = ("GET", "POST", "DELETE")
ALLOW: Final = ", ".join(METHODS)


class Fails(Exception):  # noqa: N818 - an answer to a client, not an error of ours
    """What a request is answered that is not granted, as the SDKs read it."""

    def __init__(self, status: int, name: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.name = name
        self.message = message
        self.headers = headers


class Hung(Exception):  # noqa: N818 - says what is the case
    """The client has hung up in the middle of its request."""


NAMES: Final[dict[ErrorCode, tuple[int, str]]] = {
    ErrorCode.BAD_REQUEST: (400, "BadRequestException"),
    ErrorCode.UNAUTHORIZED: (403, "ForbiddenException"),
    ErrorCode.TOKEN_EXPIRED: (403, "ForbiddenException"),
    ErrorCode.NOT_ALLOWED: (403, "ForbiddenException"),
    ErrorCode.NOT_FOUND: (404, "NotFoundException"),
    ErrorCode.GONE: (410, "GoneException"),
    ErrorCode.TOO_LARGE: (413, "PayloadTooLargeException"),
    ErrorCode.RATE_LIMITED: (429, "LimitExceededException"),
    ErrorCode.DEGRADED: (503, "ServiceUnavailableException"),
}
"""How refusals are called here. SDKs repeat 429 and 5xx a few times, which is right for these."""

INTERNAL: Final = (500, "InternalServerErrorException")
"""Any other refusal."""

WRONG_METHOD: Final = (405, "MethodNotAllowedException")
LATE: Final = (408, "RequestTimeoutException")
UNSIGNED: Final = (403, "MissingAuthenticationTokenException")

TOO_MANY: Final = Refusal(ErrorCode.RATE_LIMITED, "Too many requests to this app.")
GONE: Final = Refusal(ErrorCode.GONE, "No such connection.")
TOO_LARGE: Final = Refusal(ErrorCode.TOO_LARGE, f"A message may have {MAX_BYTES:,} bytes.")
NO_TEXT: Final = Refusal(
    ErrorCode.BAD_REQUEST, "The data must be UTF-8: it reaches the client as a text frame. Encode bytes as text first."
)
OTHER_PAGE: Final = Refusal(ErrorCode.NOT_ALLOWED, "Pages of other machines may not do this; sign the request.")
NO_KEYS: Final = Refusal(
    ErrorCode.NOT_ALLOWED,
    "This app has no access keys to check a signature with. Declare some, or send a bearer token that grants admin.",
)
NO_GRANT: Final = Refusal(ErrorCode.NOT_ALLOWED, "The token does not grant admin.")
NO_SIGNATURE: Final = "Missing Authentication Token"
BAD_SIGNATURE: Final = Refusal(ErrorCode.NOT_ALLOWED, "Forbidden")
"""API Gateway's own words, both."""


class Request(Struct, frozen=True):
    """A request, whole."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


def management(
    bus: Bus,
    ask: Ask,
    tokens: Tokens,
    apps: Apps,
    origins: Origins,
    quotas: Quotas,
    *,
    development: bool,
    now: Callable[[], float] = time,
) -> Site:
    """Return the site."""
    answering = _Management(bus, ask, tokens, apps, origins, quotas, now, development=development)
    return Site(PATTERN, PATH, answering.answer)


class _Management:
    def __init__(
        self,
        bus: Bus,
        ask: Ask,
        tokens: Tokens,
        apps: Apps,
        origins: Origins,
        quotas: Quotas,
        now: Callable[[], float],
        *,
        development: bool,
    ) -> None:
        self._bus = bus
        self._ask = ask
        self._tokens = tokens
        self._apps = apps
        self._origins = origins
        self._quotas = quotas
        self._now = now
        self._development = development

    async def answer(self, found: re.Match[str], scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            status, body = await self._granted(found, scope, receive)
        except Refusal as refusal:
            await _say(send, *_refused(_fails(refusal)))
        except Fails as fails:
            await _say(send, *_refused(fails))
        except Hung:
            return
        else:
            await _say(send, status, body, {})

    async def _granted(self, found: re.Match[str], scope: Scope, receive: Receive) -> tuple[int, bytes]:
        if scope["method"] not in METHODS:
            raise Fails(*WRONG_METHOD, f"There are {ALLOW}.", allow=ALLOW)
        request = await _whole(scope, receive)
        app = await self._caller(request, found[1])
        quota = self._quotas.of(app)
        if quota is not None and not quota.requests.take(self._now()):
            raise TOO_MANY
        return await self._do(request, app, unquote(found[2], errors="replace"))

    # who asks

    async def _caller(self, request: Request, base: str) -> str:
        """Return the app whose connections the caller may touch."""
        name = self._named(request, base)
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            identity = await self._tokens.identify(credentials.strip(), name)
            if not identity.admin:
                raise NO_GRANT
            return identity.app
        name = named(name or DEFAULT_APP)
        keys = self._apps.named(name).access_keys
        if keys:
            self._check_signature(request, name, keys)
        elif not self._development:
            if not scheme:
                raise Fails(*UNSIGNED, NO_SIGNATURE)
            raise NO_KEYS
        elif not self._origins.admits(request.headers.get("origin"), request.headers.get("host", "")):
            raise OTHER_PAGE
        return name

    def _named(self, request: Request, base: str) -> str | None:
        """Return the app that the request is about: its path says so, or its query, or the key that it is signed with.

        SDKs drop the query of an endpoint, and keys are of one app each.
        """
        place = self._apps.at(base)
        if place is not None:
            return place.app
        if said := _parameter(request.query, "app"):
            return said
        try:
            keyed = self._apps.with_access_key(signer_in_headers(request.headers).key)
        except BadSignature:
            return None
        return None if keyed is None else keyed[0]

    def _check_signature(self, request: Request, app: str, keys: dict[str, str]) -> None:
        signed = Signed(request.method, request.path, request.query, request.headers, request.body)
        try:
            check_headers(signed, keys.get, service=SERVICE, now=self._now())
        except BadSignature as bad:
            log.info("A management request is not signed as it must be.", app=app, code=bad.fault)
            if bad.fault is Fault.MISSING:
                raise Fails(*UNSIGNED, NO_SIGNATURE) from None
            raise BAD_SIGNATURE from None

    # what is asked

    async def _do(self, request: Request, app: str, connection: str) -> tuple[int, bytes]:
        home = ids.home_of(connection, self._ask.partitions)
        if home is None:
            raise GONE
        match request.method:
            case "POST":
                data = _text(request.body)
                await self._ask(
                    home, lambda reply: PostToConnection(app=app, connection=connection, data=data, reply=reply)
                )
                return 200, b""
            case "DELETE":
                await self._ask(home, lambda reply: Remove(app=app, connection=connection, reply=reply))
                return 204, b""
            case _:
                said = await self._ask(home, lambda reply: Describe(app=app, connection=connection, reply=reply))
                return 200, msgspec.json.encode(await self._described(connection, said))

    async def _described(self, connection: str, said: dict[str, Any]) -> dict[str, Any]:
        """Return what presence *said* of a connection, and when it was last active, if its gateway knows."""
        connected_at = said["connectedAt"]
        active = await active_at(self._bus, said["gateway"], Session(connection, said["session"]))
        return {
            "connectedAt": rfc3339(connected_at),
            "identity": {"sourceIp": said["address"], "userAgent": said["agent"]},
            "lastActiveAt": rfc3339(max(connected_at, round((active or 0) * 1000))),
        }


async def _whole(scope: Scope, receive: Receive) -> Request:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _body(headers, receive)
    except TimeoutError:
        raise Fails(*LATE, "The body did not arrive in time.") from None
    return Request(
        scope["method"], scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1"), headers, body
    )


async def _body(headers: dict[str, str], receive: Receive) -> bytes:
    """Return the body; refuse one that is too large before it is read, or as soon as it turns out to be."""
    if int(headers.get("content-length", 0)) > MAX_BYTES:  # the server has checked that it is a number
        raise TOO_LARGE
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Hung
        body += message.get("body", b"")
        if len(body) > MAX_BYTES:
            raise TOO_LARGE
        if not message.get("more_body", False):
            return bytes(body)


def _text(body: bytes) -> str:
    """Return a text frame's content as a JSON string: what a delivery carries."""
    try:
        return msgspec.json.encode(body.decode()).decode()
    except UnicodeDecodeError:
        raise NO_TEXT from None


def _parameter(query: str, name: str) -> str | None:
    return dict(parse_qsl(query, errors="replace")).get(name)


def _fails(refusal: Refusal) -> Fails:
    status, name = NAMES.get(refusal.code, INTERNAL)
    wait = refusal.retry_after_ms
    return Fails(status, name, refusal.message, **({} if wait is None else {"retry-after": str(-(-wait // 1000))}))


def _refused(fails: Fails) -> tuple[int, bytes, dict[str, str]]:
    gone = fails.status == NAMES[ErrorCode.GONE][0]
    body = b"" if gone else msgspec.json.encode({"message": fails.message})
    return fails.status, body, {"x-amzn-ErrorType": fails.name, **fails.headers}


async def _say(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    if body:
        raw.append((b"content-type", b"application/json"))
    if status != 204:  # noqa: PLR2004 - has no content, and no length of it
        raw.append((b"content-length", str(len(body)).encode()))
    raw.append((b"cache-control", b"no-store"))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
