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

from parley.kit.bus import Bus
from parley.kit.lifecycle import background
from parley.kit.streams import DELIVERIES_SECONDS
from parley.protocol import subjects

log = structlog.get_logger(__name__)

RENEW_SECONDS: Final = 1.0
BLIND_SECONDS: Final = DELIVERIES_SECONDS / 2
"""Without NATS for this long, what was meant for our clients may be gone before we read it."""


class Blind(Exception):  # noqa: N818 - says what is the case
    """NATS has been away for too long to go on under this name."""


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
    renewed = monotonic()
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            await bucket.put(name, b"")
        except (nats.errors.Error, APIError, TimeoutError) as error:
            log.debug("The lease could not be renewed.", error=repr(error))
            if monotonic() - renewed > BLIND_SECONDS:
                raise Blind(
                    f"NATS was away for {BLIND_SECONDS:g} s: clients must connect to a gateway anew."
                ) from error
        else:
            renewed = monotonic()
