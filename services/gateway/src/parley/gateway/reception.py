"""Whether a client may come in, and what it will speak: decided before the handshake is answered."""

import os
import re
from collections.abc import Callable
from time import time
from typing import Final
from urllib.parse import parse_qsl

from parley.gateway.connection import Back, Connection, Lives
from parley.gateway.door import Accept, Refuse
from parley.gateway.head import Request
from parley.gateway.origins import Origins
from parley.gateway.proofs import identify
from parley.gateway.resume import ResumeTokens
from parley.gateway.session import Rules, Session
from parley.gateway.websocket import WebSocket
from parley.kit.identity import Identity
from parley.kit.tokens import Tokens
from parley.protocol import ids
from parley.protocol.apps import DEFAULT, Apps
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.commands import Profile
from parley.protocol.dialects import Dialect, Farewell, Hello
from parley.protocol.dialects.apigw import ApiGateway
from parley.protocol.dialects.parley_v1 import BEARER, SUBPROTOCOL, ParleyV1, metadata
from parley.protocol.dialects.profiles import dialect_of

PARLEY: Final = ParleyV1()
APIGW: Final = ApiGateway()

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
}
"""What a refused client of another dialect than ours is answered; else 400."""


class Reception:
    """Looks at each request for a socket."""

    def __init__(
        self,
        apps: Apps,
        lives: Lives,
        tokens: Tokens,
        resume: ResumeTokens,
        origins: Origins,
        rules: Rules,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._apps = apps
        self._dialects = {name: dialect_of(app) for name, app in apps.items()}
        self._lives = lives
        self._tokens = tokens
        self._resume = resume
        self._origins = origins
        self._rules = rules
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
            app = self._named(hello, ours=ours)
            dialect = dialect if ours else self._dialects.get(app or DEFAULT, APIGW)
            return Accept(await self._connection(request, hello, app, dialect), chosen)
        except Refusal as refusal:
            farewell = dialect.dismiss(refusal)
            return _refuse(refusal) if farewell is None else Accept(Dismissal(farewell, refusal.code), chosen)

    async def _connection(self, request: Request, hello: Hello, app: str | None, dialect: Dialect) -> Connection:
        headers = request.headers
        if not self._origins.admits(headers.get("origin"), headers["host"]):
            raise Refusal(ErrorCode.NOT_ALLOWED, f"Pages of {headers['origin']} may not connect: see GATEWAY_ORIGINS.")
        identity = await identify(self._tokens, request, hello, app, dialect)
        if dialect is not PARLEY:  # a token may name the app
            dialect = self._dialects.get(identity.app, APIGW)
        if self._lives.trouble is not None:
            raise self._lives.trouble
        profile = _profile(dialect, hello.query, identity)
        key = f"{identity.subject or ''}/{profile.device_id}" if profile.device_id else None
        entropy = self._entropy(ids.RANDOM_BYTES)
        partitions = self._rules.partitions
        home = ids.partition_of(identity.app, key or entropy.hex(), partitions)
        connection = ids.connection_id(home, entropy)
        session = Session(connection, dialect, identity, profile, self._rules, time(), hello)
        back = self._back(hello.query, identity) if dialect.resumable else None
        return Connection(session, self._lives, _address(request), headers.get("user-agent", "")[:256], back)

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
    said = {name: value for name, value in query.items() if name not in dialect.own}
    metadata(said)
    for name in (dialect.user, "deviceId"):
        if len(query.get(name, "")) > MAX_NAME:
            raise Refusal(ErrorCode.BAD_REQUEST, f"{name} may have {MAX_NAME} characters.")
    user = identity.subject if identity.expires_at is not None else query.get(dialect.user) or None
    return Profile(user_id=user, device_id=query.get("deviceId") or None, metadata=said)


def _address(request: Request) -> str:
    """Return the client's address as the nearest proxy reports it."""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded or request.peer
