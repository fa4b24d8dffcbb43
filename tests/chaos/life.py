"""
Each client's own story: its connections, what it asked and was answered, and the rooms as they were told to it.

This is the fold that a good client does, with its eyes open: what breaks a promise already in the eyes of this one
client is a complaint.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from chaos.history import Broke, Came, Frame, Heard, Member, Read, Record, Said, Went
from chaos.violation import Key, Promise, Violation, key

LATE_SECONDS: Final = 5.0
"""Who was away for all but this much of the grace may be too late: the clocks that count begin and end elsewhere."""

GATEWAYS_OWN: Final = frozenset({"welcome", "pong", "goAway", "degraded", "restored"})

Path = tuple[str, str]
"""What keeps its order: a room, or a direct way to one connection."""


@dataclass
class Request:
    """Something a client asked with a ref."""

    frame: Frame
    order: int
    """Among all that this connection said."""
    sockets: list[int]
    """On which of its sockets it was written."""
    answer: Frame | None = None
    answered_on: int = -1

    @property
    def ok(self) -> bool:
        return self.answer is not None and self.answer.type == "ok"


@dataclass
class Plain:
    """Something a client said without a ref: it can be lost with its gateway, and with nothing else."""

    frame: Frame
    order: int
    socket: int
    after: "tuple[str, int] | None"
    """Where in the room's stream the client stood."""
    refused: bool = False
    """The log took nothing at the time, and the client was told so (`refusals.settle`)."""
    outside: bool = False
    """It had asked to leave the room, and not to join again, so that nobody may hear this (`refusals.settle`)."""


@dataclass(frozen=True)
class Refusal:
    """That a gateway has refused something by itself."""

    until: int
    """How much had been said on the socket by then."""
    place: int | None
    """What of that it is about; None if it had no ref."""


@dataclass
class Socket:
    """What was said on one of a connection's sockets, and what its gateway refused at once, in order."""

    said: list[Request | Plain] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


@dataclass
class Stay:
    """A connection's time in a room, from its `ok` to its leaving."""

    room: str
    epoch: str
    joined: int
    last: int
    """The last position it was told of."""
    items: list[tuple[int, Key]] = field(default_factory=list)
    """Every message that it heard, and every one of its own that was answered, and after which position."""
    ended: bool = False
    """By its own `leave`, or because it was told so."""
    members: dict[str, Member] = field(default_factory=dict)
    """The others."""
    heard: set[Key] = field(default_factory=set)


@dataclass
class Life:
    """One connection, from its welcome to its end."""

    client: str
    id: str
    dialect: str
    room: str = ""
    """Of the workshop's."""
    sockets: list[Socket] = field(default_factory=lambda: [Socket()])
    n: int = 0
    over: str = ""
    """Why it is; empty while it lasts."""
    requests: dict[str, Request] = field(default_factory=dict)
    plain: list[Plain] = field(default_factory=list)
    not_member: list[int] = field(default_factory=list)
    """Whenever it was told without a ref that it is no member: how much it had said."""
    stays: list[Stay] = field(default_factory=list)
    here: dict[str, Stay] = field(default_factory=dict)
    """The rooms that it is in."""
    signals: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """What it heard directly, by sender."""
    texts: list[tuple[str, int]] = field(default_factory=list)
    """What one of the workshop's read: client and number."""
    said: int = 0
    refused: bool = False
    """Whether one of the workshop's was told of an error."""
    availability: str = "online"
    metadata: dict[str, Any] = field(default_factory=dict)
    broke: bool = False
    """Whether its last socket is gone."""

    @property
    def socket(self) -> int:
        """Which of its sockets it has now."""
        return len(self.sockets) - 1

    @property
    def lasts(self) -> bool:
        return not self.over


@dataclass
class Told:
    """What a place in a room's stream holds, in somebody's words."""

    kind: str
    connection: str | None
    id: str = ""
    text: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.connection} {self.id}".strip()


Place = tuple[str, str, int]
"""Room, epoch and position."""


