"""
One client's side of `parley.v1`, without any I/O.

Give a Session what arrived and it says what that means; make requests of it, and ask `next` for what is to
be written. It outlives the socket: tell it `lost`, and with the next welcome it repeats what was not answered,
in order, before anything new. Where the server has forgotten the connection, it joins its rooms again from
their last positions first, and says what is known of the time in between. Every rule of protocols.md section 0
that a client has to keep is here.
"""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from secrets import token_hex
from typing import Any, Final, cast

from parley.client.errors import ParleyError, Refused
from parley.client.frames import Frame, Since, Welcome

REPEATABLE: Final = frozenset({"join", "leave", "presence", "token", "ping"})
"""What may be said again to a new connection though it was perhaps done for the old one."""

POSITIONED: Final = frozenset({"member.joined", "member.left", "chat"})
"""The frames that a room's position counts."""


@dataclass(frozen=True)
class Answered:
    """A request has its answer."""

    ref: str
    frame: dict[str, Any]


@dataclass(frozen=True)
class Unsure:
    """A request will have no answer: the connection that it was made on is over. It may have been done."""

    ref: str


@dataclass(frozen=True)
class Heard:
    """A frame for the program."""

    frame: Frame


@dataclass(frozen=True)
class Later:
    """A request of the session's own is to be made `again` after some time."""

    ref: str
    seconds: float


Happening = Answered | Unsure | Heard | Later


@dataclass
class _Request:
    """A request that is not answered yet."""

    action: str
    fields: Mapping[str, Any]
    text: str
    written: bool = False
    """Whether it was given out to be written, on whichever socket."""


@dataclass
class _Room:
    """A room that this client is in."""

    epoch: str
    position: int
    metadata: Any = None
    """Of this membership."""

    @property
    def place(self) -> Since:
        return {"epoch": self.epoch, "position": self.position}


@dataclass
class _Renewal:
    """What a new connection has to do before the old one's requests make sense again."""

    missing: set[str] = field(default_factory=set)
    """The refs of joins without an answer."""
    posted: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """Chat of the old connection that is in the stream, by room and id."""
    gaps: set[str] = field(default_factory=set)
    """Rooms of which nobody knows whether chat of the old connection is in the stream."""


