"""
The supervisor: starts the parts in order, keeps them running, ends them in order.

It decides nothing about what the parts are (``plan``) and knows nothing about how it looks (``display``).
"""

import asyncio
import os
import signal
from collections.abc import Callable

from parley.cli.control import PartReport, control
from parley.cli.embedded.process import Process
from parley.cli.instance import Instance, State, now
from parley.cli.last_words import last_words
from parley.cli.leftovers import identify
from parley.cli.part import Part
from parley.cli.plan import MIGRATIONS, Plan
from parley.cli.problem import Problem

ENDING_ORDER = (
    ("gateway",),
    ("caddy",),
    ("presence", "rooms", "history"),
    ("nats", "postgres", "prometheus", "traces"),
)
"""Clients are told first, while everything they need is still there; the servers that keep the data go last."""


class Supervisor:
    """Runs one plan."""

    def __init__(self, plan: Plan, instance: Instance, changed: Callable[["Supervisor"], None]) -> None:
        self.plan = plan
        self.instance = instance
        self.parts = [Part(spec, self._changed) for spec in plan.specs]
        self.stopping = False
        self._tell = changed
        self._since = now()
        self._migrated = asyncio.Event()
        self._pids: list[int] = []

    @property
    def ready(self) -> bool:
        """Whether all parts were ready when last looked at."""
        return all(part.ready for part in self.parts)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until *stop* is set, or until a part cannot start, which is raised as a Problem."""
        host, _, port = self.plan.control.rpartition(":")
        async with control(host, int(port), self.look):
            self._write()
            living = asyncio.create_task(self._live())
            stopped = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({living, stopped}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self.stopping = True
                stopped.cancel()
                living.cancel()
                await asyncio.gather(living, return_exceptions=True)
                await self._end()
                self.instance.forget()
            if not stop.is_set():  # what breaks while all is being ended is no news
                living.result()

    async def look(self) -> list[PartReport]:
        """Ask every part how it is, now."""
        missing = await asyncio.gather(*(part.missing() for part in self.parts))
        return [
            PartReport(
                name=part.spec.name,
                replica=part.spec.replica,
                pid=part.process.pid if part.process else None,
                address=part.spec.address,
                http=part.spec.http,
                ready=reason is None,
                status=reason or "ready",
                restarts=part.restarts,
            )
            for part, reason in zip(self.parts, missing, strict=True)
        ]

    async def _live(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._migrate())
                for part in self.parts:
                    group.create_task(self._start(part), name=part.title)
        except* Problem as problems:
            raise problems.exceptions[0] from None

    async def _start(self, part: Part) -> None:
        for need in part.spec.needs:
            await self._have(need)
        await part.live()

    async def _have(self, need: str) -> None:
        if need == MIGRATIONS:
            await self._migrated.wait()
        for part in self.parts:
            if part.spec.name == need:
                await part.was_ready.wait()

    async def _migrate(self) -> None:
        """Bring the schemas up to date once PostgreSQL is there."""
        await self._have("postgres")
        process = Process(self.plan.migrations)
        try:
            code = await process.ended()
        finally:
            await process.kill()
        if code:
            words = last_words(process.program.log, process.log_offset)
            raise Problem(f"The database cannot be migrated: {words} (its log: {process.program.log})")
        self._migrated.set()

    async def _end(self) -> None:
        for names in ENDING_ORDER:
            await asyncio.gather(*(part.stop() for part in self.parts if part.spec.name in names))

    def kill(self) -> None:
        """End everything at once; for the second Ctrl-C."""
        for part in self.parts:
            if part.process:
                part.process.send(signal.SIGKILL)

    def _changed(self) -> None:
        pids = [part.process.pid for part in self.parts if part.process]
        if pids != self._pids:
            self._pids = pids
            self._write()
        self._tell(self)

    def _write(self) -> None:
        running = [(part.spec.name, part.process.pid) for part in self.parts if part.process]
        self.instance.write(
            State(
                pid=os.getpid(),
                since=self._since,
                control=self.plan.control,
                front_door=self.plan.front_door,
                root_certificate=str(self.plan.root_certificate) if self.plan.root_certificate else None,
                nats=self.plan.nats,
                database=self.plan.database,
                processes=[record for name, pid in running if (record := identify(name, pid))],
            )
        )