class Stories:
    """The lives of all clients."""

    def __init__(
        self,
        records: Iterable[Record],
        grace: float,
        excused: Iterable[tuple[float, float]] = (),
        who: Mapping[str, str] | None = None,
    ) -> None:
        """*who* has the connection of each of the workshop's, who are not told."""
        self.lives: list[Life] = []
        self.complaints: list[Violation] = []
        self.told: dict[Place, Told] = {}
        self.doubts: list[tuple[str, str, int, str]] = []
        self._grace = grace
        self._excused = tuple(excused)
        self.who = who or {}
        by_client: dict[str, list[Record]] = defaultdict(list)
        for record in records:
            by_client[record.client].append(record)
        for client, own in by_client.items():
            _Story(self, client).tell(own)
        self.by_id = {life.id: life for life in self.lives}

    def complain(self, promise: Promise, who: str, what: str) -> None:
        self.complaints.append(Violation(promise, who, what))

    def doubt(self, client: str, connection: str, k: int, what: str) -> None:
        """Note that somebody's presence was shown out of order; whether it may be depends on that somebody's story."""
        self.doubts.append((client, connection, k, what))

    def note(self, place: Place, told: Told, who: str) -> None:
        """Keep what a place holds; everybody must say the same of it."""
        before = self.told.setdefault(place, told)
        if before != told:
            self.complain("positions", who, f"was told {told} at {place}, where another was told {before}")

    def excuses(self, since: float, until: float) -> bool:
        return any(since <= end and begin <= until for begin, end in self._excused)

    @property
    def grace(self) -> float:
        return self._grace


