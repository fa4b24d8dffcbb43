"""
What this gateway holds, for whoever checks that all parts agree (`parley doctor`).

``GET /v1/internal/connections`` on the port of the probes, which no front door passes on: ids and sessions,
and nothing of what is said on them.
"""

import re
from typing import Final

import msgspec
from msgspec import Struct

from parley.gateway.lives import Lives
from parley.gateway.sites import Site
from parley.kit.probes import Receive, Scope, Send

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


def inspection(name: str, lives: Lives) -> Site:
    """Return the site."""

    async def answer(_found: re.Match[str], _scope: Scope, _receive: Receive, send: Send) -> None:
        held = [Held(id_, session, open_) for id_, session, open_ in lives.held()]
        body = msgspec.json.encode(Holding(name, held))
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return Site(re.compile(PATH), PATH, answer)
