"""Whether a client may come in, and what it will speak: decided before the handshake is answered."""

import os
import re
from collections.abc import Callable
from time import time
from typing import Final
from urllib.parse import parse_qsl

import structlog
from msgspec.structs import replace

from parley.gateway.backend import Backend, Backends, TurnedAway
from parley.gateway.channels import Channels
from parley.gateway.connection import Back, Connection, Lives
from parley.gateway.door import Accept, Refuse
from parley.gateway.head import Request
from parley.gateway.origins import Origins
from parley.gateway.proofs import identify
from parley.gateway.proxies import Proxies
from parley.gateway.quotas import URL_CHARACTERS, Quota, Quotas
from parley.gateway.resume import ResumeTokens
from parley.gateway.session import Rules, Session
from parley.gateway.websocket import WebSocket
from parley.kit.identity import Identity
from parley.kit.sigv4 import BadSignature, Signed, check_headers, check_query
from parley.kit.tokens import Tokens
from parley.protocol import ids
from parley.protocol.apps import DEFAULT, App, Apps, Authorizer
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.commands import Profile
from parley.protocol.dialects import Dialect, Farewell, Hello
from parley.protocol.dialects.apigw import ApiGateway, Workshop
from parley.protocol.dialects.kvs import CHANNEL
from parley.protocol.dialects.parley_v1 import BEARER, SUBPROTOCOL, ParleyV1, metadata
from parley.protocol.dialects.profiles import dialect_of
from parley.protocol.proxy import Caller, Handshake

log = structlog.get_logger(__name__)

PARLEY: Final = ParleyV1()
APIGW: Final = Workshop(App())

NUMBER: Final = re.compile(r"[0-9]{1,16}")
"""In the query: the last place that a client has processed, and which attempt to come back this is."""

MAX_PARAMETERS: Final = 200

MAX_NAME: Final = 255
"""Characters of a user's or a device's name; a token's subject has no more either."""

STATUS: Final = {
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.TOKEN_EXPIRED: 401,
    ErrorCode.NOT_ALLOWED: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.DEGRADED: 503,
    ErrorCode.INTERNAL: 500,
}
"""What a refused client of another dialect than ours is answered; else 400."""


