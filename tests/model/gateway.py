"""A gateway: the product's own sessions, lives, deliveries and replays, between sockets and streams without I/O."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from model.owner import PARTITIONS
from model.rule import Rule
from model.world import Process, Task, Work, World
from model.writer import Stored, Writer

from parley.gateway import lives, session
from parley.gateway.connection import Back, Connection
from parley.gateway.connections import Connections
from parley.gateway.deliveries import PER_MESSAGE, Deliveries
from parley.gateway.ingress import Bounds, Ingress
from parley.gateway.lease import Blind, Vigil
from parley.gateway.replay import Replay, Returning
from parley.gateway.resume import ResumeTokens
from parley.gateway.session import Publish, Rules
from parley.gateway.websocket import HEADROOM
from parley.kit.identity import Identity
from parley.protocol import ids, subjects
from parley.protocol.codes import CloseCode
from parley.protocol.commands import AnyCommand, Moved, Profile, Resume
from parley.protocol.dialects.parley_v1 import ParleyV1
from parley.protocol.says import Attached, Close, ToGateway

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from model.client import Client
    from model.streams import Nats

APP = "app"
LEASE = 3000
GRACE = 30_000
BEFORE = 25_000
"""How far before a client's last place the reading begins: more than an owner may leave unsaved."""

RULES = Rules(partitions=PARTITIONS)
TOKENS = ResumeTokens("secret")
DIALECT = ParleyV1()


class Return(NamedTuple):
    """What a client says that comes back."""

    token: str
    n: int
    attempt: int
    session: int
    """Which no real client knows; for a gateway that guesses."""


class Socket:
    """A WebSocket, from both ends."""

    ended_by_us = False  # for the log, which nobody reads here

    def __init__(self, gateway: Gateway, client: Client) -> None:
        self.gateway = gateway
        self.client = client
        self.listener: Connection | None = None
        """Until it was told that it is over."""
        self.said: deque[bytes] = deque()
        """By the client, and not read yet."""
        self.closed_with: int | None = None
        """The client's goodbye, or that its end is gone."""
        self.open = True
        """Whether the client's end is."""
        self.started = False
        self.reading: Task | None = None

    # the gateway's end

    def start(self) -> None:
        self.started = True
        self.wake()

    def write(self, prepared: bytearray) -> None:
        if self.open:
            self.client.hears(self, bytes(prepared[HEADROOM:]))

    def close(self, code: int, reason: str = "") -> None:
        if self.listener is None:
            return
        if self.open:
            self.client.is_closed(self, code)
        self.over(code)

    def over(self, code: int) -> None:
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.closed(code, "")
        self.wake()

    # the client's end

    def say(self, frame: bytes) -> None:
        self.said.append(frame)
        self.wake()

    def gone(self, code: int) -> None:
        """The gateway notices that the client's end is gone, once it reads."""
        self.closed_with = code
        self.wake()

    def wake(self) -> None:
        if self.reading is not None:
            self.reading.wake()


class Session(session.Session):
    """The product's, some of whose rules can be left out."""

    __slots__ = ("world",)
    world: World

    def resumed(self, connection: str, attached: Attached) -> Publish:
        touched = self._touched
        moved = super().resumed(connection, attached)
        if not self.world.holds(Rule.CLOSED_TO_ALL):
            self._touched = touched | 1 << self._home
        return moved

    def answered(self, ref: str) -> None:
        if self.world.holds(Rule.ANSWERED_DROPPED):
            super().answered(ref)


class Marked(Deliveries):
    """The product's, which can be made to write all that it reads."""

    world: World

    def read(self, sequence: int, message: bytes) -> None:
        if not self.world.holds(Rule.PLACES):
            self._marks.clear()
        super().read(sequence, message)


