"""
The HTTP of Kinesis Video Streams' signaling: rest-json, every call a POST, signed by the caller.

An app of its own beside the REST of rooms, whose errors and whose callers are others.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
from asyncpg import PostgresConnectionError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from parley.kit.access import Access
from parley.kit.probes import App, Receive, Scope, Send
from parley.kit.requests import Requests
from parley.kit.sigv4 import BadSignature, Signed
from parley.kit.sigv4 import Fault as SignatureFault
from parley.rooms.channels.calls import CALLS, Answer, Call, Desk
from parley.rooms.channels.faults import Fault, invalid
from parley.rooms.channels.paces import Paces
from parley.rooms.channels.shapes import Shape

log = structlog.get_logger(__name__)

_UNSIGNED = {
    SignatureFault.MISSING: "MissingAuthenticationTokenException",
    SignatureFault.UNKNOWN_KEY: "UnrecognizedClientException",
}
"""What AWS calls a signature that is not accepted; else InvalidSignatureException."""


def channels_api(desk: Desk, access: Access, paces: Paces, *, development: bool) -> App:
    """Return the app."""

    def route(path: str, shape: type[Shape], perform: Callable[[Call, Any], Awaitable[Answer]]) -> Route:
        decoder = msgspec.json.Decoder(shape)

        async def endpoint(request: Request) -> Response:
            try:
                body = await request.body()
                caller = access.by_headers(_signed(request, body))
                asked = _read(decoder, body)
                paces.count(path, caller, asked)
                return _answer(200, await perform(Call(desk, caller, _front_door(request)), asked))
            except BadSignature as bad:
                return _refuse(Fault(_UNSIGNED.get(bad.fault, "InvalidSignatureException"), bad.message))
            except Fault as fault:
                return _refuse(fault)
            except (DBAPIError, PoolTimeout, PostgresConnectionError, OSError):
                log.warning("database away", route=path, exc_info=True)
                return _refuse(
                    Fault("ServiceUnavailableException", "The database does not answer just now; try again.")
                )

        return Route(path, endpoint, methods=["POST"])

    return Starlette(
        routes=[route(path, shape, perform) for path, (shape, perform) in CALLS.items()],
        middleware=[
            Middleware(
                CORSMiddleware,  # who may ask is said by a signature, never by a cookie, so any page may send one
                allow_origins=["*"],
                allow_methods=["POST"],
                allow_headers=["*"],
                expose_headers=["x-amzn-ErrorType", "Date"],
                max_age=600,
            ),
            Middleware(Requests, loopback_only=development),
        ],
    )


def beside(rest: App, channels: App) -> App:
    """Return the app that gives Kinesis' paths to *channels* and all else to *rest*."""

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        await (channels if scope.get("path") in CALLS else rest)(scope, receive, send)

    return either


def _signed(request: Request, body: bytes) -> Signed:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    raw_path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return Signed(request.method, raw_path.decode("latin-1"), query.decode("latin-1"), headers, body)


def _front_door(request: Request) -> str:
    """Return the origin that the caller used; what proxies had in mind, without the port that needs no saying."""
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme).partition(",")[0].strip().lower()
    host = request.headers.get("host", "")
    secure = scheme in {"https", "wss"}
    return f"https://{host.removesuffix(':443')}" if secure else f"http://{host.removesuffix(':80')}"


def _read(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> Any:
    try:
        return decoder.decode(body or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(f"{error}.") from None


def _answer(status: int, body: Answer, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")


def _refuse(fault: Fault) -> Response:
    return _answer(fault.status, {"Message": fault.message}, {"x-amzn-ErrorType": fault.kind})
