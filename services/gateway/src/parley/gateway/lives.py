"""How each connection begins and ends: what the log is told of it, and when its client is welcomed."""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic, time
from typing import Final

import structlog

from parley.gateway.connection import Connection
from parley.gateway.connections import Connections
from parley.gateway.deliveries import Deliveries
from parley.gateway.ingress import Ingress
from parley.gateway.resume import ResumeTokens
from parley.gateway.session import Check, Publish
from parley.kit.tokens import Tokens
from parley.protocol import clock
from parley.protocol.codes import CloseCode, Refusal
from parley.protocol.commands import Reason
from parley.protocol.dialects.parley_v1 import AnyGatewayFrame, ParleyV1, Welcome

log = structlog.get_logger(__name__)

PATIENCE: Final = 10.0
"""Seconds in which a new connection must be in the log, or its client had better come again."""

CLOSES_PER_SECOND: Final = 2000
SLICE: Final = 100


class Lives:
    """All connections of this gateway, from accepted to forgotten."""

    def __init__(
        self,
        ingress: Ingress,
        connections: Connections,
        deliveries: Deliveries,
        tokens: Tokens,
        resume: ResumeTokens,
        *,
        heartbeat: float,
        grace: float,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._ingress = ingress
        self._connections = connections
        self._deliveries = deliveries
        self._tokens = tokens
        self._resume = resume
        self._heartbeat = round(heartbeat)
        self._grace = grace
        self._now = now
        self._waiting: deque[tuple[float, Publish]] = deque()  # ends of connections that may still come back
        self._log = log.bind()  # resolved once, where connections come by the thousand
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False
        self.put = ingress.put

    @property
    def place(self) -> int:
        """How far deliveries have come."""
        return self._deliveries.place

    @property
    def trouble(self) -> Refusal | None:
        """Why the log can take nothing, if so."""
        return self._ingress.trouble

    # beginning

    def arrived(self, connection: Connection) -> None:
        """Enter a connection whose socket is open; welcome its client once the log knows of it."""
        self._connections.add(connection)
        self._do(self._welcome(connection))

    async def _welcome(self, connection: Connection) -> None:
        session = connection.session
        opened = session.opened(connection.address, connection.agent)
        _, late = await asyncio.wait(self._ingress.put(opened.partitions, opened.command), timeout=PATIENCE)
        if late:
            connection.hang_up(CloseCode.RESTART, "The log takes nothing at the moment; come again.")
            return
        frame = None
        if isinstance(session.dialect, ParleyV1):
            frame = session.dialect.write(
                Welcome(
                    connection_id=connection.id,
                    app=session.app,
                    resume_token=self._resume.sign(session.app, connection.id),
                    resumed=False,
                    heartbeat_seconds=self._heartbeat,
                    time=clock.rfc3339(int(time() * 1000)),
                )
            )
        connection.welcome(frame)
        self._log.info(
            "opened", connection=connection.id, app=session.app, user=session.subject, dialect=session.dialect.name
        )

    # meanwhile

    def check(self, connection: Connection, check: Check) -> None:
        """Ask whose token that is, and go on with its grants."""
        self._do(self._check(connection, check))

    async def _check(self, connection: Connection, check: Check) -> None:
        session = connection.session
        try:
            identity = await self._tokens.identify(check.token, session.app)
        except Refusal as refusal:
            connection.perform(session.refused(refusal, check.ref))
        else:
            connection.perform(session.renewed(identity, check.ref))

    def announce(self, frame: AnyGatewayFrame) -> None:
        """Say something of the gateway's own to every client that has words for it."""
        for connection in self._connections:
            if isinstance(connection.session.dialect, ParleyV1):
                connection.say(connection.session.dialect.write(frame))

    # end

    def left(self, connection: Connection, code: int, ordered: Reason | None) -> None:
        """Strike out a connection whose socket is closed; tell the log now, or when its grace is over."""
        self._connections.remove(connection)
        session = connection.session
        self._log.info(
            "closed",
            connection=connection.id,
            code=code,
            ordered=ordered,
            seconds=round(time() - connection.opened_at, 3),
            frames_in=connection.frames_in,
            frames_out=connection.frames_out,
        )
        later = ordered is None and session.comes_back(code) and not self._ending
        reason: Reason = ordered or ("expired" if later else "disconnected")
        end = session.closed(code, reason, connection.frames_in, connection.frames_out)
        if later:
            self._waiting.append((self._now() + self._grace, end))
        else:
            self._ingress.put(end.partitions, end.command)

    def expire(self) -> None:
        """Tell the log of those whose grace is over."""
        now = self._now()
        while self._waiting and (self._waiting[0][0] <= now or self._ending):
            _, end = self._waiting.popleft()
            self._ingress.put(end.partitions, end.command)

    async def end(self) -> None:
        """Close all sockets, and tell the log of every end."""
        self._ending = True
        for count, connection in enumerate(self._connections):
            connection.hang_up(CloseCode.RESTART, "This gateway is restarting.")
            if count % SLICE == SLICE - 1:  # they all come back somewhere
                await asyncio.sleep(SLICE / CLOSES_PER_SECOND)
        self.expire()
        await self._ingress.drained()
        for task in self._tasks:
            task.cancel()

    def _do(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("A connection's errand failed.", exc_info=error)
