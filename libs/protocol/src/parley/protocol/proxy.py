"""The AWS_PROXY event that an integration is given, and what its answer says: protocols.md 1.4 and 1.5.

Pure: who calls the integration has the clock and the dice.
"""

import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

Event = dict[str, Any]

RESULT_KEYS: Final = frozenset({"statusCode", "body", "headers", "multiValueHeaders", "isBase64Encoded", "cookies"})
"""What a handler may answer; with anything else it has failed, though it did not mean to."""

_STATUS: Final = re.compile(r"[1-5][0-9]{2}")
_ODD: Final = {
    "sec-websocket-extensions": "Sec-WebSocket-Extensions",
    "sec-websocket-key": "Sec-WebSocket-Key",
    "sec-websocket-protocol": "Sec-WebSocket-Protocol",
    "sec-websocket-version": "Sec-WebSocket-Version",
    "x-api-key": "x-api-key",
}


class Caller(Struct, frozen=True, kw_only=True):
    """A connection, as integrations are told of it in every event."""

    connection: str
    api: str
    """The app."""
    stage: str
    domain: str
    """The Host that the client used, with its port if that is not the usual one."""
    address: str
    agent: str
    connected_at: int
    """Milliseconds."""
    stage_variables: dict[str, str] = {}
    authorizer: dict[str, str] = {}
    """What the authorizer said, with its `principalId`; empty without one."""


class Handshake(Struct, frozen=True, kw_only=True):
    """What a client said when it connected."""

    headers: dict[str, str]
    """By names in lower case."""
    query: tuple[tuple[str, str], ...]
    """Decoded, in their order."""


class Result(Struct, frozen=True):
    """What an integration has answered."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = {}
    """By names in lower case."""


class Malformed(ValueError):  # noqa: N818 - somebody else's, and expected
    """An answer that is none (protocols.md 1.5)."""


def connect(caller: Caller, handshake: Handshake, request: str, now: int) -> Event:
    """Return the event of ``$connect``; *request* is an id of this one, *now* in milliseconds."""
    headers = {_cased(name): value for name, value in handshake.headers.items()}
    event: Event = {"headers": headers, "multiValueHeaders": {name: [value] for name, value in headers.items()}}
    if handshake.query:
        many: dict[str, list[str]] = {}
        for name, value in handshake.query:
            many.setdefault(name, []).append(value)
        event["queryStringParameters"] = {name: values[-1] for name, values in many.items()}
        event["multiValueQueryStringParameters"] = many
    return event | _rest(caller, {"routeKey": "$connect", "eventType": "CONNECT"}, request, now)


def authorize(caller: Caller, handshake: Handshake, request: str, now: int, region: str, account: str) -> Event:
    """Return what a REQUEST authorizer is asked."""
    event = connect(caller, handshake, request, now)
    arn = f"arn:aws:execute-api:{region}:{account}:{caller.api}/{caller.stage}/$connect"
    del event["isBase64Encoded"]
    return {"type": "REQUEST", "methodArn": arn} | event | {"stageVariables": caller.stage_variables}


def message(caller: Caller, route: str, body: str, request: str, now: int) -> Event:
    """Return the event of a frame: it has neither headers nor a query."""
    context = {"routeKey": route, "messageId": request, "eventType": "MESSAGE"}
    event = _rest(caller, context, request, now)
    return {"requestContext": event.pop("requestContext"), "body": body} | event


def disconnect(caller: Caller, code: int, reason: str, request: str, now: int) -> Event:
    """Return the event of a connection's end, with the stub headers that AWS sends."""
    headers = {"Host": caller.domain, "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""}
    context = {
        "routeKey": "$disconnect",
        "eventType": "DISCONNECT",
        "disconnectStatusCode": code,
        "disconnectReason": reason,
    }
    event: Event = {"headers": headers, "multiValueHeaders": {name: [value] for name, value in headers.items()}}
    return event | _rest(caller, context, request, now)


def result(answer: bytes) -> Result:
    """Return what a handler's *answer*, as JSON, says; raise Malformed. Nothing at all counts as 200."""
    try:
        said = msgspec.json.decode(answer or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("it is no JSON") from None
    if said is None:
        return Result()
    if not isinstance(said, dict):
        raise Malformed("it is no object")
    if strange := set(said) - RESULT_KEYS:
        raise Malformed(f"it has the keys {', '.join(sorted(strange))}")
    status = _status(said.get("statusCode", 200))
    headers = said.get("headers") or {}
    if not isinstance(headers, dict):
        raise Malformed("its headers are no object")
    return Result(status, _body(said.get("body")), {str(name).lower(): str(value) for name, value in headers.items()})


def _status(status: Any) -> int:
    if isinstance(status, str) and _STATUS.fullmatch(status):
        status = int(status)
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:  # noqa: PLR2004 - HTTP's
        raise Malformed("its statusCode is none of HTTP's")
    return status


def _body(body: Any) -> str:
    if body is None:
        return ""
    if not isinstance(body, str):
        raise Malformed("its body is no text")
    return body


def _rest(caller: Caller, context: Event, request: str, now: int) -> Event:
    identity = {"sourceIp": caller.address}
    if caller.agent:
        identity["userAgent"] = caller.agent
    when = datetime.fromtimestamp(now / 1000, UTC)
    context |= {
        "messageDirection": "IN",
        "extendedRequestId": request,
        "requestId": request,
        "requestTime": when.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": now,
        "connectedAt": caller.connected_at,
        "connectionId": caller.connection,
        "stage": caller.stage,
        "domainName": caller.domain,
        "apiId": caller.api,
        "identity": identity,
    }
    if caller.authorizer:
        context["authorizer"] = caller.authorizer
    event: Event = {"requestContext": context, "isBase64Encoded": False}
    if caller.stage_variables:
        event["stageVariables"] = caller.stage_variables
    return event


def _cased(name: str) -> str:
    """Write a header's name as browsers do: API Gateway passes it on as it came, and handlers look for that."""
    return _ODD.get(name) or "-".join(part.capitalize() for part in name.split("-"))
