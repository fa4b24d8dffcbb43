"""
One client's conversation with the gateway, without any I/O.

Feed a Session what arrived and it returns what to do about it. Connection does
it; every rule lives here, where a test can reach it without a socket, a bus or
a clock.
"""

from collections.abc import Iterable
from functools import lru_cache
from itertools import count
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from parley.gateway.notes import MAX_REF, ROUTES, Note, Notes, none_yet
from parley.gateway.stay import GOING_SECONDS, Stay
from parley.gateway.tallies import FRAMES, REFUSALS
from parley.kit.flow import Flow, Rate
from parley.kit.identity import Identity
from parley.protocol import clock
from parley.protocol import requests as ask
from parley.protocol.codes import CloseCode, ErrorCode, Refusal
from parley.protocol.commands import (
    AnyCommand,
    Asked,
    Closed,
    Moved,
    Opened,
    PresenceSet,
    Profile,
    Reason,
    Resume,
)
from parley.protocol.dialects import NOBODY, Conversation, Dialect, Hello, Misunderstood
from parley.protocol.dialects.parley_v1 import ParleyV1, Renewed, metadata
from parley.protocol.ids import home_of, partition_of
from parley.protocol.says import Attached

LEFT: Final = frozenset({CloseCode.NORMAL, CloseCode.GOING_AWAY})
"""Close codes with which a client says that it does not come back."""

TOPICS: Final = Rate(per_second=1000, burst=10_000)
"""How much more than one thing clients may ask for in a frame: all their topics at once, but not again and again."""

REPEAT_SECONDS: Final = 30.0
"""How long a client that came back may take to repeat what it had no answer to."""

OURS: Final = frozenset({ErrorCode.DEGRADED, ErrorCode.INTERNAL})
"""Codes of what is no fault of the client's."""

RATE: Final = Refusal(ErrorCode.RATE_LIMITED, "You send too many frames; this one was not processed.")
EXPIRED: Final = Refusal(ErrorCode.TOKEN_EXPIRED, "Your token has expired.")

_errors = count()
_home_of = lru_cache(maxsize=16_384)(home_of)


class Rules(Struct, frozen=True):
    """What holds for every connection of an app on this gateway."""

    partitions: int
    rate: Rate = Rate()
    rooms: int = 100
    """How many rooms a connection may be in."""
    capacity: int = 1000
    """How many members a room may have."""
    answer_ms: int = 30_000
    """How long an offer may wait for its answer before it counts as failed."""
    reports: bool = True
    """Whether the app takes reports of how media goes."""


class Publish(Struct, frozen=True, gc=False):
    """Write a command to the log, in each of these partitions."""

    partitions: tuple[int, ...]
    command: AnyCommand
    traceparent: str | None = None
    """The client's own, of the request that it is."""


class Fault(Struct, frozen=True, gc=False):
    """What was refused though its client has done nothing wrong."""

    code: ErrorCode
    traceparent: str | None
    """The client's own, of the request."""


class Say(Struct, frozen=True, gc=False):
    """Answer at once."""

    frame: bytes
    fault: Fault | None = None


class Check(Struct, frozen=True, gc=False):
    """Find out whose token this is and call ``renewed`` or ``refused``."""

    token: str
    ref: str | None


class Call(Struct, frozen=True, gc=False):
    """Call what is behind a route of the app's own."""

    route: str
    body: str


class HangUp(Struct, frozen=True, gc=False):
    """Close the socket."""

    code: int
    reason: str


Action = Publish | Say | Check | Call | HangUp


