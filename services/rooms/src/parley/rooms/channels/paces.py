"""How often AWS lets its customers call, for strict apps (protocols.md 6.6). Each replica counts for itself."""

from collections.abc import Callable
from time import time
from typing import Final

from parley.kit.access import Caller
from parley.kit.flow import Flows, Rate
from parley.protocol.apps import Apps
from parley.rooms.channels.channel import Arn
from parley.rooms.channels.faults import Fault
from parley.rooms.channels.shapes import Shape

PER_CHANNEL: Final = 5
"""Calls of a kind about one channel a second."""

PER_APP: Final = {
    "/describeSignalingChannel": 300,
    "/getSignalingChannelEndpoint": 300,
    "/describeMediaStorageConfiguration": 300,
    "/v1/send-alexa-offer-to-master": 100,
}
"""Calls of a kind a second, by path."""

USUAL_PER_APP: Final = 50
UNBOUND: Final = "/v1/get-ice-server-config"
"""It is counted by channel alone."""

UNNAMED: Final = frozenset({"/createSignalingChannel", "/listSignalingChannels"})
"""They are about no channel that is there."""


class Paces:
    """Counts the calls of strict apps."""

    def __init__(self, apps: Apps, now: Callable[[], float] = time) -> None:
        self._apps = apps
        self._now = now
        self._by_channel = Flows(Rate(PER_CHANNEL, PER_CHANNEL))
        self._by_app = {pace: Flows(Rate(pace, pace)) for pace in {USUAL_PER_APP, *PER_APP.values()}}

    def count(self, path: str, caller: Caller, body: Shape) -> None:
        """Raise Fault if this is one call too many."""
        if not self._apps.named(caller.app).strict:
            return
        now = self._now()
        if path not in UNNAMED and not self._by_channel.take((caller.app, path, _channel(body)), now):
            raise Fault("ClientLimitExceededException", f"{PER_CHANNEL} calls of this kind a second are for a channel.")
        flows = self._by_app[PER_APP.get(path, USUAL_PER_APP)]
        if path != UNBOUND and not flows.take((caller.app, path), now):
            raise Fault("ClientLimitExceededException", "Too many calls of this kind in a second; try again.")


def _channel(body: Shape) -> str | None:
    """Return the name of the channel that a call is about, by whatever it names it."""
    arn = getattr(body, "channel_arn", None) or getattr(body, "resource_arn", None)
    if arn is None:
        return getattr(body, "channel_name", None)
    found = Arn.read(arn)
    return arn if found is None else found.name
