"""Does what a session decided: the plumbing between one socket and the gateway around it. It has no rules."""

from collections.abc import Iterable
from time import time
from typing import Final, Protocol

import structlog
from msgspec import Struct

from parley.gateway.backend import Backend
from parley.gateway.notes import Note, written
from parley.gateway.session import Action, Call, Check, Fault, HangUp, Publish, Say, Session
from parley.gateway.websocket import HEADROOM, WebSocket
from parley.kit import telemetry
from parley.kit.about import CONNECTION
from parley.kit.bus import TooLargeError
from parley.protocol.codes import CloseCode, ErrorCode, Refusal
from parley.protocol.commands import AnyCommand, Asked, PresenceSet, Reason

log = structlog.get_logger(__name__)

MOST_HELD: Final = 10_000
"""Frames that may wait for a client that is not live yet."""

TOO_LARGE = Refusal(ErrorCode.TOO_LARGE, "With all that belongs to it this is larger than what the log takes.")

BROKEN = Refusal(ErrorCode.INTERNAL, "Something of ours went wrong with this frame.")


class Back(Struct, frozen=True):
    """An earlier connection that a client wants to go on with."""

    connection: str
    n: int
    """The last place that the client has processed."""
    count: int | None = None
    """The client's own number of this attempt."""


class Lives(Protocol):
    """What a connection needs of the gateway around it."""

    @property
    def place(self) -> int:
        """How far deliveries have come."""

    @property
    def trouble(self) -> Refusal | None:
        """Why the log can take nothing, if so."""

    def put(self, partitions: tuple[int, ...], command: AnyCommand, traceparent: str | None = None) -> object:
        """Have a command stored, in the trace of the client's own that it is part of."""

    def check(self, connection: "Connection", check: Check) -> None:
        """Find out about a token and tell the connection's session."""

    def arrived(self, connection: "Connection") -> None:
        """The socket is open; see to it that the client is welcomed."""

    def left(self, connection: "Connection", code: int, reason: Reason | None) -> None:
        """The socket is closed; *reason* if the connection's end was ordered."""


