"""How each connection begins and ends: what the log is told of it, and when its client is welcomed."""

import asyncio
from collections.abc import Callable, Iterator
from random import random
from time import monotonic, time
from typing import Final

import structlog
from msgspec import Struct

from parley.gateway.connection import Back, Connection
from parley.gateway.connections import Connections
from parley.gateway.ingress import Ingress
from parley.gateway.replay import Returning
from parley.gateway.resume import ResumeTokens
from parley.gateway.returns import Returns
from parley.gateway.session import Check, Publish, Session
from parley.gateway.tallies import RESUMES, closed
from parley.kit.tokens import Tokens
from parley.protocol import clock
from parley.protocol.codes import CloseCode, Refusal
from parley.protocol.commands import Reason
from parley.protocol.dialects.parley_v1 import AnyGatewayFrame, ParleyV1, Welcome, removal
from parley.protocol.says import Attached, Close, Gone, Overtaken, Superseded, ToGateway

log = structlog.get_logger(__name__)

PATIENCE: Final = 10.0
"""Seconds in which a new connection must be in the log, or its client had better come again."""

SPREAD: Final = 0.6
"""The part of the time to drain over which clients are asked to spread their coming back."""

RETURNS_PER_SECOND: Final = 500
"""How many clients another gateway takes in without trouble."""

LOOK_SECONDS: Final = 0.1

CLOSES_PER_SECOND: Final = 2000
SLICE: Final = 100


class Ending(Struct, frozen=True):
    """How a socket ended."""

    code: int
    frames_in: int
    frames_out: int
    active_at: float