class Lives(lives.Lives):
    """The product's. Its errands are driven by hand, and some of its rules can be left out."""

    def __init__(self, gateway: Gateway, **parts: Any) -> None:
        super().__init__(gateway.name, **parts)
        self._world = gateway.world
        self._gateway = gateway

    def _do(self, work: Coroutine[Any, Any, None]) -> None:  # type: ignore[override] # no event loop
        try:
            stored: Stored = work.send(None)
        except StopIteration:
            return
        stored.add_done_callback(lambda _: self._do(work))

    async def _stored(self, connection: Connection, publish: Publish) -> bool:
        """As the product's: who is not in the log in time had better come again."""
        late = self._world.fault("late", 0.01)
        stored = self._ingress.put(publish.partitions, publish.command)
        if late:
            connection.hang_up(CloseCode.RESTART)
            return False
        for one in stored:
            await one
        return True

    def obey(self, receiver: str, say: ToGateway) -> None:
        if not isinstance(say, Close) or self._world.holds(Rule.TOLD_TO_THE_GATEWAY):
            super().obey(receiver, say)

    def expire(self) -> None:
        if self._world.holds(Rule.ENDED_BY_ITS_GATEWAY):
            super().expire()

    @property
    def waiting(self) -> int:
        """How many sessions wait for their grace to be over."""
        return len(self._waiting)

    @property
    def knocking(self) -> tuple[Connection, ...]:
        """Those who wait for their home's word."""
        return tuple(self._attempts.values())


class Early(Ingress):
    """Tells all partitions that a connection moves without waiting for its home."""

    guess: dict[str, int]
    """Of each connection the session that its client had."""

    def put(self, partitions: tuple[int, ...], command: AnyCommand, traceparent: str | None = None) -> list[Any]:
        if isinstance(command, Moved):
            return []
        if isinstance(command, Resume):
            session = self.guess.get(command.connection, 1) + 1
            others = tuple(partition for partition in range(PARTITIONS) if partition not in partitions)
            super().put(others, Moved(app=command.app, connection=command.connection, session=session))
        return super().put(partitions, command, traceparent)


class Returns:
    """Reads what clients missed; one reading serves all who came while the last one went on."""

    def __init__(self, gateway: Gateway, nats: Nats) -> None:
        self._gateway = gateway
        self._world = gateway.world
        self._nats = nats
        self._waiting: list[tuple[Returning, tuple[str, ...]]] = []
        self._task = gateway.run(self._run())

    def add(self, returning: Returning, gateways: tuple[str, ...]) -> None:
        holds = self._world.holds
        if not holds(Rule.LEVEL_BEFORE_LIVE):
            returning.missing.clear()
        if not holds(Rule.EVERY_GATEWAY):
            gateways = gateways[-1:]
        if not holds(Rule.HELD_UNTIL_LIVE) and returning.connection.socket is not None:
            returning.connection.socket.start()
        self._waiting.append((returning, gateways))
        self._task.wake()

    def _run(self) -> Work:
        while True:
            if self._waiting:
                waiting, self._waiting = self._waiting, []
                yield from self._read(waiting)
            else:
                yield None

    def _read(self, waiting: list[tuple[Returning, tuple[str, ...]]]) -> Work:
        world, log = self._world, self._nats.deliveries
        names = {self._gateway.name, *(name for _, gateways in waiting for name in gateways)}
        wanted = {subjects.deliveries(name) for name in names}
        reading = Replay(returning for returning, _ in waiting)
        index = self._start(returning.last for returning, _ in waiting)
        self._nats.listen("deliveries", self._task)
        while reading:
            end = min(len(log), index + world.between(5, 60))
            if index == end:
                yield None
                continue
            for entry in log[index:end]:
                if entry.subject in wanted:
                    reading.read(entry.sequence, entry.subject, entry.payload)
            index = end
            yield world.soon()
        self._nats.deaf("deliveries", self._task)

    def _start(self, places: Iterable[int]) -> int:
        """Return the index of the first message to read."""
        log = self._nats.deliveries
        last = min(places) // PER_MESSAGE
        if not last:
            return 0
        index = min(last, len(log)) - 1
        if not self._world.holds(Rule.MARKS_REBUILT):
            return index
        since = log[index].time - BEFORE
        while index and log[index].time >= since:
            index -= 1
        return index


