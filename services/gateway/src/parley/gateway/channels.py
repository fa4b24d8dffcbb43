"""
Who may come into a signaling channel of Kinesis Video Streams: protocols.md 6.3.

A client says in its query which channel it means, at whatever path, and signs all of it. Whether there is such a
channel rooms knows, and is asked.
"""

from functools import lru_cache
from time import time
from typing import Final

import msgspec
import nats.errors

from parley.gateway.backend import TurnedAway
from parley.gateway.head import Request
from parley.kit.access import Access
from parley.kit.bus import Bus
from parley.kit.flow import Flows, Rate
from parley.kit.identity import Identity
from parley.kit.sigv4 import BadSignature, Signed
from parley.protocol import subjects
from parley.protocol.apps import Apps
from parley.protocol.channels import ChannelFound, ChannelSought
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.dialects import Dialect, Hello
from parley.protocol.dialects.kvs import CHANNEL, CLIENT, Kinesis, is_client_id

PATIENCE_SECONDS: Final = 5.0
"""Rooms answers within milliseconds; a replica that was stopped is noticed within seconds."""

STRICT_VIEWERS: Final = 10
"""A channel has as many on AWS."""

CONNECTS: Final = Rate(per_second=3, burst=3)
"""How many may connect to a channel on AWS, as its master, and as viewers. Each gateway counts for itself."""

QUESTION: Final = subjects.question("rooms", "channel")

_found: Final = msgspec.json.Decoder(ChannelFound | None)


class Channels:
    """Lets masters and viewers in."""

    def __init__(self, bus: Bus, apps: Apps, access: Access) -> None:
        self._bus = bus
        self._apps = apps
        self._access = access
        self._connects = Flows(CONNECTS)  # by channel, for masters and for viewers

    async def admit(self, request: Request, hello: Hello) -> tuple[Identity, Dialect]:
        """Return who it is and what it speaks; raise TurnedAway with AWS's own answer, or Refusal."""
        try:
            signed = Signed("GET", request.path, request.query, request.headers)
            app = self._access.by_query(signed).app
        except BadSignature as bad:
            raise _away(403, "AccessDeniedException", bad.message) from None
        channel, viewer = hello.query[CHANNEL], hello.query.get(CLIENT)
        if viewer is not None and not is_client_id(viewer):
            raise _away(400, "InvalidArgumentException", f"{CLIENT} must be 1 to 256 of a-z, A-Z, 0-9, _ . and -.")
        found = await self._find(ChannelSought(app, channel, viewer))
        if found is None:
            raise _away(404, "ResourceNotFoundException", f"There is no channel {channel}.")
        strict = self._apps.named(app).strict
        if strict and not self._connects.take((channel, viewer is None), time()):
            raise _away(400, "ClientLimitExceededException", f"{CONNECTS.per_second:.0f} may connect in a second.")
        if viewer is not None and found.viewers >= STRICT_VIEWERS and strict:
            raise _away(400, "ClientLimitExceededException", f"The channel has {found.viewers} viewers already.")
        grants = {channel: frozenset[str]({"join", "send"})}
        return Identity(app=app, direct=True, rooms=grants), _dialect(found.ttl, strict)

    async def _find(self, sought: ChannelSought) -> ChannelFound | None:
        try:
            answer = await self._bus.client.request(QUESTION, msgspec.json.encode(sought), timeout=PATIENCE_SECONDS)
        except (nats.errors.Error, TimeoutError):
            raise Refusal(ErrorCode.DEGRADED, "Whether that channel is there cannot be seen just now.") from None
        found: ChannelFound | None = _found.decode(answer.data)
        return found


@lru_cache(maxsize=256)
def _dialect(ttl: int, strict: bool) -> Kinesis:
    """Return the one dialect of all channels whose messages wait equally long."""
    return Kinesis(ttl, strict=strict)


def _away(status: int, kind: str, message: str) -> TurnedAway:
    return TurnedAway(status, message, {"x-amzn-ErrorType": kind})
