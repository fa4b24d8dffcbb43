"""How many frames a client may send, or calls an app may make: a token bucket, and what counts as a flood."""

from collections.abc import Hashable

from msgspec import Struct

PAUSE_SECONDS = 1.0
"""A flood that pauses for this long is a new flood."""


class Rate(Struct, frozen=True):
    """Limits of one connection; the defaults are protocols.md section 0."""

    per_second: float = 1000
    burst: float = 2000
    flood_seconds: float = 10
    """Going on for this long after the first refused frame ends the connection."""


class Flow:
    """One connection's bucket."""

    __slots__ = ("_began", "_left", "_rate", "_refused", "_seen")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._left = rate.burst
        self._seen = now  # when the bucket was last filled
        self._began = now  # when the present flood began
        self._refused = float("-inf")  # when a frame was last refused

    def take(self, now: float, count: int = 1) -> bool:
        """Whether what arrives at *now* is within the rate. More than there is room for is let in, and owed."""
        left = self._left + max(now - self._seen, 0.0) * self._rate.per_second
        left = min(left, self._rate.burst)
        self._seen = now
        if left >= 1:
            self._left = left - count
            return True
        self._left = left
        if now - self._refused > PAUSE_SECONDS:
            self._began = now
        self._refused = now
        return False

    @property
    def lasting(self) -> bool:
        """Whether the last refused frame was one of a flood that does not end."""
        return self._refused - self._began >= self._rate.flood_seconds


class Flows:
    """Buckets of one rate by key, made when they are needed; the one that was unused for longest is forgotten."""

    def __init__(self, rate: Rate, most: int = 10_000) -> None:
        self._rate = rate
        self._most = most
        self._flows: dict[Hashable, Flow] = {}

    def take(self, key: Hashable, now: float) -> bool:
        """Whether what happens to *key* at *now* is within the rate."""
        flow = self._flows.pop(key, None) or Flow(self._rate, now)
        self._flows[key] = flow
        if len(self._flows) > self._most:
            del self._flows[next(iter(self._flows))]
        return flow.take(now)
