"""
AWS Signature Version 4, checked: in the headers of a request, or in its query (protocols.md 1.8 and 6.3).

    signer = check_headers(request, keys.get, service="execute-api", now=time())

Pure. Paths, queries and header values are taken as they were on the wire: what was decoded once cannot be signed again.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Final
from urllib.parse import quote, unquote

from msgspec import Struct

SKEW_SECONDS: Final = 300
"""How far a client's clock may be off."""

LONGEST_SECONDS: Final = 604_800
"""A signature in a query holds for a week at most."""

ALGORITHM: Final = "AWS4-HMAC-SHA256"

SecretOf = Callable[[str], str | None]
"""Given the id of an access key, returns its secret; None if nobody has that key."""

_AUTHORIZATION: Final = re.compile(
    ALGORITHM + r" +Credential=([^\s,]{1,1024}) *, *SignedHeaders=([^\s,]{1,1024}) *, *Signature=([^\s,]{1,256})"
)
_CREDENTIAL: Final = re.compile(r"([^/]{1,128})/([0-9]{8})/([^/]{1,64})/([^/]{1,64})/aws4_request")
_DATE: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SECONDS: Final = re.compile(r"[0-9]{1,7}")
_SPACES: Final = re.compile(r" +")
_SLASHES: Final = re.compile(r"/+")


class Fault(StrEnum):
    """Why a signature is not accepted."""

    MISSING = "missing"
    """The request is not signed."""
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    SIGNATURE = "signature"
    """Another secret, another request, or another host than the client signed."""
    EXPIRED = "expired"
    """Too old, or of a clock that is ahead."""


class BadSignature(Exception):  # noqa: N818 - an answer to a client, not an error of ours
    """A request whose signature is not accepted."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault
        self.message = message


class Signed(Struct, frozen=True):
    """A request, as it was on the wire."""

    method: str
    path: str
    query: str
    """Without the question mark."""
    headers: Mapping[str, str]
    """Names in lower case; repeated ones joined by a comma."""
    body: bytes = b""


class Signer(Struct, frozen=True):
    """Who claims to have signed, for where. Proven only if `check_headers` or `check_query` returned it."""

    key: str
    """The id of the access key."""
    date: str
    """``yyyymmdd``"""
    region: str
    service: str

    @property
    def scope(self) -> str:
        """What the signing key is derived from, and what is signed."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


class _Claim(Struct, frozen=True):
    """What a request says of its signature."""

    signer: Signer
    date: str
    signed_headers: list[str]
    signature: str


def signer_in_headers(headers: Mapping[str, str]) -> Signer:
    """Return who claims to have signed in ``Authorization``, without any check."""
    return _in_headers(headers).signer


def signer_in_query(query: str) -> Signer:
    """Return who claims to have signed in the query, without any check."""
    return _in_query(query)[0].signer


def check_headers(request: Signed, secret_of: SecretOf, *, service: str, now: float) -> Signer:
    """Return who signed the request in its headers; raise BadSignature. *now* is in seconds since the epoch."""
    claim = _in_headers(request.headers)
    secret = _secret(claim, secret_of, service)
    _in_time(claim, now, SKEW_SECONDS)
    payload = sha256(request.body).hexdigest()
    if request.headers.get("x-amz-content-sha256", payload) != payload:
        raise BadSignature(Fault.SIGNATURE, "The body is not the one whose SHA-256 x-amz-content-sha256 names.")
    # Once more: the wire's own encoding is a part of what was signed. Slashes that an SDK doubles it signs as one.
    path = quote(_SLASHES.sub("/", request.path), safe="/~")
    query = "&".join(sorted(name if "=" in name else f"{name}=" for name in _pairs(request.query)))
    _verify(claim, secret, request, (path, query, payload))
    return claim.signer


def check_query(request: Signed, secret_of: SecretOf, *, service: str, now: float) -> Signer:
    """Return who signed the request in its query; raise BadSignature. *now* is in seconds since the epoch."""
    claim, expires = _in_query(request.query)
    secret = _secret(claim, secret_of, service)
    _in_time(claim, now, expires + SKEW_SECONDS)
    query = "&".join(sorted(pair for pair in _pairs(request.query) if not pair.startswith("X-Amz-Signature=")))
    _verify(claim, secret, request, (request.path or "/", query, sha256(b"").hexdigest()))
    return claim.signer


def _in_headers(headers: Mapping[str, str]) -> _Claim:
    authorization = headers.get("authorization", "")
    if not authorization.startswith("AWS4-"):
        raise BadSignature(Fault.MISSING, "The request is not signed with AWS Signature Version 4.")
    found = _AUTHORIZATION.fullmatch(authorization.strip())
    if not found:
        raise BadSignature(
            Fault.MALFORMED, f"Authorization must be `{ALGORITHM} Credential=..., SignedHeaders=..., Signature=...`."
        )
    credential, signed_headers, signature = found.groups()
    return _claim(credential, headers.get("x-amz-date", ""), signed_headers, signature)