class Lives:
    """All connections of this gateway, from accepted to forgotten."""

    def __init__(
        self,
        name: str,
        ingress: Ingress,
        connections: Connections,
        tokens: Tokens,
        resume: ResumeTokens,
        returns: Returns,
        *,
        place: Callable[[], int],
        heartbeat: float,
        grace: float,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._name = name
        self._ingress = ingress
        self._connections = connections
        self._tokens = tokens
        self._resume = resume
        self._returns = returns
        self._place = place
        self._heartbeat = round(heartbeat)
        self._grace = grace
        self._now = now
        self._attempts: dict[str, Connection] = {}  # those who wait for their home's word
        self._count = 0  # of attempts
        self._waiting: dict[tuple[str, int], tuple[float, Session, Ending]] = {}  # ended, and may still come back
        self._log = log.bind()  # resolved once, where connections come by the thousand
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False
        self.put = ingress.put

    @property
    def place(self) -> int:
        """How far deliveries have come."""
        return self._place()

    @property
    def trouble(self) -> Refusal | None:
        """Why the log can take nothing, if so."""
        return self._ingress.trouble

    # beginning

    def arrived(self, connection: Connection) -> None:
        """Enter a connection whose socket is open, or ask for the one that its client wants to go on with."""
        if connection.back is not None:
            self._do(self._ask(connection, connection.back))
        else:
            self._connections.add(connection)
            self._do(self._open(connection))

    async def _open(self, connection: Connection) -> None:
        """Welcome a client once the log knows of it."""
        session = connection.session
        opened = session.opened(connection.address, connection.agent)
        if await self._stored(connection, opened):
            connection.welcome(self._welcome(connection, resumed=False))
            self._let_in("opened", connection)

    async def _ask(self, connection: Connection, back: Back) -> None:
        """Ask an earlier connection's home; its answer comes as a delivery."""
        self._count += 1
        attempt = f"{self._name}.{self._count}"
        self._attempts[attempt] = connection
        await self._stored(connection, connection.session.resume(attempt, back.connection, back.count))

    async def _stored(self, connection: Connection, publish: Publish) -> bool:
        """Return whether the log has taken it in time; else its client had better come again."""
        _, late = await asyncio.wait(self._ingress.put(publish.partitions, publish.command), timeout=PATIENCE)
        if late:
            connection.hang_up(CloseCode.RESTART, "The log takes nothing at the moment; come again.")
        return not late

    def _welcome(self, connection: Connection, *, resumed: bool) -> bytes | None:
        session = connection.session
        if not isinstance(session.dialect, ParleyV1):
            return None
        return session.dialect.write(
            Welcome(
                connection_id=connection.id,
                app=session.app,
                resume_token=self._resume.sign(session.app, connection.id, session.subject),
                resumed=resumed,
                heartbeat_seconds=self._heartbeat,
                time=clock.rfc3339(int(time() * 1000)),
            )
        )

    def held(self) -> Iterator[tuple[str, int, bool]]:
        """Give the sessions held here: connection, number, and whether its socket is open."""
        for connection in self._connections:
            yield connection.id, connection.session.number, True
        for id_, number in self._waiting:
            yield id_, number, False

    def active_at(self, id_: str, number: int) -> float | None:
        """Return when a session's client last said something or was posted to; None if it is not held here."""
        connection = self._of_session(id_, number)
        if connection is not None:
            return connection.active_at
        waiting = self._waiting.get((id_, number))
        return None if waiting is None else waiting[2].active_at

    # what owners say to us

    def obey(self, receiver: str, say: ToGateway) -> None:
        """Do what an owner tells us about a connection."""
        match say:
            case Gone(attempt=attempt):
                self._gone(attempt)
            case Overtaken(attempt=attempt):
                self._overtaken(attempt)
            case Attached(attempt=attempt) if attempt is not None:
                self._attached(receiver, attempt, say)
            case Close(session=number):
                connection = self._of_session(receiver, number)
                if connection is not None:
                    connection.hang_up(*_goodbye(connection, say), ordered=say.reason)
                else:
                    self._end_now(receiver, number, say.reason)
            case Superseded(session=number):
                connection = self._of_session(receiver, number)
                if connection is not None:
                    connection.hang_up(CloseCode.REPLACED, "This connection was resumed elsewhere.")

    def _gone(self, attempt: str) -> None:
        connection = self._attempts.pop(attempt, None)
        if connection is None or connection.socket is None:
            return
        if time() - connection.opened_at > PATIENCE:
            # Its client may have given up and be elsewhere by now; as the same device it would be replaced there.
            connection.hang_up(CloseCode.RESTART, "It took too long to find your connection; come again.")
            return
        RESUMES["gone"] += 1
        connection.back = None  # there is nothing to go on with: it begins anew
        self.arrived(connection)

    def _overtaken(self, attempt: str) -> None:
        """Close the socket of an attempt that its client has given up, if it has not done so itself."""
        connection = self._attempts.pop(attempt, None)
        if connection is not None:
            RESUMES["overtaken"] += 1
            connection.hang_up(CloseCode.REPLACED, "A later attempt to resume has this connection.")

    def _attached(self, id_: str, attempt: str, say: Attached) -> None:
        connection = self._attempts.pop(attempt, None)
        if connection is None or connection.back is None:
            return
        back, connection.back = connection.back, None
        session = connection.session
        moved = session.resumed(id_, say)
        connection.id = id_
        if connection.socket is None:  # it has left while we asked; whoever asks next has a newer session
            self._later(connection, Ending(CloseCode.ABNORMAL, 0, 0, connection.active_at))
            return
        self._connections.add(connection)
        self._ingress.put(moved.partitions, moved.command)
        frame = self._welcome(connection, resumed=True)
        if frame is not None:
            connection.say(frame)
        self._returns.add(Returning(connection, back, moved.partitions), say.gateways)
        RESUMES["resumed"] += 1
        self._let_in("resumed", connection)

    def _let_in(self, how: str, connection: Connection) -> None:
        """Log that a client is let in, once for each socket."""
        session = connection.session
        connection.let_in = True
        self._log.info(
            how,
            connection=connection.id,
            session=session.number,
            app=session.app,
            dialect=session.dialect.name,
            user=session.subject,
            client=connection.address,
        )

    def _of_session(self, id_: str, number: int) -> Connection | None:
        connection = self._connections.find(id_)
        return connection if connection is not None and connection.session.number == number else None

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
        closed(code)
        self._log.info(
            "closed" if connection.let_in else "left before it was let in",
            connection=connection.id,
            session=connection.session.number,
            app=connection.session.app,
            dialect=connection.session.dialect.name,
            code=code,
            reason=ordered or connection.why,
            seconds=round(time() - connection.opened_at, 3),
            frames_in=connection.frames_in,
            frames_out=connection.frames_out,
        )
        if connection.back is not None:
            return  # it was nobody yet
        ending = Ending(code, connection.frames_in, connection.frames_out, connection.active_at)
        if ordered is None and connection.session.comes_back(code):
            self._later(connection, ending)
        else:
            self._end(connection.session, ending, ordered or "disconnected")

    def _later(self, connection: Connection, ending: Ending) -> None:
        due = self._now() + self._grace
        self._waiting[connection.id, connection.session.number] = due, connection.session, ending

    def _end_now(self, id_: str, number: int, reason: Reason) -> None:
        """End at an owner's word what was waiting for its grace to be over."""
        waiting = self._waiting.pop((id_, number), None)
        if waiting is not None:
            _, session, ending = waiting
            self._end(session, ending, reason)

    def _end(self, session: Session, ending: Ending, reason: Reason) -> None:
        closed = session.closed(ending.code, reason, ending.frames_in, ending.frames_out)
        self._ingress.put(closed.partitions, closed.command)

    def expire(self) -> None:
        """Tell the log of those whose grace is over, whether they have moved on or not."""
        now = self._now()
        while self._waiting:
            key, (due, session, ending) = next(iter(self._waiting.items()))
            if due > now:
                return
            del self._waiting[key]
            self._end(session, ending, "expired")

    async def end(self, seconds: float) -> None:
        """Send everybody elsewhere within so many *seconds*, and tell the log of those who cannot come back.

        The others go on elsewhere, or are closed by the owners when the grace is over: our lease ends with us.
        """
        deadline = self._now() + seconds
        spread = min(seconds * SPREAD, len(self._connections) / RETURNS_PER_SECOND)
        asked: set[Connection] = set()
        for connection in self._connections:
            wait = round(random() * spread * 1000)  # noqa: S311 - jitter
            frame = connection.session.dialect.go_away(wait, round(seconds * 1000))
            if frame is not None:
                connection.say(frame)
                asked.add(connection)
        # A look now and then costs less than counting on every close.
        while self._now() < deadline and any(connection in asked for connection in self._connections):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)
        for count, connection in enumerate((*self._connections, *self._attempts.values())):
            connection.hang_up(CloseCode.RESTART, "This gateway is restarting.")
            if count % SLICE == SLICE - 1:  # they all come back somewhere
                await asyncio.sleep(SLICE / CLOSES_PER_SECOND)
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


def _goodbye(connection: Connection, say: Close) -> tuple[int, str]:
    """Return what the socket is closed with; of a removed connection in the words of its dialect."""
    code = removal(connection.session.dialect.name) if say.code == CloseCode.REMOVED else say.code
    return code, "Connection Closed Normally" if code == CloseCode.NORMAL else say.reason
