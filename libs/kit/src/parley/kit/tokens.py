"""
Tokens checked and minted: JWT signed with a shared secret (HS256) or a key of a JWKS (RS, ES, EdDSA), nothing else.

What verifies a token is chosen by its algorithm, and each algorithm has one kind of key: a public key never checks
an HS256 token, and ``none`` is no algorithm. PyJWT and cryptography take a tenth of a second to import, so a
process without secret or JWKS never does.
"""

import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import structlog
from msgspec import json

from parley.kit.identity import DEFAULT_APP, Identity, claims_of
from parley.protocol.codes import ErrorCode, Refusal

if TYPE_CHECKING:
    from jwt import PyJWS

STRONG_SECRET_BYTES: Final = 32
"""RFC 7518 section 3.2: as long as what HS256 yields."""

_log = structlog.get_logger("parley.tokens")


class Tokens:
    """Says who is asking."""

    def __init__(
        self,
        *,
        secret: str = "",
        jwks: str = "",
        development: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Keys that cannot be used raise ValueError; a JWKS is read when it is first needed."""
        self._development = development
        self._now = now
        self._secret = _usable(secret) if secret else None
        self._keys = None
        if jwks:
            from parley.kit.jwks import KeySet  # noqa: PLC0415 - imports cryptography

            self._keys = KeySet(jwks)

    async def identify(self, token: str | None, app: str | None = None) -> Identity:
        """
        Return whom *token* names, or anybody where none is needed; *app* is what the request's query says.

        Raises Refusal: ``token_expired``, ``unauthorized``, ``not_found`` for an app that cannot be, ``degraded`` while
        no key set could be read.
        """
        if not token:
            if self._development:
                return Identity.anonymous(app)
            raise Refusal(ErrorCode.UNAUTHORIZED, "A token is needed: see `parley token`.")
        claims = claims_of(await self._verified(token))
        if claims.exp <= self._now():
            raise Refusal(ErrorCode.TOKEN_EXPIRED, "The token has expired; get a fresh one.")
        if claims.nbf > self._now():
            raise Refusal(ErrorCode.UNAUTHORIZED, "The token does not hold yet; look at its `nbf`, and at the clocks.")
        if app and app != claims.app:
            raise Refusal(ErrorCode.UNAUTHORIZED, "The token is for another app than the request.")
        return Identity.claimed(claims)

    async def missing(self) -> str | None:
        """Return why tokens cannot be checked just now, for readiness; None when they can."""
        return await self._keys.missing() if self._keys else None

    async def _verified(self, token: str) -> bytes:
        """Return the payload of *token* once its signature is found good."""
        if self._secret is None and self._keys is None:
            raise _unauthorized("no PARLEY_TOKEN_SECRET and no PARLEY_JWKS is set here, so none can be checked")
        from jwt import PyJWTError  # noqa: PLC0415 - imported with the secret or the key set

        jws = _jws()
        try:
            header = jws.get_unverified_header(token)
        except (PyJWTError, ValueError, RecursionError):
            raise _unauthorized("it is no JWT") from None
        for key in await self._candidates(header.get("alg"), header.get("kid")):
            try:
                payload: bytes = jws.decode(token, key, algorithms=[header["alg"]])
            except (PyJWTError, ValueError):
                continue
            return payload
        raise _unauthorized("no key of ours has signed it")

    async def _candidates(self, algorithm: Any, key_id: Any) -> list[Any]:
        """Return the keys that may have signed, by the algorithm that the token claims."""
        if algorithm == "HS256":
            return [self._secret] if self._secret else []
        if self._keys is None or not isinstance(algorithm, str):
            return []
        from parley.kit.jwks import KeysUnreadable  # noqa: PLC0415 - imported with the key set

        try:
            return [key.public for key in await self._keys.candidates(algorithm, key_id)]
        except KeysUnreadable as trouble:
            raise Refusal(ErrorCode.DEGRADED, str(trouble)) from None


def mint(
    secret: str,
    *,
    expires_at: float,
    subject: str | None = None,
    app: str = DEFAULT_APP,
    rooms: dict[str, list[str]] | None = None,
    grants: Iterable[str] = (),
    token_id: str | None = None,
) -> str:
    """
    Return a token signed with *secret*, that holds until *expires_at* (seconds since the epoch).

    *grants* are those that a token has or has not: ``direct``, ``presence``, ``broadcast``, ``admin``, ``metadata``.
    """
    claims: dict[str, Any] = {"app": app, "exp": expires_at, "rooms": rooms or {}} | dict.fromkeys(grants, True)
    if subject is not None:
        claims["sub"] = subject
    if token_id is not None:
        claims["jti"] = token_id
    payload = json.encode(claims)
    claims_of(payload)  # what we would not accept is not handed out
    return _jws().encode(payload, _usable(secret), algorithm="HS256")


def _unauthorized(why: str) -> Refusal:
    return Refusal(ErrorCode.UNAUTHORIZED, f"The token is not accepted: {why}.")


def _usable(secret: str) -> Any:
    """Return *secret* as a key, complaining aloud if it is weak."""
    from jwt import InvalidKeyError  # noqa: PLC0415 - see above

    try:
        key = _jws().get_algorithm_by_name("HS256").prepare_key(secret)
    except InvalidKeyError:
        raise ValueError(
            "PARLEY_TOKEN_SECRET holds a public key or a certificate; put a JWKS in PARLEY_JWKS."
        ) from None
    if len(key) < STRONG_SECRET_BYTES:
        _log.warning("weak secret", hint=f"PARLEY_TOKEN_SECRET should have at least {STRONG_SECRET_BYTES} characters.")
    return key


@cache
def _jws() -> "PyJWS":
    """Return what makes and checks signatures. PyJWT's claims checks read a clock of their own; ours is given."""
    from jwt import PyJWS  # noqa: PLC0415 - slow to import, and development mode needs none
    from jwt.algorithms import HMACAlgorithm  # noqa: PLC0415 - as above

    class Quiet(HMACAlgorithm):
        """HMAC whose key was complained about once, at the start, and not with every token."""

        def check_key_length(self, key: bytes) -> None:
            pass

    jws = PyJWS()
    jws.unregister_algorithm("HS256")
    jws.register_algorithm("HS256", Quiet(HMACAlgorithm.SHA256))
    return jws
