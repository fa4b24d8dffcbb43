"""How a refusal is said over HTTP: a status, and the socket's own code and sentence in the body."""

from collections.abc import Mapping
from typing import Final

from msgspec import json

from parley.kit.probes import Send
from parley.protocol.codes import ErrorCode, Refusal

STATUS: Final[Mapping[ErrorCode, int]] = {
    ErrorCode.BAD_FRAME: 400,
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.UNKNOWN_ACTION: 400,
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.TOKEN_EXPIRED: 401,
    ErrorCode.NOT_ALLOWED: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.NOT_MEMBER: 409,
    ErrorCode.ROOM_FULL: 409,
    ErrorCode.GONE: 410,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.INTERNAL: 500,
    ErrorCode.DEGRADED: 503,
}


def status_of(code: ErrorCode) -> int:
    """Return the HTTP status of a refusal."""
    return STATUS[code]


def headers_of(refusal: Refusal) -> dict[str, str]:
    """Return what the status obliges to say beside the body."""
    headers = {"cache-control": "no-store"}
    if status_of(refusal.code) == STATUS[ErrorCode.UNAUTHORIZED]:
        headers["www-authenticate"] = "Bearer"
    if refusal.retry_after_ms is not None:
        headers["retry-after"] = str(-(-refusal.retry_after_ms // 1000))
    return headers


def body_of(refusal: Refusal) -> dict[str, str]:
    """Return the body, the same for every error."""
    return {"code": refusal.code.value, "message": refusal.message}


async def refuse(send: Send, refusal: Refusal) -> None:
    """Answer with *refusal*, without any framework."""
    body = json.encode(body_of(refusal))
    headers = {"content-type": "application/json", "content-length": str(len(body))} | headers_of(refusal)
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status_of(refusal.code), "headers": raw})
    await send({"type": "http.response.body", "body": body})
