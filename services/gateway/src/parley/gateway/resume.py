"""The token with which a client comes back to its connection: signed, and naming connection and app."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Final

from parley.protocol.codes import ErrorCode, Refusal

SIGNATURE_BYTES: Final = 16


class ResumeTokens:
    """Signs and reads them. All gateways of an installation have the same secret."""

    def __init__(self, secret: str) -> None:
        self._key = sha256(b"parley resume\0" + secret.encode()).digest()

    def sign(self, app: str, connection: str) -> str:
        """Return the token of *connection*."""
        words = f"{app} {connection}".encode()
        return urlsafe_b64encode(self._signature(words) + words).decode().rstrip("=")

    def read(self, token: str) -> tuple[str, str]:
        """Return the app and connection in a token of ours."""
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            signature, words = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
            app, connection = words.decode().split(" ")
        except ValueError:
            raise Refusal(ErrorCode.UNAUTHORIZED, "That is no resume token.") from None
        if not hmac.compare_digest(signature, self._signature(words)):
            raise Refusal(ErrorCode.UNAUTHORIZED, "That resume token is not one of ours.")
        return app, connection

    def _signature(self, words: bytes) -> bytes:
        return hmac.digest(self._key, words, "sha256")[:SIGNATURE_BYTES]
