"""
What PeerJS's clients ask over HTTP (protocols.md 7.1).

    GET  {path}{key}/id      a fresh id for a peer that has none
    GET  {path}{key}/peers   who is there: nobody is told
    GET  {path}              what this is

Pages of any origin may ask, as with PeerJS's own server. Keys are not looked at here: the socket does it.
"""

import re
from collections.abc import Callable
from typing import Final
from uuid import UUID, uuid4

from msgspec import json

from parley.gateway.sites import NOTHING, Site
from parley.kit.answers import refuse
from parley.kit.probes import Receive, Scope, Send
from parley.protocol.apps import Apps

PATH: Final = "/{path}/{key}/%s"
HTML: Final = "text/html; charset=utf-8"
TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json; charset=utf-8"

ABOUT: Final = json.encode(
    {
        "name": "PeerJS Server",
        "description": "A server side element to broker connections between PeerJS clients.",
        "website": "https://peerjs.com/",
    }
)
"""The words of PeerJS's own server: programs tell by them what they have found."""

METHODS: Final = b"GET,HEAD,PUT,PATCH,POST,DELETE"
"""What its answer to a preflight says."""


def peerjs(apps: Apps, fresh: Callable[[], UUID] = uuid4) -> list[Site]:
    """Return the sites."""
    homes = [re.escape(path) for _, app in apps.items() if app.served == "peerjs" for path in app.paths]
    about = [_site(rf"(?:{'|'.join(homes)})/?", "/{path}", 200, JSON, lambda: ABOUT)] if homes else []
    return [
        _site(r"(?:/.*)?/[^/]+/id/?", PATH % "id", 200, HTML, lambda: str(fresh()).encode()),
        _site(r"(?:/.*)?/[^/]+/peers/?", PATH % "peers", 401, TEXT, lambda: b"Unauthorized"),
        *about,
    ]


def _site(pattern: str, path: str, status: int, kind: str, body: Callable[[], bytes]) -> Site:
    async def answer(_found: re.Match[str], scope: Scope, _receive: Receive, send: Send) -> None:
        match scope["method"]:
            case "GET" | "HEAD":
                await _say(send, status, [*_cors(scope), (b"content-type", kind.encode())], body())
            case "OPTIONS":
                await _say(send, 204, _preflight(scope), b"")
            case _:
                await refuse(send, NOTHING)

    return Site(re.compile(pattern), path, answer)


def _cors(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return what lets a page of any origin read the answer."""
    origin = dict(scope["headers"]).get(b"origin")
    allowed = [] if origin is None else [(b"access-control-allow-origin", origin)]
    return [*allowed, (b"vary", b"Origin"), (b"cache-control", b"no-store")]


def _preflight(scope: Scope) -> list[tuple[bytes, bytes]]:
    asked = dict(scope["headers"]).get(b"access-control-request-headers")
    allowed = [] if asked is None else [(b"access-control-allow-headers", asked)]
    return [*_cors(scope), (b"access-control-allow-methods", METHODS), *allowed]


async def _say(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    if status != 204:  # noqa: PLR2004 - has no content, and no length of it
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
