"""The sign of life by which owners tell that this gateway still holds its connections (design section 6)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Final

import nats.errors
import structlog
from nats.js.errors import APIError
from nats.js.kv import KeyValue

from parley.kit import metrics
from parley.kit.bus import Bus
from parley.kit.lifecycle import background
from parley.kit.streams import DELIVERIES_SECONDS
from parley.protocol import subjects
from parley.protocol.registry import GRACE_MS

log = structlog.get_logger(__name__)

RENEW_SECONDS: Final = 1.0
BLIND_SECONDS: Final = DELIVERIES_SECONDS / 2
"""Without NATS for this long, what was meant for our clients may be gone before we read it."""


ASLEEP_SECONDS: Final = GRACE_MS / 2000
"""
Having done nothing for this long, our lease has ended for all to see, and owners count us as lost.

They close what we hold when the grace is over. Half of it is left for clients to come back under another name of ours.
"""


_SINCE: Final = metrics.asked(
    "gateway_lease_seconds", "How long ago this gateway's lease was renewed; after 3 it has ended for owners."
)


class Blind(Exception):  # noqa: N818 - says what is the case
    """We have heard and said nothing for too long to go on under this name."""


class Vigil:
    """Whether a gateway may still go on under its name, by its own clock."""

    def __init__(self, now: float) -> None:
        self._looked = self._renewed = now

    def age(self, now: float) -> float:
        """Return how old the lease is."""
        return now - self._renewed

    def look(self, now: float) -> None:
        """Look at the clock, as is done every second; raise Blind after a sleep that was too long.

        A process sleeps when it is stopped, or its machine is, or gets no turn. That NATS is away is none: nobody can
        count us as lost then.
        """
        slept, self._looked = now - self._looked, now
        if slept > ASLEEP_SECONDS:
            raise Blind(f"This gateway slept for {slept:.0f} s: clients must connect to a gateway anew.")

    def renewed(self, now: float) -> None:
        """The lease is renewed."""
        self._renewed = now

    def missed(self, now: float) -> None:
        """The lease could not be renewed; raise Blind if that is so for too long."""
        if now - self._renewed > BLIND_SECONDS:
            raise Blind(f"NATS was away for {BLIND_SECONDS:g} s: clients must connect to a gateway anew.")


@asynccontextmanager
async def lease(bus: Bus, name: str) -> AsyncIterator[None]:
    """Hold the lease of gateway *name*; give it back at the end."""
    bucket = await bus.js.key_value(subjects.LEASES)
    await bucket.put(subjects.token(name), b"")
    async with background(_renew(bucket, name), name="lease"):
        yield
    with suppress(nats.errors.Error, APIError, TimeoutError):  # it ends by itself
        await bucket.delete(name)


async def _renew(bucket: KeyValue, name: str) -> None:
    vigil = Vigil(monotonic())
    with _SINCE.by(lambda: {(): vigil.age(monotonic())}):
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            vigil.look(monotonic())
            try:
                await bucket.put(name, b"")
            except (nats.errors.Error, APIError, TimeoutError) as error:
                log.debug("The lease could not be renewed.", error=error)
                vigil.missed(monotonic())
            else:
                vigil.renewed(monotonic())