class Connection:
    """One client, as the rest of the gateway sees it; the listener of its socket."""

    __slots__ = (
        "_backend",
        "_held",
        "_lives",
        "_ordered",
        "active_at",
        "address",
        "agent",
        "back",
        "frames_in",
        "frames_out",
        "id",
        "let_in",
        "opened_at",
        "session",
        "since",
        "socket",
        "why",
    )

    def __init__(
        self,
        session: Session,
        lives: Lives,
        address: str,
        agent: str,
        back: Back | None = None,
        backend: Backend | None = None,
    ) -> None:
        self.id = session.connection
        self.session = session
        self.address = address
        self.agent = agent
        self.back = back  # what it wants to go on with; None once that is settled
        self.since = 0  # deliveries up to here were written before it became live
        self.socket: WebSocket | None = None  # while it is open
        self.opened_at = self.active_at = time()  # it is active when it says something, or a backend posts to it
        self.frames_in = 0
        self.frames_out = 0
        self._backend = backend  # the app's own routes, if it has some
        self._lives = lives
        self._held: list[tuple[int, bytearray, Note]] | None = []  # what came for it before it was live
        self._ordered: Reason | None = None  # why somebody else ended it
        self.let_in = False  # whether the log has told of its opening
        self.why = ""  # how its socket closed, in a sentence of ours

    # from the socket

    @property
    def binary(self) -> bool:
        """Whether its dialect reads binary frames."""
        return self.session.dialect.binary

    def connected(self, socket: WebSocket) -> None:
        """The handshake is answered."""
        self.socket = socket
        if self._backend is not None:
            self._backend.say = self.say
        self._lives.arrived(self)

    def received(self, text: bytes) -> None:
        """Do what the session makes of a frame."""
        self.frames_in += 1
        self.active_at = now = time()
        lives = self._lives
        try:
            actions = self.session.receive(text, now, lives.place, lives.trouble)
        except Exception:
            log.exception("A frame broke its session.", connection=self.id, app=self.session.app)
            actions = self.session.refused(BROKEN, None)
        self.perform(actions)

    def pinged(self) -> None:
        """Count it."""
        self.perform(self.session.pinged(time()))

    def looked_at(self) -> None:
        """An interval of the heartbeat has passed."""
        self.perform(self.session.looked_at(time(), self.frames_in + self.frames_out))

    def closed(self, code: int, reason: str) -> None:
        """The socket is gone."""
        self.why = self._reason(code, reason)
        self.socket = None
        if self._backend is not None:
            self._backend.closed(code, reason)
        self._lives.left(self, code, self._ordered)

    def _reason(self, code: int, reason: str) -> str:
        """Return a sentence for the log. What a client gave for a reason is the client's, and stays out of it."""
        if self.socket is not None and self.socket.ended_by_us:
            return reason
        return "The connection broke." if code == CloseCode.ABNORMAL else "The client closed it."

    # to the socket

    def perform(self, actions: Iterable[Action]) -> None:
        """Do what was decided."""
        for action in actions:
            match action:
                case Publish():
                    self._publish(action)
                case Say(frame=frame, fault=fault):
                    self.say(frame)
                    if fault is not None and telemetry.recording():
                        self._blame(fault)
                case Check():
                    self._lives.check(self, action)
                case Call():
                    assert self._backend is not None  # the app has routes
                    self._backend.message(action)
                case HangUp(code=code, reason=reason):
                    self.hang_up(code, reason)

    def _publish(self, publish: Publish) -> None:
        command = publish.command
        try:
            self._lives.put(publish.partitions, command, publish.traceparent)
        except TooLargeError:
            ref = command.request.ref if isinstance(command, Asked | PresenceSet) else None
            self.perform(self.session.refused(TOO_LARGE, ref))

    def _blame(self, fault: Fault) -> None:
        """Have a trace tell what was refused for no fault of the client's.

        A client can have many requests refused; that it calls its trace sampled has not been weighed, as in `Ingress`.
        So each is an error like others, of which so many are recorded.
        """
        refused = telemetry.span(
            "refuse",
            kind="server",
            parent=fault.traceparent and telemetry.unsampled(fault.traceparent),
            attributes={CONNECTION: self.id, "parley.app": self.session.app},
        )
        refused.fail(fault.code)
        refused.end()

    def welcome(self, frame: bytes | None) -> None:
        """Say the first frame, if the dialect has one, then what came meanwhile; listen from now on."""
        if frame is not None:
            self.say(frame)
        self.perform(self.session.opening(time(), self._lives.place))
        self.live(0)

    def live(self, since: int) -> None:
        """Say what was delivered meanwhile above place *since*, and listen from now on."""
        held, self._held = self._held, None
        self.since = since
        self.session.live(time())
        for n, prepared, note in held or ():
            if n > since:
                self.write(prepared, note)
        if self.socket is not None:
            self.socket.start()

    def say(self, frame: bytes) -> None:
        """Say something to this client alone, at once."""
        self.write(bytearray(HEADROOM) + frame, written(time(), frame))

    def deliver(self, prepared: bytearray, n: int, note: Note) -> None:
        """Say a prepared frame of place *n* unless that was said before, or keep it until the client is live."""
        if self._held is None:
            if n > self.since:
                self.write(prepared, note)
        elif len(self._held) < MOST_HELD:
            self._held.append((n, prepared, note))
        else:
            self.hang_up(CloseCode.RESTART, "Too much came for you while you were coming back; try again.")

    def write(self, prepared: bytearray, note: Note | None) -> None:
        """Say a prepared frame, and keep the note of it."""
        if self.socket is not None:
            self.frames_out += 1
            self.socket.write(prepared)
            if note is not None:
                notes = self.session.notes  # a call for each receiver would be felt
                if notes is None:
                    self.session.note(note)
                else:
                    notes.append(note)

    def hang_up(self, code: int, reason: str = "", ordered: Reason | None = None) -> None:
        """Close the socket; *ordered* says why if it was the word of somebody outside."""
        self._ordered = ordered
        socket = self.socket
        if socket is not None:
            socket.close(code, reason)
            socket.start()  # its goodbye is to be read, also if nothing was before