class Session:
    """One connection's life on this gateway."""

    __slots__ = (
        "_answered",
        "_answered_until",
        "_conversation",
        "_flow",
        "_flows",
        "_home",
        "_identity",
        "_profile",
        "_requests",
        "_rooms",
        "_rules",
        "_stay",
        "_topics",
        "_touched",
        "connection",
        "dialect",
        "notes",
        "number",
    )

    def __init__(
        self,
        connection: str,
        dialect: Dialect,
        identity: Identity,
        profile: Profile,
        rules: Rules,
        now: float,
        hello: Hello = NOBODY,
        requests: Flow | None = None,
    ) -> None:
        """*requests* is what all clients of a strict app may say together."""
        home = home_of(connection, rules.partitions)
        assert home is not None  # the gateway has made the id
        self.connection = connection
        self.dialect = dialect
        self.number = 1
        self.notes: Notes | None = None  # what came and went lately, once there was something
        self._home = home
        self._conversation: Conversation = dialect.conversation(hello)
        self._identity = identity
        self._profile = profile
        self._rules = rules
        self._flow = Flow(rules.rate, now)
        self._requests = requests
        strict = requests is not None
        self._stay = Stay(now, dialect.longest) if strict or dialect.longest else None
        self._flows: dict[str, Flow] = {}  # of letters, by kind
        self._topics: Flow | None = None  # of what its frames ask for beyond one thing each
        self._rooms: set[str] = set()  # it has asked to join, and not to leave
        self._touched = 1 << home  # bit p: partition p has heard of this connection
        self._answered: set[str] = set()  # refs whose answers came with a resume
        self._answered_until = 0.0  # when they mean something else, in seconds since the epoch

    # its beginning and its end

    def opened(self, address: str, agent: str) -> Publish:
        """Tell its home; the client is welcomed once that is stored."""
        command = Opened(
            app=self._identity.app,
            connection=self.connection,
            session=self.number,
            profile=self._profile,
            subject=None if self.dialect.device_alone else self._identity.subject,
            dialect=self.dialect.name,
            resumable=self.dialect.resumable,
            address=address,
            agent=agent,
        )
        return Publish((self._home,), command)

    def resume(self, attempt: str, connection: str, count: int | None = None) -> Publish:
        """Ask the home of *connection* to let this client go on with it; *count* is its own number of the attempt."""
        home = home_of(connection, self._rules.partitions)
        assert home is not None  # the token that named it is ours
        command = Resume(app=self._identity.app, connection=connection, session=0, attempt=attempt, count=count)
        return Publish((home,), command)

    def resumed(self, connection: str, attached: Attached) -> Publish:
        """Go on as *connection*, and tell every partition but its home, which said so."""
        self.connection = connection
        self.number = attached.session
        self._home = attached.partition
        self._profile = attached.profile or self._profile
        self.is_in(attached.rooms)
        everywhere = range(self._rules.partitions)
        self._touched = (1 << len(everywhere)) - 1
        moved = Moved(app=self._identity.app, connection=connection, session=self.number, profile=self._profile)
        return Publish(tuple(partition for partition in everywhere if partition != self._home), moved)

    def answered(self, ref: str) -> None:
        """Do not take the repetition of a request that an earlier session did: its answer has just been said."""
        self._answered.add(ref)

    def live(self, now: float) -> None:
        """Listen from *now* on. Who came back first repeats what it had no answer to; then refs are its own again."""
        self._answered_until = now + REPEAT_SECONDS

    def is_in(self, rooms: Iterable[str]) -> None:
        """Count rooms that it has joined in an earlier session."""
        self._rooms.update(rooms)

    def is_out_of(self, room: str | None) -> None:
        """Count a room no longer, if one is meant: joining it was refused, or the connection was taken out of it."""
        self._rooms.discard(room or "")

    def comes_back(self, code: int) -> bool:
        """Whether the client may resume after its socket closed with *code*."""
        return self.dialect.resumable and code not in LEFT

    def closed(self, code: int, reason: Reason, frames_in: int, frames_out: int) -> Publish:
        """Tell every partition that has heard of it."""
        command = Closed(
            app=self._identity.app,
            connection=self.connection,
            session=self.number,
            reason=reason,
            code=code,
            frames_in=frames_in,
            frames_out=frames_out,
        )
        return Publish(self.touched, command)

    @property
    def app(self) -> str:
        """The app that all it says belongs to."""
        return self._identity.app

    @property
    def subject(self) -> str | None:
        """Whom its token names."""
        return self._identity.subject

    @property
    def touched(self) -> tuple[int, ...]:
        """The partitions that have heard of it."""
        return tuple(bit for bit in range(self._touched.bit_length()) if self._touched >> bit & 1)

    # what it says

    def opening(self, now: float, place: int) -> list[Action]:
        """Return what the dialect asks in its client's name as soon as the log knows of the connection."""
        actions: list[Action] = []
        for request in self._conversation.opening():
            try:
                actions += self._asked(request, now, place, None)
            except Refusal as refusal:
                actions += self._refused(refusal, request.ref)
        return actions

    def receive(self, frame: bytes, now: float, place: int, trouble: Refusal | None = None) -> list[Action]:
        """Return what to do about a text frame. *trouble* is why the log can take nothing, if so.

        *now* is in seconds since the epoch; *place* is how far deliveries have come.
        """
        within = self._flow.take(now)
        if not within and self._flow.lasting:
            return [HangUp(CloseCode.RATE, "You send too many frames, and went on when told.")]
        within = within and (self._requests is None or self._requests.take(now))
        try:
            requests = self._conversation.decode(frame)
        except Misunderstood as misunderstood:
            self._came(now, None, len(frame))
            return self._refused(RATE if not within else misunderstood, misunderstood.ref)
        self._came(now, requests[0] if requests else None, len(frame))
        if not within:
            return self._refused(RATE, requests[0].ref if requests else None)
        if len(requests) > 1 and not self._may_ask(len(requests) - 1, now):
            return self._refused(RATE, requests[0].ref)
        if self._answered and now > self._answered_until:
            self._answered.clear()
        actions: list[Action] = []
        for request in requests:
            if request.ref in self._answered:
                self._answered.discard(request.ref)
                continue
            try:
                actions += self._asked(request, now, place, trouble)
            except Refusal as refusal:
                answer = self._refused(refusal, request.ref, request.traceparent)
                actions += answer
                if answer:  # a frame has one; where nothing is said each request stands for itself
                    break
        return actions

    def asked(self, ref: str) -> float | None:
        """Return when a request came, in seconds since the epoch, if it is one of the latest frames."""
        notes: Iterable[Note] = reversed(self.notes) if self.notes else ()
        return next((time for time, came, _, _, its in notes if came and its == ref), None)

    def note(self, note: Note) -> None:
        """Keep a note of a frame."""
        if self.notes is None:
            self.notes = none_yet()
        self.notes.append(note)

    def _came(self, now: float, request: ask.ClientRequest | None, size: int) -> None:
        """Note a frame of the client's; *request* is what it asks for first, if that could be read."""
        route = ROUTES[type(request)]
        if not route:
            if isinstance(request, ask.Ping):
                FRAMES["ping"] += 1
                return
            route = request.route if isinstance(request, ask.Invoke) else ""
        FRAMES[route] += 1
        ref = None if request is None else request.ref
        if ref is not None and len(ref) > MAX_REF:
            ref = ref[:MAX_REF]
        notes = self.notes
        if notes is None:
            notes = self.notes = none_yet()
        notes.append((now, True, route, size, ref))

    def _may_ask(self, more: int, now: float) -> bool:
        """Count what a frame asks for beyond one thing: each is a message in the log."""
        if self._topics is None:
            self._topics = Flow(TOPICS, now)
        return self._topics.take(now, more)

    def pinged(self, now: float) -> list[Action]:
        """Count a frame that is not text. To API Gateway it is no sign of life, to Kinesis it is."""
        if self._stay is not None and self.dialect.longest:
            self._stay.lives(now)
        if self._flow.take(now) or not self._flow.lasting:
            return []
        return [HangUp(CloseCode.RATE, "You send too many frames.")]

    def looked_at(self, now: float, frames: int) -> list[Action]:
        """End what must not go on, though the client says nothing. *frames* is how many have come and gone."""
        verdict = "stays" if self._stay is None else self._stay.looked_at(now, frames)
        if verdict != "stays":
            word = None if verdict == "goes" else self.dialect.go_away(0, GOING_SECONDS * 1000)
            return [HangUp(CloseCode.GOING_AWAY, "Going away")] if word is None else [Say(word)]
        if self._identity.expired(int(now * 1000)):
            return [*self._refused(EXPIRED, None), HangUp(CloseCode.TOKEN_EXPIRED, EXPIRED.message)]
        return []

    # the token

    def renewed(self, identity: Identity, ref: str | None) -> list[Action]:
        """Go on with the grants of a fresh token of the same subject."""
        if identity.subject != self._identity.subject:
            return self.refused(Refusal(ErrorCode.UNAUTHORIZED, "The fresh token names somebody else."), ref)
        self._identity = identity
        if ref is None or not isinstance(self.dialect, ParleyV1):
            return []
        until = None if identity.expires_at is None else clock.rfc3339(identity.expires_at)
        return [Say(self.dialect.write(Renewed(ref=ref, expires_at=until)))]

    def refused(self, refusal: Refusal, ref: str | None) -> list[Action]:
        """Answer a request that the gateway itself refuses."""
        return self._refused(refusal, ref)

    def _refused(self, refusal: Refusal, ref: str | None, traceparent: str | None = None) -> list[Action]:
        REFUSALS[refusal.code] += 1
        frame = self.dialect.refuse(refusal, ref, self.connection, f"{next(_errors):016x}")
        fault = Fault(refusal.code, traceparent) if refusal.code in OURS else None
        said: list[Action] = [] if frame is None else [Say(frame, fault)]
        return [*said, HangUp(CloseCode.NORMAL, "")] if refusal.code in self.dialect.final else said

    # requests

    def _asked(self, request: ask.ClientRequest, now: float, place: int, trouble: Refusal | None) -> list[Action]:
        match request:
            case ask.Ping(ref=ref):
                return self._pong(ref, now, place)
            case ask.RefreshToken(token=token, ref=ref):
                return [Check(token, ref)]
        if self._identity.expired(int(now * 1000)):
            return [*self._refused(EXPIRED, request.ref), HangUp(CloseCode.TOKEN_EXPIRED, EXPIRED.message)]
        if isinstance(request, ask.Invoke):
            return [Call(request.route, request.body)]
        if trouble is not None:
            raise trouble
        if request.traceparent is not None:
            action = self._admitted(replace(request, traceparent=None), now)
            return [replace(action, traceparent=request.traceparent)]
        return [self._admitted(request, now)]

    def _admitted(self, request: ask.AnyRequest, now: float) -> Publish:
        """Return what goes into the log, if the client may ask for it."""
        match request:
            case ask.Signal():
                action = self._signal(request)
            case ask.SetPresence():
                action = self._presence(request)
            case ask.Join():
                action = self._join(request)
            case ask.Leave():
                self._rooms.discard(request.room)
                action = self._to_room(request, None)
            case ask.Report():
                action = self._report(request)
            case ask.Register() | ask.Release() | ask.Letter():
                self._need(self._identity.direct or self._identity.admin, "say something to a single connection")
                if isinstance(request, ask.Letter):
                    self._keep_pace(request.kind, now)
                action = self._to_key(request, request.box, None)
            case _:
                self._need(self._identity.may(request.room, "send"), "speak in this room")
                action = self._to_room(request, None if isinstance(request, ask.Send) else self._profile)
        self._conversation.accepted(request)
        return action

    def _keep_pace(self, kind: str, now: float) -> None:
        """Count a letter of a kind of which the dialect's clients may send only so many."""
        pace = self.dialect.paces.get(kind)
        if pace is None:
            return
        flow = self._flows.get(kind)
        if flow is None:
            flow = self._flows[kind] = Flow(Rate(pace, pace), now)
        if not flow.take(now):
            raise Refusal(ErrorCode.RATE_LIMITED, f"You may send {pace} {kind} a second; this one was not processed.")

    def _pong(self, ref: str | None, now: float, place: int) -> list[Action]:
        pong = self.dialect.pong(ref, clock.rfc3339(int(now * 1000)), place)
        return [] if pong is None else [Say(pong)]

    def _join(self, request: ask.Join) -> Publish:
        self._need(self._identity.may(request.room, "join"), "join this room")
        most = self.dialect.rooms or self._rules.rooms
        if request.room not in self._rooms and len(self._rooms) >= most:
            raise Refusal(ErrorCode.NOT_ALLOWED, f"A connection may be in {most} rooms; leave one of them first.")
        self._rooms.add(request.room)
        return self._to_room(request, self._profile)

    def _report(self, request: ask.Report) -> Publish:
        self._need(self._identity.may(request.room, "join"), "report on a call in this room")
        if not self._rules.reports:
            raise Refusal(ErrorCode.NOT_ALLOWED, "This app takes no reports: send none on this connection.")
        return self._to_room(request, None)

    def _signal(self, request: ask.Signal) -> Publish:
        self._need(self._identity.direct or self._identity.admin, "say something to a single connection")
        home = _home_of(request.to, self._rules.partitions)
        if home is None:
            raise Refusal(ErrorCode.NOT_FOUND, "That is no connection's id.")
        return self._command(request, home, None)

    def _presence(self, request: ask.SetPresence) -> Publish:
        mine, grants = self._profile, self._identity
        if request.availability is not None:
            self._need(grants.presence or grants.admin, "set its presence")
        if request.metadata is not None:
            self._need(grants.metadata or grants.admin, "change its metadata")
        merged = mine.metadata if request.metadata is None else {**mine.metadata, **request.metadata}
        metadata(merged)
        self._profile = Profile(
            user_id=mine.user_id,
            device_id=mine.device_id,
            metadata=merged,
            availability=request.availability or mine.availability,
        )
        command = PresenceSet(
            app=grants.app, connection=self.connection, session=self.number, request=request, profile=self._profile
        )
        return Publish(self.touched, command)

    def _to_room(self, request: ask.RoomRequest, profile: Profile | None) -> Publish:
        return self._to_key(request, request.room, profile)

    def _to_key(self, request: ask.AnyRequest, key: str, profile: Profile | None) -> Publish:
        return self._command(request, partition_of(self._identity.app, key, self._rules.partitions), profile)

    def _command(self, request: ask.AnyRequest, partition: int, profile: Profile | None) -> Publish:
        first = not self._touched >> partition & 1
        self._touched |= 1 << partition
        command = Asked(
            app=self._identity.app,
            connection=self.connection,
            session=self.number,
            request=request,
            profile=profile,
            capacity=self._capacity if isinstance(request, ask.Join) else 0,
            resumable=self.dialect.resumable and (first or isinstance(request, ask.Join)),
            touched=self._touched if isinstance(request, ask.Signal) else 0,
            answer_ms=self._rules.answer_ms,
        )
        return Publish((partition,), command)

    @property
    def _capacity(self) -> int:
        members = self.dialect.members
        return self._rules.capacity if members is None else members

    def _need(self, granted: bool, what: str) -> None:
        if not granted:
            raise Refusal(ErrorCode.NOT_ALLOWED, f"Your token does not allow you to {what}.")
