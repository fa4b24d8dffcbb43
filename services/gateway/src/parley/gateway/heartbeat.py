"""Looking after all sockets with one timer: who is still alive, and who takes too long to say goodbye.

A task or a timer per connection costs memory and wakes the loop ten thousand
times; here every socket has a place on a wheel, and each tick looks at one slot.
"""

import asyncio
from typing import Final, Protocol

import structlog

log = structlog.get_logger(__name__)

SLOTS: Final = 25


class Patient(Protocol):
    """A socket, as far as its heartbeat is concerned."""

    slot: int

    def examine(self) -> None:
        """An interval has passed: ping, or close if two were missed."""

    def abort(self) -> None:
        """Your goodbye has taken too long."""


class Heartbeat:
    """One wheel of all living sockets and one queue of the closing ones."""

    def __init__(self, interval: float, patience: float) -> None:
        self._tick = interval / SLOTS
        self._patience = patience
        self._wheel: list[set[Patient]] = [set() for _ in range(SLOTS)]
        self._hand = 0
        self._leaving: dict[Patient, float] = {}
        self._count = 0
        self.quiet = asyncio.Event()
        """Set while there is nobody to look after."""
        self.quiet.set()

    def watch(self, patient: Patient) -> None:
        """Examine *patient* every interval from now on."""
        self._count += 1
        self.quiet.clear()
        patient.slot = self._hand
        self._wheel[self._hand].add(patient)

    def forget(self, patient: Patient) -> None:
        """Do no more for *patient*: its connection is lost. Said once for each that is watched."""
        self._wheel[patient.slot].discard(patient)
        self._leaving.pop(patient, None)
        self._count -= 1
        if not self._count:
            self.quiet.set()

    def leaving(self, patient: Patient, now: float) -> None:
        """Abort *patient* if it has not left in time. It is examined no more."""
        self._wheel[patient.slot].discard(patient)
        self._leaving.setdefault(patient, now + self._patience)

    def beat(self, now: float) -> None:
        """Turn the wheel by one slot; abort who overstays."""
        self._hand = (self._hand + 1) % SLOTS
        for patient in tuple(self._wheel[self._hand]):
            try:
                patient.examine()
            except Exception:
                log.exception("A socket could not be examined; it is cut off.")
                patient.abort()
        overdue = []
        for patient, deadline in self._leaving.items():  # oldest first: patience is the same for all
            if deadline > now:
                break
            overdue.append(patient)
        for patient in overdue:
            del self._leaving[patient]
            patient.abort()

    async def run(self) -> None:
        """Beat for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._tick)
            self.beat(loop.time())
