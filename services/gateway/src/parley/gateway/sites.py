"""Who answers what on the gateway's HTTP port, behind the probes."""

import re
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct

from parley.kit.answers import refuse
from parley.kit.probes import App, Receive, Scope, Send
from parley.protocol.codes import ErrorCode, Refusal

Answer = Callable[[re.Match[str], Scope, Receive, Send], Awaitable[None]]
"""An ASGI app that is also given what its pattern found in the path."""

NOTHING: Final = Refusal(ErrorCode.NOT_FOUND, "There is nothing at this path.")


class Site(Struct, frozen=True):
    """A part of the port."""

    pattern: re.Pattern[str]
    """Fits its paths as they were sent, before any decoding."""
    path: str
    """The same for people; traces name requests by it."""
    answer: Answer


def dispatch(*sites: Site) -> App:
    """Return the app that gives each request to the first site whose pattern fits its path."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["raw_path"].decode("latin-1")
        for site in sites:
            found = site.pattern.fullmatch(path)
            if found is not None:
                scope["route"] = site
                await site.answer(found, scope, receive, send)
                return
        await refuse(send, NOTHING)

    return app
