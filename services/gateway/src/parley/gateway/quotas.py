"""
What API Gateway holds its clients to, for apps that are `strict` (protocols.md 1.7 and 1.9).

AWS counts what all of an account's apps do in a region. Here each gateway counts for itself, and each app.
"""

from collections.abc import Callable
from time import time
from typing import Final

from msgspec.structs import replace

from parley.gateway.websocket import Limits
from parley.kit.flow import Flow, Rate
from parley.protocol.apps import Apps

FRAME_BYTES: Final = 32_768
MESSAGE_BYTES: Final = 131_072

URL_CHARACTERS: Final = 4096

CONNECTS: Final = Rate(per_second=500, burst=500)
REQUESTS: Final = Rate(per_second=10_000, burst=5_000)
"""What clients say and what backends do to their connections, together."""


class Quota:
    """One app's."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        """What its sockets take."""
        self.connects = Flow(CONNECTS, now)
        self.requests = Flow(REQUESTS, now)


class Quotas:
    """Those of all apps, on this gateway."""

    def __init__(self, apps: Apps, limits: Limits, now: Callable[[], float] = time) -> None:
        """*limits* hold for everybody; who is strict takes no more than API Gateway does."""
        limits = replace(limits, frame_bytes=FRAME_BYTES, message_bytes=min(limits.message_bytes, MESSAGE_BYTES))
        self._of = {name: Quota(limits, now()) for name, app in apps.items() if app.held_to_quotas}

    def of(self, app: str) -> Quota | None:
        """Return what *app* is held to; None if it is not strict."""
        return self._of.get(app)
