"""The keys of whoever issues the tokens: a JWKS from a file or a URL, cached, read again when keys rotate."""

import asyncio
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

import structlog
from jwt import PyJWK, PyJWTError
from msgspec import MsgspecError, Struct, json

from parley.kit.discretion import place

AGE_SECONDS: Final = 600.0
"""A set older than this is read again, so that a key that was withdrawn stops to hold."""
PAUSE_SECONDS: Final = 5.0
"""A token that names an unknown key makes us look for it, at most this often: anybody can invent a name."""

_PATIENCE_SECONDS: Final = 5.0
_MAX_BYTES: Final = 1 << 20
_BY_KIND: Final[dict[str, tuple[str, ...]]] = {
    "RSA": ("RS256", "RS384", "RS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA",),
    "Ed448": ("EdDSA",),
}
"""Signatures a key can check. Symmetric keys are not among them: what everybody can read proves nothing."""

_log = structlog.get_logger("parley.jwks")


class KeysUnreadable(Exception):  # noqa: N818 - says what is the case
    """No key set could be read so far; the sentence says why."""


class Key(Struct, frozen=True):
    """A public key, and the signatures it is good for."""

    id: str | None
    algorithms: tuple[str, ...]
    public: Any
    """As the cryptography library holds it."""


class _Document(Struct, frozen=True):
    keys: list[Any]


class KeySet:
    """The public keys at one file or URL."""

    def __init__(self, location: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._location = location
        self._clock = clock
        self._reading = asyncio.Lock()
        self._keys: list[Key] | None = None
        self._tried = float("-inf")
        """When the set was last asked for, with or without success."""
        self._trouble = ""

    async def candidates(self, algorithm: str, key_id: str | None) -> list[Key]:
        """Return the keys that may have made a signature; without a *key_id* all that can."""
        if self._clock() - self._tried > AGE_SECONDS:
            await self._read(AGE_SECONDS)
        found = self._among(algorithm, key_id)
        if not found:
            await self._read(PAUSE_SECONDS)
            found = self._among(algorithm, key_id)
        if self._keys is None:
            raise KeysUnreadable(self._trouble)
        return found

    async def missing(self) -> str | None:
        """Return why no signature can be checked, for readiness; None when all is well."""
        if self._keys is None:
            await self._read(PAUSE_SECONDS)
        return self._trouble if self._keys is None else None

    def _among(self, algorithm: str, key_id: str | None) -> list[Key]:
        return [key for key in self._keys or () if algorithm in key.algorithms and key_id in (None, key.id)]

    async def _read(self, age: float) -> None:
        """Read the set again if the last try is longer ago than *age*. What is known stays if that fails."""
        async with self._reading:
            if self._clock() - self._tried <= age:
                return  # another token's turn did it while this one waited
            self._tried = self._clock()
            try:
                content = await asyncio.to_thread(_content, self._location)
                self._keys = list(keys_of(content))
            except (OSError, HTTPException, MsgspecError, ValueError, RecursionError) as error:
                self._trouble = f"The key set at PARLEY_JWKS ({self._location}) cannot be read: {error}."
                _log.warning("key set unreadable", location=place(self._location), error=error)


def keys_of(content: bytes) -> Iterator[Key]:
    """Yield the usable keys of a JWKS; others are passed over, as its standard asks."""
    for jwk in json.decode(content, type=_Document).keys:
        if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
            continue
        can = _BY_KIND.get(str(jwk.get("crv", jwk.get("kty"))), ())
        algorithms = tuple(name for name in can if jwk.get("alg", name) == name)
        if not algorithms:
            continue
        try:
            key = PyJWK(jwk, algorithms[0])
        except PyJWTError as error:
            _log.warning("key passed over", kid=jwk.get("kid"), error=error)
            continue
        if weakness := key.Algorithm.check_key_length(key.key):
            _log.warning("key passed over", kid=jwk.get("kid"), error=weakness)
            continue
        yield Key(jwk.get("kid"), algorithms, key.key)


def _content(location: str) -> bytes:
    """Return what is at *location*; runs in a thread."""
    if not location.startswith(("http://", "https://")):
        return Path(location).read_bytes()
    from urllib.request import urlopen  # noqa: PLC0415 - slow to import, and few need it

    with urlopen(location, timeout=_PATIENCE_SECONDS) as answer:  # noqa: S310 - the scheme was looked at
        content: bytes = answer.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"it is larger than {_MAX_BYTES} bytes")
    return content