class Reception:
    """Looks at each request for a socket."""

    def __init__(
        self,
        apps: Apps,
        backends: Backends,
        channels: Channels,
        lives: Lives,
        tokens: Tokens,
        resume: ResumeTokens,
        origins: Origins,
        proxies: Proxies,
        quotas: Quotas,
        rules: Rules,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._apps = apps
        self._backends = backends
        self._channels = channels
        self._dialects = {name: dialect_of(app) for name, app in apps.items()}
        self._lives = lives
        self._tokens = tokens
        self._resume = resume
        self._origins = origins
        self._proxies = proxies
        self._quotas = quotas
        self._rules = rules
        self._without_reports = replace(rules, reports=False)
        self._entropy = entropy

    async def decide(self, request: Request) -> Accept | Refuse:
        """Return who will talk to this client, or why nobody."""
        offered = request.subprotocols
        ours = SUBPROTOCOL in offered
        dialect: Dialect = PARLEY if ours else APIGW  # until we know the app
        # A browser hangs up unless one of its subprotocols is chosen, and its token is then the only one.
        chosen = SUBPROTOCOL if ours else next((name for name in offered if name.startswith(BEARER)), None)
        try:
            hello = Hello(request.path, _parameters(request.query))
            if CHANNEL in hello.query and not ours:
                return Accept(await self._peer(request, hello), chosen)
            app = self._named(hello, ours=ours)
            dialect = dialect if ours else self._dialects.get(app or DEFAULT, APIGW)
            return await self._accept(request, hello, app, dialect, chosen)
        except TurnedAway as away:
            log.info("refused", dialect=dialect.name, code=away.status)
            return Refuse(away.status, away.message, away.headers)
        except Refusal as refusal:
            log.info("refused", dialect=dialect.name, code=refusal.code)
            farewell = dialect.dismiss(refusal)
            return _refuse(refusal) if farewell is None else Accept(Dismissal(farewell, refusal.code), chosen)

    async def _accept(
        self, request: Request, hello: Hello, app: str | None, dialect: Dialect, chosen: str | None
    ) -> Accept:
        """Return the connection of whoever knocks; its app may choose a subprotocol, unless one is *chosen*."""
        headers = request.headers
        self._admit(headers)
        authorizer = self._apps.named(app or DEFAULT).authorizer if isinstance(dialect, ApiGateway) else None
        identity = None if authorizer else await identify(self._tokens, request, hello, app, dialect)
        if identity is not None and dialect is not PARLEY:  # a token may name the app
            app, dialect = identity.app, self._dialects.get(identity.app, APIGW)
        dialect.check(hello)
        if self._lives.trouble is not None:
            raise self._lives.trouble
        name = app or DEFAULT if identity is None else identity.app
        quota = None if dialect is PARLEY else self._quotas.of(name)
        requests = limits = None
        if quota is not None:
            _count(quota, request)
            requests, limits = quota.requests, quota.limits
        subject = None if identity is None or dialect.device_alone else identity.subject
        id_ = self._id(name, subject, hello.query.get("deviceId"))
        backend = self._backend(name, id_, request) if isinstance(dialect, ApiGateway) else None
        if identity is None:
            assert backend is not None  # an app with an authorizer has one
            identity = Identity.guest(name, await self._let_in(authorizer, backend, request, name))
        profile = _profile(dialect, hello.query, identity)
        own = None if backend is None else await backend.connect(request.subprotocols)
        rules = self._rules if self._apps.named(name).reports else self._without_reports
        session = Session(id_, dialect, identity, profile, rules, time(), hello, requests)
        back = self._back(hello.query, identity) if dialect.resumable else None
        agent = headers.get("user-agent", "")[:256]
        connection = Connection(session, self._lives, self._address(request), agent, back, backend)
        return Accept(connection, chosen or own, limits)

    async def _peer(self, request: Request, hello: Hello) -> Connection:
        """Return the connection of a master or a viewer of Kinesis."""
        self._admit(request.headers)
        identity, dialect = await self._channels.admit(request, hello)
        if self._lives.trouble is not None:
            raise self._lives.trouble
        id_ = self._id(identity.app, None, None)
        profile = Profile(user_id=hello.query.get(dialect.user), metadata=_metadata(dialect, hello.query))
        session = Session(id_, dialect, identity, profile, self._rules, time(), hello)
        agent = request.headers.get("user-agent", "")[:256]
        return Connection(session, self._lives, self._address(request), agent)

    def _address(self, request: Request) -> str:
        return self._proxies.client(request.peer, request.headers.get("x-forwarded-for", ""))

    def _admit(self, headers: dict[str, str]) -> None:
        if not self._origins.admits(headers.get("origin"), headers["host"]):
            raise Refusal(ErrorCode.NOT_ALLOWED, f"Pages of {headers['origin']} may not connect: see GATEWAY_ORIGINS.")

    async def _let_in(
        self, authorizer: Authorizer | str | None, backend: Backend, request: Request, app: str
    ) -> str | None:
        """Return whom the app itself lets in; None if it is nobody in particular."""
        match authorizer:
            case Authorizer():
                return (await backend.authorize(authorizer)).principal
            case "AWS_IAM":
                return _signer(request, self._apps.named(app))
            case _:
                return None

    def _id(self, app: str, subject: str | None, device: str | None) -> str:
        """Return an id for a new connection: its home is its own, or its subject's on this device."""
        entropy = self._entropy(ids.RANDOM_BYTES)
        key = f"{subject or ''}/{device}" if device else entropy.hex()
        return ids.connection_id(ids.partition_of(app, key, self._rules.partitions), entropy)

    def _backend(self, name: str, connection: str, request: Request) -> Backend | None:
        """Return what tells the app's own routes of a connection; None if it has none."""
        app, place = self._apps.named(name), self._apps.at(request.path)
        if not app.routes and app.authorizer is None:
            return None
        address = self._address(request)
        stage = place.stage if place is not None else request.path.strip("/")
        caller = Caller(
            connection=connection,
            api=name,
            stage=stage or app.stage,
            domain=app.domain_name or request.headers["host"],
            address=address,
            agent=request.headers.get("user-agent", "")[:256],
            connected_at=int(time() * 1000),
            stage_variables=app.stage_variables,
        )
        headers = request.headers | {"x-forwarded-for": address}
        query = tuple(parse_qsl(request.query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS))
        return Backend(self._backends, app, caller, Handshake(headers=headers, query=query))

    def _named(self, hello: Hello, *, ours: bool) -> str | None:
        """Return the app that a client names by where it connects, None if it leaves that to its token."""
        app, place = hello.query.get("app"), self._apps.at(hello.path)
        if place is None:
            if not ours and (hello.path.strip("/").count("/") or hello.path.startswith("//")):
                raise Refusal(
                    ErrorCode.NOT_FOUND,
                    f"No app is at this path: connect to /, to /{{stage}}, or with the subprotocol {SUBPROTOCOL}.",
                )
            return app
        if app is not None and app != place.app:
            raise Refusal(ErrorCode.NOT_FOUND, "The path is of another app than the query names.")
        return place.app

    def _back(self, query: dict[str, str], identity: Identity) -> Back | None:
        """Return what the client wants to go on with, if that may be; else it is a new one, and told so."""
        connection = self._resume.read(query.get("resume", ""), identity.app, identity.subject)
        n, attempt = query.get("n", "0"), query.get("attempt")
        if connection is None or not NUMBER.fullmatch(n) or (attempt is not None and not NUMBER.fullmatch(attempt)):
            return None
        return Back(connection, int(n), None if attempt is None else int(attempt))


class Dismissal:
    """Tells a client why it may not come in: one frame, and goodbye."""

    def __init__(self, farewell: Farewell, reason: str) -> None:
        self._farewell = farewell
        self._reason = reason

    def connected(self, socket: WebSocket) -> None:
        """Say it."""
        socket.send(self._farewell.frame)
        socket.close(self._farewell.code, self._reason)
        socket.start()

    def received(self, text: bytes) -> None:
        """Hear nothing."""

    @property
    def binary(self) -> bool:
        """It reads nothing."""
        return False

    def pinged(self) -> None:
        """Hear nothing."""

    def looked_at(self) -> None:
        """Nothing to see."""

    def closed(self, code: int, reason: str) -> None:
        """That was all."""


def _signer(request: Request, app: App) -> str:
    """Return the access key that has signed a handshake, in its headers or in its query."""
    signed = Signed("GET", request.path, request.query, request.headers, b"")
    check = check_query if "X-Amz-Signature=" in request.query else check_headers
    try:
        return check(signed, app.access_keys.get, service="execute-api", now=time()).key
    except BadSignature as bad:
        raise TurnedAway(403, bad.message) from None


def _count(quota: Quota, request: Request) -> None:
    """Raise TurnedAway for what API Gateway turns away before it asks anybody."""
    url = f"wss://{request.headers['host']}{request.path}{'?' if request.query else ''}{request.query}"
    if len(url) > URL_CHARACTERS:
        raise TurnedAway(414, f"A URL of a strict app may have {URL_CHARACTERS:,} characters.")
    if not quota.connects.take(time()):
        raise TurnedAway(429, "Too many connect to this strict app at once.")


def _refuse(refusal: Refusal) -> Refuse:
    wait = refusal.retry_after_ms
    headers = {} if wait is None else {"Retry-After": str(-(-wait // 1000))}
    return Refuse(STATUS.get(refusal.code, 400), refusal.message, headers)


def _parameters(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS))
    except ValueError:
        raise Refusal(
            ErrorCode.BAD_REQUEST, f"The query must be UTF-8, with at most {MAX_PARAMETERS} parameters."
        ) from None


def _profile(dialect: Dialect, query: dict[str, str], identity: Identity) -> Profile:
    """Return what others may know of the client: all but its protocol's parameters. A token's subject is its user."""
    for name in (dialect.user, "deviceId"):
        if len(query.get(name, "")) > MAX_NAME:
            raise Refusal(ErrorCode.BAD_REQUEST, f"{name} may have {MAX_NAME} characters.")
    user = identity.subject if identity.expires_at is not None else query.get(dialect.user) or None
    return Profile(user_id=user, device_id=query.get("deviceId") or None, metadata=_metadata(dialect, query))


def _metadata(dialect: Dialect, query: dict[str, str]) -> dict[str, str]:
    said = {name: value for name, value in query.items() if name not in dialect.own}
    metadata(said)
    return said
