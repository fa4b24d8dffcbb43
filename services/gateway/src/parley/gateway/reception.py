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
from parley.gateway.resume import ResumeTokens
from parley.gateway.session import Rules, Session
from parley.gateway.websocket import WebSocket
from parley.kit.identity import Identity
from parley.kit.tokens import Tokens
from parley.protocol import ids
from parley.protocol.codes import CloseCode, ErrorCode, Refusal
from parley.protocol.commands import Profile
from parley.protocol.dialects import Dialect
from parley.protocol.dialects.apigw import ApiGateway
from parley.protocol.dialects.parley_v1 import BEARER, SUBPROTOCOL, ParleyV1, metadata

PARLEY: Final = ParleyV1()
APIGW: Final = ApiGateway()

OURS: Final = frozenset({"token", "app", "resume", "n"})
"""Query parameters that are not metadata."""

PLACE: Final = re.compile(r"[0-9]{1,16}")
"""The last place that a client has processed, in the query."""

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

CLOSE: Final = {
    ErrorCode.UNAUTHORIZED: CloseCode.UNAUTHORIZED,
    ErrorCode.TOKEN_EXPIRED: CloseCode.TOKEN_EXPIRED,
    ErrorCode.NOT_ALLOWED: CloseCode.UNAUTHORIZED,
    ErrorCode.NOT_FOUND: CloseCode.UNAUTHORIZED,
    ErrorCode.RATE_LIMITED: CloseCode.RATE,
    ErrorCode.DEGRADED: CloseCode.RESTART,
}
"""What a refused client of ours is closed with, since a browser can't read a status; else 1008."""


class Reception:
    """Looks at each request for a socket."""

    def __init__(
        self,
        lives: Lives,
        tokens: Tokens,
        resume: ResumeTokens,
        origins: Origins,
        rules: Rules,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._lives = lives
        self._tokens = tokens
        self._resume = resume
        self._origins = origins
        self._rules = rules
        self._entropy = entropy

    async def decide(self, request: Request) -> Accept | Refuse:
        """Return who will talk to this client, or why nobody."""
        try:
            dialect, subprotocol = _dialect(request)
        except Refusal as refusal:
            return _refuse(refusal)
        try:
            return Accept(await self._connection(request, dialect), subprotocol)
        except Refusal as refusal:
            if dialect is PARLEY:
                return Accept(Dismissal(refusal), subprotocol)
            return _refuse(refusal)

    async def _connection(self, request: Request, dialect: Dialect) -> Connection:
        headers = request.headers
        if not self._origins.admits(headers.get("origin"), headers["host"]):
            raise Refusal(ErrorCode.NOT_ALLOWED, f"Pages of {headers['origin']} may not connect: see GATEWAY_ORIGINS.")
        query = _parameters(request.query)
        identity = await self._tokens.identify(_token(request, query), query.get("app"))
        if self._lives.trouble is not None:
            raise self._lives.trouble
        profile = _profile(query, identity)
        key = f"{identity.subject or ''}/{profile.device_id}" if profile.device_id else None
        entropy = self._entropy(ids.RANDOM_BYTES)
        partitions = self._rules.partitions
        home = ids.partition_of(identity.app, key or entropy.hex(), partitions)
        connection = ids.connection_id(home, entropy)
        session = Session(connection, dialect, identity, profile, self._rules, time())
        back = self._back(query, identity) if dialect.resumable else None
        return Connection(session, self._lives, _address(request), headers.get("user-agent", "")[:256], back)

    def _back(self, query: dict[str, str], identity: Identity) -> Back | None:
        """Return what the client wants to go on with, if that may be; else it is a new one, and told so."""
        connection = self._resume.read(query.get("resume", ""), identity.app, identity.subject)
        n = query.get("n", "0")
        return None if connection is None or not PLACE.fullmatch(n) else Back(connection, int(n))


class Dismissal:
    """Tells a client of ours why it may not come in: one error, and goodbye."""

    def __init__(self, refusal: Refusal) -> None:
        self._refusal = refusal

    def connected(self, socket: WebSocket) -> None:
        """Say it."""
        socket.send(PARLEY.refuse(self._refusal, None, "", ""))
        socket.close(CLOSE.get(self._refusal.code, CloseCode.POLICY), self._refusal.code)
        socket.start()

    def received(self, text: bytes) -> None:
        """Hear nothing."""

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


def _dialect(request: Request) -> tuple[Dialect, str | None]:
    """Return what the client speaks, and the subprotocol to answer."""
    offered = request.subprotocols
    if SUBPROTOCOL in offered:
        return PARLEY, SUBPROTOCOL
    if request.path.strip("/").count("/") == 0 and not request.path.startswith("//"):
        # A browser hangs up unless one of its subprotocols is chosen, and its token is then the only one.
        return APIGW, next((name for name in offered if name.startswith(BEARER)), None)
    raise Refusal(
        ErrorCode.NOT_FOUND, f"Connect to / or /{{stage}}, or to any path with the subprotocol {SUBPROTOCOL}."
    )


def _parameters(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS))
    except ValueError:
        raise Refusal(
            ErrorCode.BAD_REQUEST, f"The query must be UTF-8, with at most {MAX_PARAMETERS} parameters."
        ) from None


def _token(request: Request, query: dict[str, str]) -> str | None:
    """Return the token, from wherever the client could put it."""
    for name in request.subprotocols:
        if name.startswith(BEARER):
            return name.removeprefix(BEARER)
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return query.get("token")


def _profile(query: dict[str, str], identity: Identity) -> Profile:
    """Return what others may know of the client: every parameter that is not ours. A token's subject is its user."""
    said = {name: value for name, value in query.items() if name not in OURS}
    metadata(said)
    for name in ("userId", "deviceId"):
        if len(query.get(name, "")) > MAX_NAME:
            raise Refusal(ErrorCode.BAD_REQUEST, f"{name} may have {MAX_NAME} characters.")
    user = identity.subject if identity.expires_at is not None else query.get("userId") or None
    return Profile(user_id=user, device_id=query.get("deviceId") or None, metadata=said)


def _address(request: Request) -> str:
    """Return the client's address as the nearest proxy reports it."""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded or request.peer
