"""Those who come back: their connection's home is asked, what they missed is read, and then they are live."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from nats.js.errors import APIError, NotFoundError

from parley.gateway.deliveries import PER_MESSAGE
from parley.gateway.replay import Replay, Returning
from parley.kit.bus import Bus
from parley.kit.reader import reading
from parley.protocol import subjects

log = structlog.get_logger(__name__)

BEFORE_SECONDS: Final = 100
"""How far before a client's last place the reading begins: more than an owner may leave unsaved, and so repeat."""


class Returns:
    """Reads what clients missed; one reading serves all who came while the last one went on."""

    def __init__(self, bus: Bus, gateway: str) -> None:
        self._bus = bus
        self._gateway = gateway
        self._waiting: list[tuple[Returning, tuple[str, ...]]] = []
        self._news = asyncio.Event()

    def add(self, returning: Returning, gateways: tuple[str, ...]) -> None:
        """Have what a connection missed on these *gateways* read."""
        self._waiting.append((returning, gateways))
        self._news.set()

    async def run(self) -> None:
        """Read for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            waiting, self._waiting = self._waiting, []
            await self._read(waiting)

    async def _read(self, waiting: list[tuple[Returning, tuple[str, ...]]]) -> None:
        names = {self._gateway, *(name for _, gateways in waiting for name in gateways)}
        replay = Replay(returning for returning, _ in waiting)
        start = await self._start(returning.last for returning, _ in waiting)
        wanted = [subjects.deliveries(name) for name in sorted(names)]
        async with reading(self._bus, subjects.DELIVERIES, wanted, 1, since=start) as reader:
            while replay:
                for entry in await reader.next():
                    replay.read(entry.sequence, entry.subject, entry.payload)
                await asyncio.sleep(0)  # what clients say gets its turn

    async def _start(self, places: Iterable[int]) -> datetime | None:
        """Return when to begin; None for the beginning of what there is."""
        sequence = min(places) // PER_MESSAGE
        try:
            message = await self._bus.js.get_msg(subjects.DELIVERIES, sequence) if sequence else None
        except (NotFoundError, APIError):
            return None  # older than all that is kept
        if message is None or message.time is None:
            return None
        return message.time.astimezone(UTC) - timedelta(seconds=BEFORE_SECONDS)
