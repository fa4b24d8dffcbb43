"""
Whose access key a request was signed with: the app that callers of Kinesis belong to.

In development mode the built-in app `kvs` has no keys, and so takes any and checks no signature.
"""

import time
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from parley.kit.sigv4 import (
    BadSignature,
    Signed,
    Signer,
    check_headers,
    check_query,
    signer_in_headers,
    signer_in_query,
)
from parley.protocol.apps import Apps

SERVICE: Final = "kinesisvideo"
OPEN_APP: Final = "kvs"
USUAL_REGION: Final = "us-east-1"
"""Of those who, in development mode, sign nothing."""

REGION_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


class Caller(Struct, frozen=True):
    """Who calls."""

    app: str
    region: str
    """Where the client believes to be; channels of other regions are others."""
    key: str
    """The id of the access key; empty for those who sign nothing."""


class Access:
    """Says who calls; raises BadSignature."""

    def __init__(self, apps: Apps, *, development: bool, now: Callable[[], float] = time.time) -> None:
        self._apps = apps
        self._open = development and not apps.named(OPEN_APP).access_keys
        self._now = now

    def by_headers(self, request: Signed) -> Caller:
        """Return who signed the request in its headers."""
        return self._caller(
            lambda: signer_in_headers(request.headers),
            lambda secret: check_headers(request, secret, service=SERVICE, now=self._now()),
        )

    def by_query(self, request: Signed) -> Caller:
        """Return who signed the request in its query."""
        return self._caller(
            lambda: signer_in_query(request.query),
            lambda secret: check_query(request, secret, service=SERVICE, now=self._now()),
        )

    def _caller(self, claimed: Callable[[], Signer], check: Callable[[Callable[[str], str | None]], Signer]) -> Caller:
        try:
            signer = claimed()
        except BadSignature:
            if self._open:
                return Caller(OPEN_APP, USUAL_REGION, "")
            raise
        if self._open and self._apps.with_access_key(signer.key) is None:
            region = signer.region if REGION_CHARACTERS.issuperset(signer.region) else USUAL_REGION
            return Caller(OPEN_APP, region, signer.key)
        check(self._secret)
        found = self._apps.with_access_key(signer.key)
        assert found is not None  # its secret was
        return Caller(found[0], signer.region, signer.key)

    def _secret(self, key: str) -> str | None:
        found = self._apps.with_access_key(key)
        return None if found is None else found[1].access_keys[key]
