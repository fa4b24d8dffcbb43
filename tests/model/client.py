"""A client that does what docs/explained/resume.md asks of one, and looks whether it gets what is promised there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from model.gateway import GRACE, Gateway, Return, Socket
from model.rule import Rule
from model.world import Process, Work, World
from msgspec import Struct, field, json

from parley.gateway.deliveries import PER_MESSAGE
from parley.protocol.codes import CloseCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOMS: Final = ("r0", "r1", "r2", "r3")
REFUSALS: Final = frozenset({"not_member", "not_found", "gone"})
"""What may be answered: others come and go."""

PEER: Final = {"state": "connected", "bytesReceived": 0, "packetsReceived": 0, "packetsLost": 0}
"""What is always told of a peer in a report."""

MOST: Final = 5
"""Requests that wait for their answer at most."""

PATIENCE: Final = 5000

SLEPT: Final = 33_500
"""A gateway that sleeps for longer may lose its clients: it has soon counted as lost for the length of the grace."""

_decode: Final = json.Decoder().decode


class Request(Struct):
    """What waits for its answer."""

    action: str
    room: str
    frame: bytes
    since: int = 0
    """With a join: the position that the client had."""
    told: int = 0
    """With a report: which one of this client in this room it is."""


class Stand(Struct):
    """Where a client is in a room's stream."""

    epoch: str
    position: int


class Life(Struct, kw_only=True):
    """One connection, as its client knows it."""

    id: str
    token: str
    n: int = 0
    session: int = 1
    rooms: dict[str, Stand] = field(default_factory=dict)
    metadata: dict[str, int] = field(default_factory=dict)
    unanswered: dict[str, Request] = field(default_factory=dict)
    got: list[int] = field(default_factory=list)
    """The n of every frame."""
    heard: dict[tuple[str, str], int] = field(default_factory=dict)
    """What came last from each sender by each path."""
    said: dict[str, int] = field(default_factory=dict)
    """How much it has said by each path."""
    chats: list[tuple[str, str]] = field(default_factory=list)
    """Those that were answered: room and id."""
    reports: list[tuple[str, int]] = field(default_factory=list)
    """Those that were answered: room and which one."""
    fine_at: int = 0
    """When it was connected for the last time, as far as it knows."""