class _Story:
    """One client's."""

    def __init__(self, stories: Stories, client: str) -> None:
        self._all = stories
        self._client = client
        self._life: Life | None = None
        self._broke_at = 0.0
        self._answered: dict[tuple[str, Path], int] = {}

    def tell(self, records: Iterable[Record]) -> None:
        for record in records:
            match record:
                case Came():
                    self._came(record)
                case Broke():
                    self._broke_at = record.at
                    if self._life is not None:
                        self._life.broke = True
                case Went():
                    self._went(record)
                case Said(frame=frame) if self._life is not None:
                    self._said(self._life, frame)
                case Heard(frame=frame) if self._life is not None:
                    self._heard(self._life, frame)
                case Read(text=text) if self._life is not None:
                    self._read(self._life, text)

    def _complain(self, promise: Promise, what: str) -> None:
        life = self._life
        self._all.complain(promise, self._client if life is None else f"{self._client} ({life.id})", what)

    def _came(self, came: Came) -> None:
        life = self._life
        if came.resumed:
            if life is None or life.over or life.id != came.connection:
                self._complain("resume", f"was resumed as {came.connection}, and that is not who it was")
                return
            life.sockets.append(Socket())
            life.broke = False
            return
        if life is not None and life.lasts:
            self._late(life, came)
            life.over = "late"
        id_ = self._all.who.get(came.connection, came.connection)
        self._life = life = Life(self._client, id_, came.dialect, came.room)
        life.metadata = {"userId": self._client}
        self._all.lives.append(life)

    def _late(self, life: Life, came: Came) -> None:
        if life.dialect != "parley.v1":
            return  # it knows no resume
        away = came.at - self._broke_at
        if away < self._all.grace - LATE_SECONDS and not self._all.excuses(self._broke_at, came.at):
            self._complain("resume", f"came back after {away:.1f} s, and its connection was gone")

    def _went(self, went: Went) -> None:
        if self._life is not None and self._life.lasts:
            self._life.over = went.how
        if went.how == "evicted":
            self._complain("resume", "was shut out, though nobody else had its token")

    def _said(self, life: Life, frame: Frame) -> None:
        life.said += 1
        if frame.ref is None:
            if frame.action == "send" or life.dialect != "parley.v1":
                stay = life.here.get(frame.room)
                after = None if stay is None else (stay.epoch, stay.last)
                plain = Plain(frame, life.said, life.socket, after)
                life.plain.append(plain)
                life.sockets[-1].said.append(plain)
            return
        request = life.requests.get(frame.ref)
        if request is None:
            request = life.requests[frame.ref] = Request(frame, life.said, [])
        request.sockets.append(life.socket)
        life.sockets[-1].said.append(request)

    def _heard(self, life: Life, frame: Frame) -> None:  # noqa: C901, PLR0912 - one case for each type
        if frame.n:
            if frame.n <= life.n and frame.type != "pong":
                self._complain("no doubles", f"heard {frame.type} with n {frame.n}, having processed {life.n}")
                return
            life.n = max(frame.n, life.n)
        match frame.type:
            case "ok" | "error":
                self._answer(life, frame)
            case "member.joined" if frame.member is not None:
                stay = self._place(life, frame, Told("joined", frame.member.connection_id))
                if stay is not None:
                    stay.members[frame.member.connection_id] = frame.member
            case "member.left":
                self._left(life, frame)
            case "member.changed":
                self._changed(life, frame)
            case "chat":
                self._place(life, frame, Told("chat", frame.from_, frame.id, frame.text))
            case "message":
                self._message(life, frame)
            case "signal":
                said = key(frame.from_, frame.data)
                if said is None:
                    self._complain("strangers", f"heard a signal that nobody of ours sent: {frame}")
                else:
                    life.signals[said.sender].append(said.k)
            case kind if kind in GATEWAYS_OWN:
                pass
            case kind:
                self._complain("strangers", f"heard a frame of type {kind!r}")

    # answers

    def _asked(self, life: Life, frame: Frame) -> Request | None:
        """Return what is answered, if it may be."""
        if frame.ref is None:
            self._without_ref(life, frame)
            return None
        request = life.requests.get(frame.ref)
        if request is None:
            self._complain("answers", f"was answered {frame.ref}, which it had not asked")
        elif request.answer is not None:
            self._complain("no doubles", f"was answered {frame.ref} ({request.frame.action}) twice")
            return None
        return request

    def _without_ref(self, life: Life, frame: Frame) -> None:
        """Keep a refusal that does not say what it is about; that is known when the whole story is."""
        socket = life.sockets[-1]
        if frame.code == "degraded" and not frame.n:
            socket.refused.append(Refusal(len(socket.said), None))
        elif frame.code == "not_member" and frame.n:
            life.not_member.append(life.said)
        else:
            self._complain("refusals", f"was refused without a ref: {frame.code}")

    def _at_once(self, life: Life, request: Request) -> None:
        """Keep that a gateway refused a request by itself."""
        said = life.sockets[-1].said
        place = next((at for at in reversed(range(len(said))) if said[at] is request), None)
        if place is None:
            self._complain("answers", f"was refused {request.frame.ref}, which it had not asked on this socket")
        else:
            life.sockets[-1].refused.append(Refusal(len(said), place))

    def _answer(self, life: Life, frame: Frame) -> None:
        request = self._asked(life, frame)
        if request is None:
            return
        request.answer, request.answered_on = frame, life.socket
        if frame.n:
            self._in_order(life, request)
        elif frame.type == "error":
            self._at_once(life, request)
        if frame.type == "error":
            self._refused(life, request, frame.code)
            return
        match request.frame.action:
            case "join":
                self._joined(life, frame)
            case "leave":
                stay = life.here.pop(request.frame.room, None)
                if stay is not None:
                    stay.ended = True
            case "send":
                self._sent(life, request.frame)
            case "presence":
                life.availability = request.frame.availability or life.availability
                life.metadata = {**life.metadata, **(request.frame.metadata or {})}

    def _in_order(self, life: Life, request: Request) -> None:
        path = path_of(request.frame)
        last = self._answered.get((life.id, path), 0)
        if request.order < last:
            self._complain("order", f"was answered {request.frame.ref} after what it had asked later on {path}")
        self._answered[life.id, path] = max(request.order, last)

    def _refused(self, life: Life, request: Request, code: str) -> None:
        action, room = request.frame.action, request.frame.room
        match code:
            case "degraded" | "gone":
                pass  # the first is told at any time, the second is compared with the other's life
            case "not_member" if action in {"send", "chat"}:
                if room in life.here:
                    self._complain("refusals", f"{request.frame.ref} was refused: not a member of {room}, which it is")
            case _:
                self._complain("refusals", f"{request.frame.ref} ({action}) was refused: {code}")

    # rooms

    def _joined(self, life: Life, ok: Frame) -> None:
        stay = life.here.get(ok.room)
        if stay is None:
            stay = life.here[ok.room] = Stay(ok.room, ok.epoch, ok.position, ok.position)
            life.stays.append(stay)
        elif (ok.epoch, ok.position) != (stay.epoch, stay.last):
            self._complain(
                "positions",
                f"joined {ok.room} again at {ok.epoch}:{ok.position}, having been told {stay.epoch}:{stay.last}",
            )
        stay.members = {member.connection_id: member for member in ok.members}
        for missed in ok.missed:
            if (told := _told(missed)) is not None:
                self._all.note((ok.room, ok.epoch, missed.position), told, self._client)

    def _place(self, life: Life, frame: Frame, told: Told) -> Stay | None:
        stay = life.here.get(frame.room)
        if stay is None:
            self._complain("strangers", f"was told {told} in {frame.room}, where it is not")
            return None
        if frame.position != stay.last + 1:
            self._complain("positions", f"in {frame.room} ({stay.epoch}): {frame.position} came after {stay.last}")
        stay.last = max(stay.last, frame.position)
        self._all.note((frame.room, stay.epoch, frame.position), told, self._client)
        return stay

    def _left(self, life: Life, frame: Frame) -> None:
        stay = self._place(life, frame, Told("left", frame.connection_id))
        if stay is None:
            return
        if frame.connection_id == life.id:
            stay.ended = True
            del life.here[frame.room]
        else:
            stay.members.pop(frame.connection_id, None)

    def _changed(self, life: Life, frame: Frame) -> None:
        stay = life.here.get(frame.room)
        before = None if stay is None else stay.members.get(frame.connection_id)
        if stay is None or before is None:
            self._complain("strangers", f"was told of {frame.connection_id} in {frame.room}, where not both are")
            return
        now = Member(frame.connection_id, frame.availability, frame.metadata or {})
        earlier, later = _count(before.metadata), _count(now.metadata)
        if later < earlier:
            self._all.doubt(self._client, frame.connection_id, earlier, f"{before} before {now}")
        elif now == before:
            self._all.doubt(self._client, frame.connection_id, later, f"{now} twice")
        stay.members[frame.connection_id] = now

    def _message(self, life: Life, frame: Frame) -> None:
        said = key(frame.from_, frame.data)
        stay = life.here.get(frame.room)
        if said is None or stay is None:
            self._complain("strangers", f"heard a message in {frame.room} that is not for it: {frame.data}")
            return
        self._item(stay, said)

    def _sent(self, life: Life, frame: Frame) -> None:
        stay, said = life.here.get(frame.room), key(life.id, frame.data)
        if stay is None or said is None:
            self._complain("refusals", f"may speak in {frame.room}, where it is not: {frame.ref}")
            return
        self._item(stay, said)

    def _item(self, stay: Stay, said: Key) -> None:
        if said in stay.heard:
            self._complain("no doubles", f"heard {said} twice in {stay.room}")
            return
        stay.heard.add(said)
        stay.items.append((stay.last, said))

    # the workshop's

    def _read(self, life: Life, text: str) -> None:
        try:
            said = msgspec.json.decode(text)
        except msgspec.DecodeError:
            said = None
        if not isinstance(said, dict):
            self._complain("strangers", f"read {text!r}")
        elif "by" in said:
            life.texts.append((str(said["by"]), int(said["k"])))
        elif "requestId" in said or "messageId" in said:
            life.refused = True
        elif said.get("type") != "newParticipant":
            self._complain("strangers", f"read {text!r}")


def path_of(frame: Frame) -> Path:
    """Return what a request's order is kept on."""
    match frame.action:
        case "signal":
            return ("direct", frame.to)
        case "presence":
            return ("presence", "")
        case _:
            return ("room", frame.room)


def _told(frame: Frame) -> Told | None:
    match frame.type:
        case "member.joined" if frame.member is not None:
            return Told("joined", frame.member.connection_id)
        case "member.left":
            return Told("left", frame.connection_id)
        case "chat":
            return Told("chat", frame.from_, frame.id, frame.text)
        case _:
            return None


def _count(metadata: Mapping[str, Any]) -> int:
    k = metadata.get("k", 0)
    return k if isinstance(k, int) else 0
