"""The rules of the rooms service: a log entry comes in, what to publish and deliver goes out.

Total and deterministic: no clock, no dice, no I/O, no settings (design section 6).
Each command has its own function; a ``case`` here is one call.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from parley.protocol import commands as c
from parley.protocol import events, says
from parley.protocol import requests as ask
from parley.protocol.codes import CloseCode, ErrorCode
from parley.protocol.envelope import CloudEvent, Place
from parley.protocol.outputs import Apart, Deliver, Fact, Output, Reply
from parley.protocol.registry import Connection
from parley.protocol.table import Table
from parley.rooms import calls, correspondence, membership, post, reports, talk
from parley.rooms.rows import Rows

COUNTED_BYTES: Final = 64 * 1024
"""How long the names may be, together, of a connection's rooms in one partition; more than that is not counted."""


class Rooms:
    """One partition's state: its rows, and what commands do to them."""

    moves: Sequence[type[c.FromConnection]] = (c.Resume, c.Moved)

    def __init__(self, partitions: int) -> None:
        self.rows = Rows(partitions)
        self._calls: dict[str, str] = {}
        """By connection whose home this is, its call. For traces alone, so a takeover may forget it."""

    def tables(self) -> Sequence[Table[Any, Any]]:
        """Everything that a checkpoint writes."""
        rows = self.rows
        return (
            rows.registry.connections,
            rows.registry.lost,
            rows.rooms,
            rows.members,
            rows.window,
            rows.known,
            rows.negotiations.sides,
            rows.negotiations.offers,
            rows.post.holders,
            rows.post.letters,
            rows.post.writers,
        )

    def gateways(self) -> Iterable[tuple[str, bool]]:
        """Return the gateways that live connections of this partition are on, and whether they count as lost."""
        registry = self.rows.registry
        return [(gateway, gateway in registry.lost) for gateway in registry.connections.of_gateway]

    def waiting(self) -> bool:
        """Whether ticks are wanted: a grace is running, an offer waits for its answer, or a letter for its receiver."""
        rows = self.rows
        pending = (rows.registry.lost, rows.negotiations.offers, rows.post.letters, rows.post.writers)
        return any(len(table) > 0 for table in pending)

    def reduce(self, event: CloudEvent[c.AnyCommand], at: Place) -> Iterator[Output]:  # noqa: C901, PLR0912
        """Return what a command brings about."""
        rows = self.rows
        match event.data:
            case c.Asked() as command:
                yield from self._asked(command, at)
            case c.Opened() as command:
                yield from self._ended(rows.registry.opened(command, at), "replaced", CloseCode.REPLACED, at)
                rows.know(command.connection, command.profile)
            case c.Resume() as command:
                yield from self._resume(command, at)
            case c.Moved() as command:
                yield from self._moved(command, at)
            case c.Closed() as command:
                for row in rows.registry.closed(command, at):
                    yield from self._leaves(row, command.reason, at)
            case c.PresenceSet() as command:
                yield from self._presence(command, at)
            case c.Remove() as command:
                yield from self._remove(command, at)
            case c.GatewayLost(gateway=gateway):
                yield from self._end(rows.registry.gateway_lost(gateway, at), "disconnected", at)
            case c.GatewayBack(gateway=gateway):
                rows.registry.gateway_back(gateway)
            case c.Tick():
                yield from self._end(rows.registry.tick(at), "expired", at)
                yield Apart(talk.unanswered(rows, at))
                yield Apart(post.undelivered(rows, at))
                yield Apart(correspondence.unanswered(rows, at))
            case c.PostToConnection() as command:
                yield from talk.post_to_connection(rows, command)
            case c.PostToRoom() as command:
                yield from talk.post_to_room(rows, command, at)
            case c.WriteLetter() as command:
                yield from correspondence.write(rows, command, at)
            case c.RemoveMember() as command:
                yield from self._remove_member(command, at)
            case c.Negotiated() as command:
                rows.negotiations.answered(*command.pair)
                yield from calls.answered(rows, command, at)
            case c.Calling(connection=connection, call=call, lasting=lasting):  # presence's, and for traces
                if lasting:
                    self._calls[connection] = call
                else:
                    self._calls.pop(connection, None)
            case c.InRoom():
                pass  # presence's

    def call_of(self, command: c.AnyCommand) -> str | None:
        """Return the call that lasts in a command's room, or that those are in whom it is about."""
        members = self.rows.members
        match command:
            case c.Calling(call=call):
                return call
            case c.Asked(request=ask.Signal(to=to)):
                return self._calls.get(to)
            case c.Negotiated(pair=(one, other)):
                keys = [key for key in members.rooms_of(one) if key in members.rooms_of(other)]
            case c.Closed(connection=connection) | c.PresenceSet(connection=connection):
                keys = members.rooms_of(connection)
            case _:
                keys = [(command.app, getattr(getattr(command, "request", command), "room", ""))]
        rooms = (self.rows.rooms.get(key) for key in keys)
        return next((room.call.id for room in rooms if room is not None and room.call is not None), None)

    def log_lost(self, at: Place) -> Iterator[Output]:
        """Close every connection, and so every room: the log that they came from is gone."""
        yield from self._end(self.rows.registry.living(), "disconnected", at)

    def failed(self, event: CloudEvent[c.AnyCommand], at: Place, error: Exception) -> Iterator[Output]:
        """Return what is said of a command whose rule raised: an error to its sender, and a public event."""
        command = event.data
        connection = getattr(command, "connection", None)
        yield Fact(
            events.EventFailed(
                app=command.app,
                service="rooms",
                command=event.type,
                connection_id=connection,
                error=type(error).__name__,
            ),
            subject=connection or command.app,
        )
        if isinstance(command, c.Asked) or (isinstance(command, c.PresenceSet) and self.rows.is_home(command, at)):
            sorry = "This request failed inside the server; nothing was changed by it."
            say = says.Error(ref=command.request.ref, code=ErrorCode.INTERNAL, message=sorry)
            yield Deliver(at.writer, (command.connection,), say)

    def _asked(self, command: c.Asked, at: Place) -> Iterator[Output]:  # noqa: C901, PLR0912 - as reduce
        rows = self.rows
        if rows.registry.heard(command, at, command.profile, resumable=command.resumable) is None:
            return
        match command.request:
            case ask.Signal() as request:
                yield from talk.signal(rows, command, request, at)
            case ask.Send() as request:
                yield from talk.send(rows, command, request, at)
            case ask.Relay() as request:
                yield from talk.relay(rows, command, request, at)
            case ask.Chat() as request:
                yield from talk.chat(rows, command, request, at)
            case ask.Publish() as request:
                yield from talk.publish(rows, command, request, at)
            case ask.Report() as request:
                yield from reports.report(rows, command, request)
            case ask.Register() as request:
                yield from post.register(rows, command, request, at)
            case ask.Release() as request:
                yield from post.release(rows, command, request)
            case ask.Letter() as request:
                if (writer := correspondence.answers(rows, command.app, request)) is not None:
                    yield from correspondence.answer(rows, writer, command, request)
                else:
                    yield from post.letter(rows, command, request, at)
            case ask.Join() as request:
                yield from membership.join(rows, command, request, at)
            case ask.Leave() as request:
                yield from membership.leave(rows, (command.app, request.room), command.connection, "left", at)
                if request.ref is not None:
                    yield from rows.to(command.connection, says.Ok(ref=request.ref))
            case ask.SetPresence():
                pass  # travels as PresenceSet

    def _resume(self, command: c.Resume, at: Place) -> Iterator[Output]:
        resumed = self.rows.registry.resumed(command, at)
        if resumed is None:
            yield Deliver(at.writer, (command.connection,), says.Gone(attempt=command.attempt))
            return
        was, now = resumed
        if now is was:
            yield Deliver(at.writer, (was.id,), says.Overtaken(attempt=command.attempt))
            return
        yield Deliver(was.gateway, (was.id,), says.Superseded(session=was.session))
        attached = says.Attached(
            partition=at.partition,
            session=now.session,
            attempt=command.attempt,
            gateways=tuple(dict.fromkeys(stay.gateway for stay in now.before)),
            profile=known.profile if (known := self.rows.known.get(now.id)) else None,
            rooms=self._rooms_of(now.id),
        )
        yield Deliver(at.writer, (now.id,), attached)

    def _moved(self, command: c.Moved, at: Place) -> Iterator[Output]:
        rows = self.rows
        row = rows.registry.moved(command, at)
        known = rows.known.get(row.id)
        if known is not None and command.profile is not None and row.session == command.session:
            before = known.profile.metadata.items()
            said = {key: value for key, value in command.profile.metadata.items() if (key, value) not in before}
            if command.profile != known.profile:
                yield from self._present(row.id, command.profile, said, at)
        attached = says.Attached(partition=at.partition, session=command.session, rooms=self._rooms_of(row.id))
        yield Deliver(at.writer, (row.id,), attached)

    def _rooms_of(self, connection: str) -> tuple[str, ...]:
        """Return the rooms of a connection that its new gateway is to count: as many as can be said at once."""
        bytes_left = COUNTED_BYTES
        counted = []
        for _, name in self.rows.members.rooms_of(connection):
            bytes_left -= len(name.encode())
            if bytes_left < 0:
                break
            counted.append(name)
        return tuple(counted)

    def _presence(self, command: c.PresenceSet, at: Place) -> Iterator[Output]:
        rows = self.rows
        if rows.registry.heard(command, at, command.profile) is None:
            return
        yield from self._present(command.connection, command.profile, command.request.metadata or {}, at)
        if command.request.ref is not None and rows.is_home(command, at):
            yield from rows.to(command.connection, says.Ok(ref=command.request.ref))

    def _present(self, connection: str, profile: c.Profile, said: ask.Metadata, at: Place) -> Iterator[Output]:
        """Show a connection otherwise wherever it is a member; what it *said* lies over what it said when it joined."""
        rows = self.rows
        rows.know(connection, profile)
        for key in rows.members.rooms_of(connection):
            member = rows.members[*key, connection]
            yield from membership.present(rows, member, profile, {**member.profile.metadata, **said}, at)

    def _remove(self, command: c.Remove, at: Place) -> Iterator[Output]:
        ended = self.rows.registry.removed(command.connection, command.app, at)
        yield from self._ended(ended, "removed", CloseCode.REMOVED, at)
        if command.reply:
            yield Reply(command.reply, {"ok": True} if ended else talk.NO_CONNECTION)

    def _remove_member(self, command: c.RemoveMember, at: Place) -> Iterator[Output]:
        key = (command.app, command.room)
        found = (*key, command.connection) in self.rows.members
        yield from membership.leave(self.rows, key, command.connection, "removed", at)
        if command.reply:
            missing = {"code": ErrorCode.NOT_FOUND, "message": "That connection is no member of this room."}
            yield Reply(command.reply, {"ok": True} if found else missing)

    def _end(self, due: list[Connection], reason: c.Reason, at: Place) -> Iterator[Output]:
        """End connections of a gateway that cannot speak for them, each for itself."""
        for row in due:
            yield Apart(self._ends(row, reason, at))

    def _ends(self, row: Connection, reason: c.Reason, at: Place) -> Iterator[Output]:
        yield from self._ended([self.rows.registry.end(row, at)], reason, CloseCode.RESTART, at)

    def _ended(self, ended: list[Connection], reason: c.Reason, code: CloseCode, at: Place) -> Iterator[Output]:
        """Take connections, that ended without their gateway's doing, out of their rooms, and have them closed."""
        for row in ended:
            yield from self._leaves(row, reason, at)
            yield Deliver(row.gateway, (row.id,), says.Close(session=row.session, code=code, reason=reason))

    def _leaves(self, row: Connection, reason: c.Reason, at: Place) -> Iterator[Output]:
        """Take a connection that is closed from everywhere."""
        self._calls.pop(row.id, None)
        self.rows.forget(row.id)
        yield from post.forget(self.rows, row.id)
        yield from membership.leave_all(self.rows, row.id, reason, at)
