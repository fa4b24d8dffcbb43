"""
What this gateway holds, for whoever checks that all parts agree (`parley doctor`).

``GET /v1/internal/connections`` on the port of the probes, which no front door passes on: ids and sessions,
and nothing of what is said on them.
"""

from typing import Final

import msgspec
from msgspec import Struct

from parley.gateway.lives import Lives
from parley.kit.probes import App, Receive, Scope, Send
from parley.protocol.codes import ErrorCode

PATH: Final = "/v1/internal/connections"


class Held(Struct, frozen=True, rename="camel"):
    """A session of a connection."""

    connection_id: str
    session: int
    open: bool
    """Whether it has its socket still; without one it waits for its grace to be over."""


class Holding(Struct, frozen=True):
    """All that one gateway holds."""

    gateway: str
    """Its name on the bus."""
    connections: list[Held]


class _Nothing(Struct, frozen=True):
    code: str = ErrorCode.NOT_FOUND
    message: str = "There is nothing at this path."


def inspection(name: str, lives: Lives) -> App:
    """Return the app, for the place behind the probes."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's signature
        found = scope["path"] == PATH
        held = [Held(id_, session, open_) for id_, session, open_ in lives.held()] if found else []
        body = msgspec.json.encode(Holding(name, held) if found else _Nothing())
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
