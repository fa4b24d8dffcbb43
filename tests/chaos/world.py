"""The story that EVENTS tells: every connection's, and every incarnation's of every room."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf

from chaos.history import Event, Posted
from chaos.life import Told
from chaos.violation import Promise, Violation


@dataclass
class Interval:
    """A member's time in a room: from one position up to another, itself not included."""

    connection: str
    joined: int
    left: float = inf

    def covers(self, first: int, last: int) -> bool:
        return self.joined <= first and last < self.left


@dataclass
class Incarnation:
    """A room from its first member to its last."""

    room: str
    epoch: str
    sequence: int = 0
    position: int = 0
    closed: bool = False
    places: dict[int, Told] = field(default_factory=dict)
    members: dict[str, Interval] = field(default_factory=dict)
    """Who is in it, in the end."""
    intervals: list[Interval] = field(default_factory=list)
    by_place: dict[tuple[str, int], Interval] = field(default_factory=dict)


class World:
    """What EVENTS says, and what is wrong with it."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.complaints: list[Violation] = []
        self.rooms: dict[tuple[str, str], Incarnation] = {}
        self.open: dict[str, Incarnation] = {}
        """By room: the incarnation that lasts."""
        self.posted: list[Posted] = []
        self.opened: dict[str, str] = {}
        """Connections, and what their clients call them: only the workshop's do."""
        self.closed: set[str] = set()
        ids: Counter[str] = Counter()
        for event in events:
            ids[event.id] += 1
            if ids[event.id] > 1:
                self._complain("events", event.id, "is there more than once")
                continue
            self._read(event)
        self.by_id: dict[tuple[str, str | None, str], list[Posted]] = defaultdict(list)
        for posted in self.posted:
            self.by_id[posted.room, posted.connection, posted.id].append(posted)

    @property
    def who(self) -> dict[str, str]:
        """Connections by what their clients call them."""
        return {name: connection for connection, name in self.opened.items() if name}

    def _complain(self, promise: Promise, who: str, what: str) -> None:
        self.complaints.append(Violation(promise, who, what))

    def _read(self, event: Event) -> None:
        match event.type.split("."):
            case ["connection", kind]:
                self._connection(kind, event)
            case ["room", _] | ["message", "posted"] | ["call", _]:
                self._room(event)
            case ["event", "failed"]:
                self._complain("events", event.subject, f"failed: {event.data}")
            case _:
                pass

    def _connection(self, kind: str, event: Event) -> None:
        connection = str(event.data["connectionId"])
        if kind == "opened":
            if connection in self.opened:
                self._complain("events", connection, "was opened twice")
            self.opened[connection] = str(event.data["metadata"].get("life", ""))
            return
        if connection not in self.opened:
            self._complain("events", connection, "was closed and never opened")
        if connection in self.closed:
            self._complain("events", connection, "was closed twice")
        self.closed.add(connection)

    def _room(self, event: Event) -> None:
        data = event.data
        name, epoch = str(data["room"]), str(data["epoch"])
        who = f"{name} ({epoch})"
        room = self._incarnation(name, epoch, event.type)
        if event.sequence != str(room.sequence + 1):
            self._complain("events", who, f"{event.type} with sequence {event.sequence} came after {room.sequence}")
        room.sequence = int(event.sequence or room.sequence)
        match event.type:
            case "room.joined":
                self._joined(room, str(data["connectionId"]), int(data["position"]))
            case "room.left":
                self._left(room, str(data["connectionId"]), int(data["position"]))
            case "message.posted":
                posted = Posted(name, epoch, data["position"], data["id"], data["connectionId"], data["text"])
                self.posted.append(posted)
                self._place(room, posted.position, Told("chat", posted.connection, posted.id, posted.text))
            case "room.closed":
                room.closed = True
                self.open.pop(name, None)
                if room.members:
                    self._complain("one left for every joined", who, f"was closed on {sorted(room.members)}")

    def _incarnation(self, name: str, epoch: str, kind: str) -> Incarnation:
        """Return the incarnation that an event is of; the first one begins it."""
        room = self.rooms.get((name, epoch))
        who = f"{name} ({epoch})"
        if room is None:
            room = self.rooms[name, epoch] = Incarnation(name, epoch)
            if kind != "room.created":
                self._complain("events", who, f"begins with {kind}")
            if name in self.open:
                self._complain("events", who, f"begins while {self.open[name].epoch} lasts")
            self.open[name] = room
        elif room.closed:
            self._complain("events", who, f"{kind} came after its end")
        return room

    def _joined(self, room: Incarnation, connection: str, position: int) -> None:
        self._place(room, position, Told("joined", connection))
        if connection in room.members:
            self._complain("one left for every joined", room.room, f"{connection} joined at {position}, and was there")
        interval = room.members[connection] = Interval(connection, position)
        room.intervals.append(interval)
        room.by_place[connection, position] = interval

    def _left(self, room: Incarnation, connection: str, position: int) -> None:
        self._place(room, position, Told("left", connection))
        interval = room.members.pop(connection, None)
        if interval is None:
            self._complain(
                "one left for every joined", room.room, f"{connection} left at {position}, and was not there"
            )
        else:
            interval.left = position

    def _place(self, room: Incarnation, position: int, told: Told) -> None:
        if position != room.position + 1:
            self._complain("events", f"{room.room} ({room.epoch})", f"position {position} came after {room.position}")
        room.position = position
        room.places[position] = told