def _in_query(query: str) -> tuple[_Claim, int]:
    """Return the claim, and for how many seconds it is meant to hold."""
    said: dict[str, str] = {}
    for pair in _pairs(query):
        name, _, value = pair.partition("=")
        if name in said and name.startswith("X-Amz-"):
            raise BadSignature(Fault.MALFORMED, f"{name} is in the query more than once.")
        said[name] = unquote(value)
    if "X-Amz-Signature" not in said:
        raise BadSignature(Fault.MISSING, "The query is not signed with AWS Signature Version 4.")
    if said.get("X-Amz-Algorithm") != ALGORITHM:
        raise BadSignature(Fault.MALFORMED, f"X-Amz-Algorithm must be {ALGORITHM}.")
    expires = said.get("X-Amz-Expires", "")
    if not _SECONDS.fullmatch(expires) or not 0 < int(expires) <= LONGEST_SECONDS:
        raise BadSignature(Fault.MALFORMED, f"X-Amz-Expires must be a number of seconds from 1 to {LONGEST_SECONDS}.")
    credential, date = said.get("X-Amz-Credential", ""), said.get("X-Amz-Date", "")
    claim = _claim(credential, date, said.get("X-Amz-SignedHeaders", ""), said["X-Amz-Signature"])
    return claim, int(expires)


def _claim(credential: str, date: str, signed_headers: str, signature: str) -> _Claim:
    found = _CREDENTIAL.fullmatch(credential)
    if not found:
        raise BadSignature(Fault.MALFORMED, "Credential must be `<key>/<yyyymmdd>/<region>/<service>/aws4_request`.")
    signer = Signer(*found.groups())
    if not _DATE.fullmatch(date) or not date.startswith(signer.date):
        raise BadSignature(Fault.MALFORMED, "X-Amz-Date must be yyyymmddThhmmssZ, of the day that Credential names.")
    names = signed_headers.lower().split(";")
    if "host" not in names:
        raise BadSignature(Fault.MALFORMED, "SignedHeaders must name host.")
    return _Claim(signer, date, names, signature)


def _secret(claim: _Claim, secret_of: SecretOf, service: str) -> str:
    if claim.signer.service != service:
        raise BadSignature(Fault.SIGNATURE, f"Credential should be scoped to the service {service}.")
    secret = secret_of(claim.signer.key)
    if secret is None:
        raise BadSignature(Fault.UNKNOWN_KEY, "The security token included in the request is invalid.")
    return secret


def _in_time(claim: _Claim, now: float, longest: float) -> None:
    try:
        age = now - datetime.strptime(claim.date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise BadSignature(Fault.MALFORMED, "X-Amz-Date is no time.") from None
    if not -SKEW_SECONDS <= age <= longest:
        written = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        raise BadSignature(Fault.EXPIRED, f"Signature not current: it is of {claim.date}, and now it is {written}.")


def _verify(claim: _Claim, secret: str, request: Signed, parts: tuple[str, str, str]) -> None:
    key = f"AWS4{secret}".encode()
    for part in claim.signer.scope.split("/"):
        key = digest(key, part.encode(), sha256)
    good = False
    for host in _hosts(request.headers):
        signature = _signature(claim, key, request, host, parts)
        good |= compare_digest(signature.encode(), claim.signature.encode())
    if not good:
        raise BadSignature(
            Fault.SIGNATURE,
            "The request signature we calculated does not match the signature you provided: check the secret key, and"
            " that Host arrives here as the client signed it.",
        )


def _signature(claim: _Claim, key: bytes, request: Signed, host: str, parts: tuple[str, str, str]) -> str:
    path, query, payload = parts
    headers = {**request.headers, "host": host}
    lines = [f"{name}:{_SPACES.sub(' ', headers.get(name, '').strip())}" for name in claim.signed_headers]
    canonical = "\n".join([request.method, path, query, *lines, "", ";".join(claim.signed_headers), payload])
    to_sign = "\n".join([ALGORITHM, claim.date, claim.signer.scope, sha256(canonical.encode()).hexdigest()])
    return digest(key, to_sign.encode(), sha256).hex()


def _hosts(headers: Mapping[str, str]) -> Iterator[str]:
    """
    Yield what the client may have taken for its host.

    Some sign ``h:443`` where their HTTP library then sends ``Host: h``, and behind a proxy the client's host is the
    one that was forwarded.
    """
    seen = set()
    for name in ("host", "x-forwarded-host"):
        host = headers.get(name, "").rpartition(",")[2].strip()
        for candidate in (host, f"{host}:443", host.removesuffix(":443")):
            if host and candidate not in seen:
                seen.add(candidate)
                yield candidate


def _pairs(query: str) -> list[str]:
    return [pair for pair in query.split("&") if pair]