class Client(Process):
    """One client, with as many lives as it takes."""

    def __init__(self, world: World, name: str, gateways: Callable[[], Sequence[Gateway]], device: str | None) -> None:
        super().__init__(world, name)
        self.life: Life | None = None
        self.lives: list[Life] = []
        self.ready = False
        self.others: list[Client] = []
        self.absent_until = 0
        self._gateways = gateways
        self._rooms = ROOMS[: world.taste.rooms]
        self._actions = tuple(world.taste.actions)
        self._weights = tuple(world.taste.actions.values())
        self._device = device
        self.socket: Socket | None = None
        self._inbox: list[tuple[Socket, bytes | int]] = []
        self._attempts = 0
        self._count = 0  # of requests
        self._hasty = False  # it has given up a socket that may arrive late, and begin anew in its device's name
        self._since = 0  # when it began to connect, or heard something
        self._reading = self.run(self._read())
        self.run(self._live())

    @property
    def content(self) -> bool:
        """Whether it is connected, and waits for nothing."""
        return self.ready and self.life is not None and not self.life.unanswered

    # what happens to it

    def hears(self, socket: Socket, frame: bytes) -> None:
        self._inbox.append((socket, frame))
        self._reading.wake()

    def is_closed(self, socket: Socket, code: int) -> None:
        socket.open = False
        if code == CloseCode.ABNORMAL and self.world.chance() < 0.5:
            self._inbox.clear()  # what was on its way is lost
        self._inbox.append((socket, code))
        self._reading.wake()

    def cut(self, code: int = CloseCode.ABNORMAL, *, noticed: int = 0) -> None:
        """Lose the socket, or close it; the gateway notices after *noticed* milliseconds."""
        socket = self.socket
        if socket is None:
            return
        self._lost()
        socket.open = False
        world = self.world
        if code == CloseCode.ABNORMAL and world.chance() < 0.5:
            socket.said.clear()
        world.later(socket.gateway, noticed or world.soon(), lambda: socket.gone(code))

    def leave(self) -> None:
        """Say goodbye for good; who comes back is somebody else."""
        self.cut(CloseCode.NORMAL)
        self.life = None

    def forget(self) -> None:
        """Begin anew, as a page that was loaded again."""
        self.cut(noticed=self.world.between(1, 3000))
        self.life = None

    def _lost(self) -> None:
        if self.ready and self.life is not None and self.socket is not None:
            self.life.fine_at = self.world.now
        elif self._device is not None:
            self._hasty = True
        self.socket, self.ready = None, False

    # what it does

    def _live(self) -> Work:
        world = self.world
        while True:
            if self.socket is None:
                yield max(world.between(10, 700), self.absent_until - world.now)
                self._connect()
            elif not self.ready:
                if world.now - self._since > PATIENCE:
                    self.cut(noticed=world.between(1, 20_000))
                yield 300
            elif self.life is not None:
                if self.life.unanswered and world.now - self._since > PATIENCE:
                    self.cut(noticed=world.between(1, 20_000))
                elif world.trouble:
                    self._speak(self.life)
                yield world.between(20, world.taste.pause) if world.trouble else 500

    def _connect(self) -> None:
        gateways = [gateway for gateway in self._gateways() if gateway.accepts]
        if not gateways or self.socket is not None:
            return
        gateway = self.world.random.choice(gateways)
        self.socket = Socket(gateway, self)
        self._since = self.world.now
        life = self.life
        self._attempts += 1
        back = None if life is None else Return(life.token, life.n, self._attempts, life.session)
        gateway.accept(self.socket, back, self._device)

    def _speak(self, life: Life) -> None:  # noqa: C901 - a case is one action
        if len(life.unanswered) >= MOST:
            return
        world = self.world
        room = world.random.choice(self._rooms)
        match world.random.choices(self._actions, self._weights)[0]:
            case "join":
                room = world.random.choice([one for one in self._rooms if one not in life.rooms] or [room])
                self._ask(life, "join", room, room=room)
            case "leave":
                room = world.random.choice([*life.rooms] or [room])
                self._ask(life, "leave", room, room=room)
            case "send":
                self._ask(life, "send", room, room=room, data=self._next(life, room))
            case "chat":
                k = self._next(life, room)
                self._ask(life, "chat", room, room=room, id=str(k), text="", data=k)
            case "report":
                k = self._next(life, f"report {room}")
                self._ask(life, "report", room, room=room, peers=[{**PEER, "connectionId": life.id, "bytesSent": k}])
            case "signal":
                to = world.random.choice(self.others).life
                if to is not None:
                    self._ask(life, "signal", "", to=to.id, data=self._next(life, to.id))
            case "presence":
                life.metadata["p"] = life.metadata.get("p", 0) + 1
                self._ask(life, "presence", "", metadata={"p": life.metadata["p"]})
            case "ping":
                self._ask(life, "ping", "")

    def _next(self, life: Life, path: str) -> int:
        k = life.said[path] = life.said.get(path, 0) + 1
        return k

    def _ask(self, life: Life, action: str, where: str, **words: Any) -> None:
        self._count += 1
        ref = str(self._count)
        if not life.unanswered:
            self._since = self.world.now
        request = Request(action, where, json.encode({"action": action, "ref": ref, **words}))
        if "since" in words:
            request.since = words["since"]["position"]
        if action == "report":
            request.told = words["peers"][0]["bytesSent"]
        life.unanswered[ref] = request
        if self.socket is not None:
            self.socket.say(request.frame)

    # what it hears

    def _read(self) -> Work:
        while True:
            inbox, self._inbox = self._inbox, []
            for socket, words in inbox:
                if socket is not self.socket:
                    continue
                if isinstance(words, int):
                    if words == CloseCode.REPLACED and not self._hasty:
                        self.world.wrong(f"{self.name} is told that another has its connection")
                    self._lost()
                else:
                    self._since = self.world.now
                    self._hear(_decode(words))
            yield None

    def _hear(self, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        if kind == "welcome":
            self._welcome(frame)
            return
        life = self.life
        assert life is not None
        n: int = frame.get("n", 0)
        if kind == "pong":
            life.n = max(life.n, n)
        elif n:
            seen = n if self.world.holds(Rule.N_PER_FRAME) else n - n % PER_MESSAGE
            if seen <= life.n:
                return
            life.n = seen
            life.got.append(n)
        ref = frame.get("ref")
        if ref is not None:
            self._answered(life, ref, frame)
        elif kind == "error":
            self.world.wrong(f"{life.id} is told {frame}")
        elif kind in {"member.joined", "member.left", "chat"}:
            self._in_room(life, kind, frame)
        if kind in {"message", "signal", "chat"}:
            self._said(life, frame)

    def _welcome(self, frame: dict[str, Any]) -> None:
        world, before, socket = self.world, self.life, self.socket
        assert socket is not None
        self.ready = True
        self._since = world.now
        if frame["resumed"]:
            if before is None or before.id != frame["connectionId"]:
                world.wrong(f"{self.name} goes on as {frame['connectionId']}, which it is not")
                return
            before.session = socket.listener.session.number if socket.listener is not None else before.session + 1
            for request in before.unanswered.values():
                socket.say(request.frame)
            return
        life = self.life = Life(id=frame["connectionId"], token=frame["resumeToken"], fine_at=world.now)
        self.lives.append(life)
        if before is None:
            return
        slept = any(gateway.slept > SLEPT for gateway in self._gateways())
        if world.now - before.fine_at < GRACE and not slept and not self._hasty:
            world.wrong(f"{before.id} was away for {world.now - before.fine_at} ms, and is gone")
        for room, stand in before.rooms.items():
            since = {"epoch": stand.epoch, "position": stand.position}
            self._ask(life, "join", room, room=room, since=since)

    def _answered(self, life: Life, ref: str, frame: dict[str, Any]) -> None:
        world = self.world
        request = life.unanswered.pop(ref, None)
        if request is None:
            world.wrong(f"{life.id} has a second answer to {ref}: {frame}")
            return
        if frame["type"] == "error":
            if frame["code"] not in REFUSALS:
                world.wrong(f"{life.id} is refused: {frame}")
        elif request.action == "join":
            self._joined(life, request, frame)
        elif request.action == "leave":
            life.rooms.pop(request.room, None)
        elif request.action == "chat":
            life.chats.append((request.room, frame["id"]))
        elif request.action == "report":
            life.reports.append((request.room, request.told))

    def _joined(self, life: Life, request: Request, frame: dict[str, Any]) -> None:
        stand = life.rooms.get(request.room)
        if stand is not None and (stand.epoch, stand.position) != (frame["epoch"], frame["position"]):
            self.world.wrong(f"{life.id} is at {stand}, and told of {frame}")
        life.rooms[request.room] = Stand(frame["epoch"], frame["position"])
        if frame["recovered"]:
            missed = [one["position"] for one in frame["missed"]]
            wanted = list(range(request.since + 1, frame["position"]))
            if missed != wanted:
                self.world.wrong(f"{life.id} recovers {missed} of {wanted}")

    def _in_room(self, life: Life, kind: str, frame: dict[str, Any]) -> None:
        room = frame["room"]
        stand = life.rooms.get(room)
        if stand is None or frame["position"] != stand.position + 1:
            self.world.wrong(f"{life.id} is at {stand} in {room}, and hears {frame}")
            return
        stand.position += 1
        if kind == "member.left" and frame["connectionId"] == life.id:
            del life.rooms[room]

    def _said(self, life: Life, frame: dict[str, Any]) -> None:
        path = frame["from"], frame.get("room", "")
        k = frame["data"]
        if k <= life.heard.get(path, 0):
            self.world.wrong(f"{life.id} hears {k} of {path} after {life.heard[path]}")
        life.heard[path] = k