class Session:
    """What a client knows, whichever socket it has at the moment."""

    def __init__(self, resume: tuple[str, int] | None = None) -> None:
        """*resume* is the token of an earlier session and the last place it processed."""
        self.welcome: Welcome | None = None
        """The last welcome; None until the first."""
        self._token, self.n = resume or ("", 0)
        self._prefix = token_hex(4)  # of refs: whoever resumes another's connection must not meet its answers
        self._refs = count(1)
        self._requests: dict[str, _Request] = {}  # unanswered, in the order they were made
        self._own: dict[str, str | None] = {}  # refs of what the session itself asked for; of joins with the room
        self._outbox: deque[str] = deque()
        self._live = False
        self._renewal: _Renewal | None = None  # while a new connection joins the rooms of the old one
        self._rooms: dict[str, _Room] = {}
        self._presence: dict[str, Any] = {}
        self._ids: set[str] = set()

    @property
    def resume(self) -> dict[str, str]:
        """The query parameters with which a new socket takes this session up; none before the first welcome."""
        return {"resume": self._token, "n": str(self.n)} if self._token else {}

    @property
    def rooms(self) -> dict[str, Since]:
        """The rooms that this client is in, and how far it has come in their streams."""
        return {name: room.place for name, room in self._rooms.items()}

    @property
    def unanswered(self) -> dict[str, str]:
        """Requests by ref, in the order they were made, as they are written."""
        return {ref: request.text for ref, request in self._requests.items()}

    # what the program asks

    def request(self, action: str, fields: Mapping[str, Any], traceparent: str | None = None) -> str:
        """Take a request, and return the ref of its answer. However often it is said, it says *traceparent*."""
        ref, request = self._make(action, fields, traceparent)
        if self._live and self._renewal is None:
            self._write(request)
        return ref

    def forget(self, ref: str) -> None:
        """Nobody waits for this answer any more, so it is not to be repeated."""
        self._requests.pop(ref, None)

    def again(self, ref: str) -> None:
        """Make a request of the session's own once more."""
        if self._live and (request := self._requests.get(ref)):
            self._write(request)

    def next(self) -> str | None:
        """Return what is to be written next, None if there is nothing now."""
        return self._outbox.popleft() if self._outbox else None

    # what arrives

    def lost(self) -> None:
        """The socket is gone."""
        self._live = False
        self._outbox.clear()

    def receive(self, text: str) -> list[Happening]:
        """Take in a frame, and say what it means."""
        frame = frame_of(text)
        kind = frame["type"]
        if kind == "welcome":
            return list(self._welcomed(frame))
        n = frame.get("n")
        if isinstance(n, int):
            # A pong is no entry of the log: it says how far the log has been written to us, even when nothing came.
            if n <= self.n and kind != "pong":
                return []
            self.n = max(self.n, n)
        ref = frame.get("ref")
        if ref is not None and kind in ("ok", "error", "pong"):
            return list(self._settle(ref, frame))
        return list(self._follow(frame))

    def _settle(self, ref: str, frame: dict[str, Any]) -> Iterator[Happening]:
        request = self._requests.pop(ref, None)
        if request is None:
            return
        if ref in self._own:
            yield from self._own_answer(ref, request, frame)
            return
        name = str(request.fields.get("room"))
        if request.action == "leave":
            self._rooms.pop(name, None)
        if frame["type"] == "ok":
            if request.action == "join" and "epoch" in frame:
                self._rooms[name] = _Room(frame["epoch"], frame["position"], request.fields.get("metadata"))
            elif request.action == "presence":
                self._remember(request.fields)
        yield Answered(ref, frame)

    def _follow(self, frame: dict[str, Any]) -> Iterator[Happening]:
        """Keep up with the rooms' streams."""
        room = self._rooms.get(frame.get("room", ""))
        if room is None or frame["type"] not in POSITIONED:
            yield _heard(frame)
            return
        ahead = frame["position"] - room.position
        if frame["room"] in self._own.values():
            return  # it is among what the answer to the join will hold
        if ahead > 1:
            self._rejoin(frame["room"])
        elif ahead == 1:
            room.position += 1
            if frame["type"] == "member.left" and self._is_own(frame["connectionId"]):
                yield from self._left(frame)
            else:
                yield _heard(frame)

    def _left(self, frame: dict[str, Any]) -> Iterator[Happening]:
        """Look at the end of our own membership. One that expired was only out of sight for too long."""
        if frame["reason"] == "expired":
            self._rejoin(frame["room"])
        else:
            del self._rooms[frame["room"]]
            yield _heard(frame)

    def _is_own(self, id_: str) -> bool:
        return self.welcome is not None and self.welcome["connectionId"] == id_

    # beginning, and coming back

    def _welcomed(self, frame: dict[str, Any]) -> Iterator[Happening]:
        before, self.welcome = self.welcome, cast("Welcome", frame)
        self._token = frame["resumeToken"]
        self._ids.add(frame["connectionId"])
        self._live = True
        self._outbox.clear()
        if frame.get("resumed"):
            for ref, request in self._requests.items():
                if self._renewal is None or ref in self._own:
                    self._write(request)
            return
        self.n = 0  # it begins anew with the new connection id
        if before is None:
            yield from self._release(_Renewal())
            return
        yield _heard({"type": "renewed", "connectionId": frame["connectionId"], "before": before["connectionId"]})
        for ref in self._own:
            self.forget(ref)
        self._own.clear()
        self._renewal = self._renewal or _Renewal()
        if self._presence:
            self._ask("presence", self._presence, None)
        self._renewal.missing = {self._rejoin(name) for name in self._rooms}
        yield from self._renewed()

    def _rejoin(self, name: str) -> str:
        """Join a room once more from where we are in its stream."""
        room = self._rooms[name]
        fields: dict[str, Any] = {"room": name, "since": room.place}
        if room.metadata is not None:
            fields["metadata"] = room.metadata
        return self._ask("join", fields, name)

    def _ask(self, action: str, fields: Mapping[str, Any], room: str | None) -> str:
        """Make a request of the session's own; it waits for nothing."""
        ref, request = self._make(action, fields)
        self._own[ref] = room
        self._write(request)
        return ref

    def _own_answer(self, ref: str, request: _Request, frame: dict[str, Any]) -> Iterator[Happening]:
        if frame["type"] == "error" and (wait := frame.get("retryAfterMs")) is not None:
            self._requests[ref] = request
            yield Later(ref, wait / 1000)
            return
        name = self._own.pop(ref)
        if name is not None:
            yield from self._rejoined(name, frame) if frame["type"] == "ok" else self._shut_out(name, frame)
        if self._renewal is not None:
            self._renewal.missing.discard(ref)
            yield from self._renewed()

    def _rejoined(self, name: str, frame: dict[str, Any]) -> Iterator[Happening]:
        room = self._rooms[name]
        since = room.place
        room.epoch, room.position = frame["epoch"], frame["position"]
        about = {key: frame[key] for key in ("room", "epoch", "position", "members", "recovered")}
        yield _heard({"type": "rejoined", **about})
        for missed in frame["missed"]:
            if missed["type"] == "chat" and missed["from"] in self._ids and self._renewal is not None:
                self._renewal.posted[name, missed["id"]] = missed
            yield _heard(missed)
        if not frame["recovered"]:
            if self._renewal is not None:
                self._renewal.gaps.add(name)
            yield _heard({"type": "gap", "room": name, "since": since, "until": room.place, "filled": False})

    def _shut_out(self, name: str, frame: dict[str, Any]) -> Iterator[Happening]:
        del self._rooms[name]
        yield _heard({"type": "removed", "room": name, "code": frame.get("code"), "message": frame.get("message")})

    def _renewed(self) -> Iterator[Happening]:
        """Go on with the old connection's requests once all rooms are joined again."""
        renewal = self._renewal
        if renewal is not None and not renewal.missing:
            self._renewal = None
            yield from self._release(renewal)

    def _release(self, renewal: _Renewal) -> Iterator[Happening]:
        """Write what may be written on a new connection, and say what became of the rest, in order."""
        for ref, request in list(self._requests.items()):
            if ref in self._own:
                continue
            posted = None
            if request.action == "chat":
                posted = renewal.posted.get((request.fields["room"], request.fields["id"]))
            if not request.written or request.action in REPEATABLE:
                self._write(request)
            elif posted is not None:
                self.forget(ref)
                about = {key: posted[key] for key in ("room", "id", "position", "time")}
                yield Answered(ref, {"type": "ok", "ref": ref, **about})
            elif request.action == "chat" and request.fields["room"] in self._rooms.keys() - renewal.gaps:
                self._write(request)  # it is not in the stream
            else:
                self.forget(ref)
                yield Unsure(ref)

    def _remember(self, said: Mapping[str, Any]) -> None:
        """Keep what was said of ourselves: a new connection starts without it."""
        self._presence |= {key: value for key, value in said.items() if key != "metadata"}
        if "metadata" in said:
            self._presence["metadata"] = self._presence.get("metadata", {}) | said["metadata"]

    def _make(self, action: str, fields: Mapping[str, Any], traceparent: str | None = None) -> tuple[str, _Request]:
        ref = f"{self._prefix}.{next(self._refs)}"
        trace = {} if traceparent is None else {"traceparent": traceparent}
        text = json.dumps({"action": action, "ref": ref, **fields, **trace}, allow_nan=False, separators=(",", ":"))
        self._requests[ref] = request = _Request(action, fields, text)
        return ref, request

    def _write(self, request: _Request) -> None:
        request.written = True
        self._outbox.append(request.text)


def frame_of(text: str) -> dict[str, Any]:
    """Return the frame that the server sent."""
    try:
        frame = json.loads(text)
    except ValueError as error:
        raise ParleyError(f"the server sent what is not JSON: {text[:200]!r}") from error
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise ParleyError(f"the server sent what is no frame of parley.v1: {text[:200]!r}")
    return frame


def answered(frame: Mapping[str, Any]) -> Any:
    """Return the answer, or raise what it refuses."""
    if frame["type"] == "error":
        raise refusal(frame)
    return frame


def refusal(frame: Mapping[str, Any] | Frame) -> Refused:
    """Return an error frame as what a program catches."""
    given = cast("Mapping[str, Any]", frame)
    return Refused(str(given.get("code", "internal")), str(given.get("message", "")), given.get("retryAfterMs"))


def _heard(frame: dict[str, Any]) -> Heard:
    return Heard(cast("Frame", frame))
