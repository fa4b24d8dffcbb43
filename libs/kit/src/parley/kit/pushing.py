"""
Metrics, sent to an OTLP receiver now and then: what ``/metrics`` would show, for whoever does not come to fetch it.

    async with pushing("rooms", "http://collector:4318", every=60):
        ...

They are read in the event loop, whose they are, and sent by a thread that nobody waits for: a receiver that hangs
holds neither. While it is away, readings are left out, which loses nothing, as they are sums since the start.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final, Protocol

import structlog
from prometheus_client import Metric

from parley.kit.discretion import told
from parley.kit.metrics import REGISTRY

LAST_SECONDS: Final = 2.0
"""How long the end of a process waits for its last reading to arrive."""

_log = structlog.get_logger("parley.metrics")


class Sender(Protocol):
    """What sends; see ``otlp.py``."""

    def send(self, families: list[Metric], now: int) -> str | None:
        """Send what was read at *now*; return None, or why it has not arrived."""

    def stop(self) -> None:
        """Try no more to send what is under way; from any thread."""


@asynccontextmanager
async def pushing(service: str, endpoint: str, every: float, *, patience: float = LAST_SECONDS) -> AsyncIterator[None]:
    """Send the metrics of *service* to the receiver at *endpoint* *every* so many seconds, and at the end."""
    from parley.kit.otlp import Sender as Otlp  # noqa: PLC0415 - the SDK takes a tenth of a second to import

    courier = _Courier(Otlp(service, endpoint))
    going = asyncio.create_task(_go(courier, every), name="metrics")
    try:
        yield
    finally:
        going.cancel()
        await courier.last(patience)


async def _go(courier: "_Courier", every: float) -> None:
    while True:
        await asyncio.sleep(every)
        courier.take()


class _Courier:
    """One thread that sends the newest reading, and none while it is under way."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._loop = asyncio.get_running_loop()
        self._newest: tuple[list[Metric], int] | None = None
        self._there = threading.Condition()
        self._ending = False
        self._over = False  # nobody waits any more
        self._ended = asyncio.Event()
        self._away = False
        # A daemon: the interpreter waits for others, and a receiver that hangs would hold the process.
        threading.Thread(target=self._work, name="metrics", daemon=True).start()

    def take(self, *, last: bool = False) -> None:
        """Read, and have it sent as soon as what is under way is through."""
        try:
            reading = list(REGISTRY.collect()), time.time_ns()
        except Exception:  # noqa: BLE001 - what one of them has to say is no reason to end a process
            _log.exception("metrics cannot be read")
            reading = [], time.time_ns()
        with self._there:
            self._newest, self._ending = reading, last
            self._there.notify()

    async def last(self, patience: float) -> None:
        """Have the last reading sent, and wait for it for *patience* seconds."""
        self.take(last=True)
        try:
            await asyncio.wait_for(self._ended.wait(), patience)
        except TimeoutError:
            _log.warning("the last metrics did not arrive in time")
            self._over = True
            self._sender.stop()

    def _work(self) -> None:
        ending = False
        while not ending:
            with self._there:
                self._there.wait_for(lambda: self._newest is not None)
                reading, ending = self._newest, self._ending
                self._newest = None
            assert reading is not None
            try:
                trouble = self._sender.send(*reading)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next reading gets its chance
                trouble = told(error)
            if self._over:
                return
            self._said(trouble)
        with suppress(RuntimeError):  # the loop is closed: nobody has waited so long
            self._loop.call_soon_threadsafe(self._ended.set)

    def _said(self, trouble: str | None) -> None:
        """Tell of a receiver that is away, and of its return, once each."""
        if trouble and not self._away:
            _log.warning("metrics do not arrive; trying again each interval", error=trouble)
        elif self._away and not trouble:
            _log.info("metrics arrive again")
        self._away = bool(trouble)
