"""Whether the log takes what clients do, looked at once in a while, and told to clients when it changes."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

from parley.gateway.ingress import Ingress
from parley.gateway.lives import Lives
from parley.protocol.dialects.parley_v1 import Degraded, Restored

LOOK_SECONDS: Final = 0.5
BEHIND_SECONDS: Final = 3.0
"""Above this clients are told that answers take longer."""


class Weather:
    """Ticks for the parts that have no clock of their own."""

    def __init__(self, ingress: Ingress, lives: Lives, now: Callable[[], float] = monotonic) -> None:
        self._ingress = ingress
        self._lives = lives
        self._now = now
        self._degraded = False

    def look(self) -> None:
        """Notice what has changed."""
        behind = self._ingress.look(self._now())
        self._lives.expire()
        if behind > BEHIND_SECONDS and not self._degraded:
            self._degraded = True
            self._lives.announce(Degraded(reason="The log takes nothing at the moment; what you send waits."))
        elif self._degraded and behind < BEHIND_SECONDS:
            self._degraded = False
            self._lives.announce(Restored(reason="The log takes what you send again."))

    def check(self) -> str | None:
        """Return why no clients should be sent here, if so."""
        return "Nothing is acknowledged by NATS at the moment." if self._degraded else None

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()