class Gateway(Process):
    """One gateway."""

    def __init__(self, world: World, name: str, nats: Nats) -> None:
        super().__init__(world, name)
        self.writer = Writer(self, nats)
        self.accepts = True
        self.sockets: dict[Socket, None] = {}
        self._nats = nats
        ingress = Ingress if world.holds(Rule.HOME_FIRST) else Early
        self.ingress = ingress(self.writer, Bounds())  # type: ignore[arg-type] # as the product's, without a loop
        self.connections = Connections()
        start = len(nats.deliveries)
        self.lives = Lives(
            self,
            ingress=self.ingress,
            connections=self.connections,
            tokens=None,
            resume=TOKENS,
            returns=Returns(self, nats),
            place=self._place,
            heartbeat=25,
            grace=GRACE / 1000,
            now=lambda: self.world.now / 1000,
        )
        self.deliveries: Marked = Marked(self.connections.find, self.lives.obey, (start + 1) * PER_MESSAGE - 1)
        self.deliveries.world = world
        nats.leases[name] = world.now + LEASE
        self.run(self._beat())
        self._subject = subjects.deliveries(name)
        reading = self.run(self._deliver())
        nats.listen(self._subject, reading)

    @property
    def at_rest(self) -> bool:
        """Whether it has nothing to say, now or later, and has noticed whose client is gone."""
        return not self.lives.waiting and self.writer.idle and all(socket.open for socket in self.sockets)

    def accept(self, socket: Socket, back: Return | None, device: str | None) -> None:
        """Take a client in, or back."""
        self.sockets[socket] = None
        socket.reading = self.run(self._serve(socket, back, device), self.world.soon())

    def _place(self) -> int:
        return self.deliveries.place

    def kill(self) -> None:
        super().kill()
        for socket in self.sockets:
            socket.listener = None
            if socket.open:
                socket.client.is_closed(socket, CloseCode.ABNORMAL)

    def drain(self) -> None:
        """End as on SIGTERM: clients are sent elsewhere."""
        self.accepts = False
        self.run(self._drain())

    def _drain(self) -> Work:
        for connection in (*self.connections, *self.lives.knocking):
            connection.hang_up(CloseCode.RESTART)
            yield self.world.soon()
        while not self.writer.idle:
            yield 10
        self._nats.leases.pop(self.name, None)
        self.kill()

    def _serve(self, socket: Socket, back: Return | None, device: str | None) -> Work:
        world = self.world
        if not self.accepts:
            if socket.open:
                socket.client.is_closed(socket, CloseCode.ABNORMAL)
            return
        entropy = world.random.randbytes(ids.RANDOM_BYTES)
        home = ids.partition_of(APP, f"{socket.client.name}/{device}" if device else entropy.hex(), PARTITIONS)
        identity = Identity(app=APP, subject=socket.client.name, direct=True, presence=True, metadata=True, admin=True)
        profile = Profile(user_id=socket.client.name, device_id=device)
        made = Session(ids.connection_id(home, entropy), DIALECT, identity, profile, RULES, 0)
        made.world = world
        before = None
        if back is not None:
            named = TOKENS.read(back.token, APP, socket.client.name)
            assert named is not None
            before = Back(named, back.n, back.attempt if world.holds(Rule.ATTEMPTS) else None)
            if isinstance(self.ingress, Early):
                self.ingress.guess = {named: back.session}
        connection = Connection(made, self.lives, "", "", before)
        socket.listener = connection
        connection.connected(socket)  # type: ignore[arg-type] # a Socket of the model
        while socket.listener is not None:
            if socket.started and socket.said:
                connection.received(socket.said.popleft())
            elif socket.started and socket.closed_with is not None:
                socket.over(socket.closed_with)
                break
            else:
                yield None
                continue
            if world.chance() < 0.3:
                yield world.soon()
        self.sockets.pop(socket, None)

    def _deliver(self) -> Work:
        log = self._nats.of_gateway[self._subject]
        index = 0
        while True:
            for entry in log[index : index + self.world.between(1, 8)]:
                index += 1
                self.deliveries.read(entry.sequence, entry.payload)
            yield None if index >= len(log) else self.world.soon()

    def _beat(self) -> Work:
        vigil = Vigil(self.world.now / 1000)
        while True:
            try:
                vigil.look(self.world.now / 1000)
            except Blind:
                self.drain()
                return
            self._nats.leases[self.name] = self.world.now + LEASE
            self.lives.expire()
            yield self.world.beat()
