"""The token with which a client comes back to its connection: signed, and naming app, connection and subject."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Final

import msgspec

SIGNATURE_BYTES: Final = 16


class ResumeTokens:
    """Signs and reads them. All gateways of an installation have the same secret."""

    def __init__(self, secret: str) -> None:
        self._key = sha256(b"parley resume\0" + secret.encode()).digest()

    def sign(self, app: str, connection: str, subject: str | None) -> str:
        """Return the token of *connection*, good for whoever is *subject* still."""
        words = msgspec.json.encode((app, connection, subject))
        return urlsafe_b64encode(self._signature(words) + words).decode().rstrip("=")

    def read(self, token: str, app: str, subject: str | None) -> str | None:
        """Return the connection that a token of ours names; None if it is none, or another app's or subject's."""
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            signature, words = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
            if not hmac.compare_digest(signature, self._signature(words)):
                return None
            named = msgspec.json.decode(words, type=tuple[str, str, str | None])
        except (ValueError, msgspec.MsgspecError):
            return None
        return named[1] if (named[0], named[2]) == (app, subject) else None

    def _signature(self, words: bytes) -> bytes:
        return hmac.digest(self._key, words, "sha256")[:SIGNATURE_BYTES]
