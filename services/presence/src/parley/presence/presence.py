"""
The rules of presence: who is connected, how available they are, and what the world is told of it.

Pure: a command and its place in the log come in, facts go out. Everything that a client or a gateway must be told is
said by rooms, which runs the same registry over the same commands.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from parley.presence.rows import Profile, Rows
from parley.protocol import commands as c
from parley.protocol import events
from parley.protocol.codes import CloseCode, ErrorCode
from parley.protocol.dialects.parley_v1 import removal
from parley.protocol.envelope import CloudEvent, Place
from parley.protocol.ids import home_of
from parley.protocol.outputs import Apart, Fact, Output, Reply
from parley.protocol.registry import Connection
from parley.protocol.table import Table


class Presence:
    """One partition's state: the connections whose home it is."""

    moves: Sequence[type[c.FromConnection]] = ()
    """None: nothing here is delivered, so nothing can overtake a connection that moves."""

    def __init__(self, partitions: int) -> None:
        """*partitions* is how many the installation has; it never changes."""
        self.rows = Rows()
        self._partitions = partitions

    def tables(self) -> Sequence[Table[Any, Any]]:
        """Everything that a checkpoint writes."""
        rows = self.rows
        return (rows.registry.connections, rows.registry.lost, rows.profiles, rows.memberships)

    def gateways(self) -> Iterable[tuple[str, bool]]:
        """Return the gateways that live connections are on, and whether each counts as lost."""
        registry = self.rows.registry
        return ((gateway, gateway in registry.lost) for gateway in registry.connections.of_gateway)

    def waiting(self) -> bool:
        """Whether ticks are wanted: a grace is running."""
        return len(self.rows.registry.lost) > 0

    def reduce(self, event: CloudEvent[c.AnyCommand], at: Place) -> Iterator[Output]:
        """Return what a command makes known."""
        command = event.data
        if isinstance(command, c.Moved):
            self.rows.registry.gateway_back(at.writer)  # as rooms does, so that both see a grace end at the same place
        if isinstance(command, c.FromConnection) and home_of(command.connection, self._partitions) != at.partition:
            return  # it tells other partitions of rooms, too; a connection's presence is known at its home alone
        match command:
            case c.Opened():
                yield from self._opened(command, at)
            case c.Resume():
                self.rows.registry.resumed(command, at)
            case c.Closed():
                yield from self._closed(command, at)
            case c.PresenceSet():
                yield from self._set(command, at)
            case c.Calling():
                yield from self._calling(command)
            case c.InRoom():
                self._in_room(command)
            case c.Describe():
                yield self._described(command)
            case _:
                yield from self._of_gateways(command, at)

    def _of_gateways(self, command: c.AnyCommand, at: Place) -> Iterator[Output]:
        """Look at what ends connections without their own doing."""
        registry = self.rows.registry
        match command:
            case c.Remove():
                ended = registry.removed(command.connection, command.app, at)
                profile = self.rows.profiles.get(command.connection)
                yield from self._ended(ended, "removed", removal(profile.dialect if profile else ""), at)
            case c.GatewayLost():
                yield from self._end(registry.gateway_lost(command.gateway, at), "disconnected", at)
            case c.GatewayBack():
                registry.gateway_back(command.gateway)
            case c.Tick():
                yield from self._end(registry.tick(at), "expired", at)
            case _:
                pass  # messages are none of ours

    def failed(self, event: CloudEvent[c.AnyCommand], at: Place, error: Exception) -> Iterator[Output]:
        """Make known that a command could not be processed. Its sender hears from rooms."""
        connection = getattr(event.data, "connection", None)
        yield Fact(
            events.EventFailed(
                app=event.data.app,
                service="presence",
                command=event.type,
                connection_id=connection,
                error=f"{type(error).__name__} at {at.partition}:{at.sequence}:{at.index}",
            ),
            subject=connection or event.data.app,
        )

    def call_of(self, command: c.AnyCommand) -> str | None:
        """Return the call that rooms tells a connection's home of."""
        return command.call if isinstance(command, c.Calling) else None

    def log_lost(self, at: Place) -> Iterator[Output]:
        """Close what is held: nobody can say any more what became of it."""
        registry = self.rows.registry
        for gateway in list(registry.lost):
            registry.gateway_back(gateway)
        yield from self._end(registry.living(), "disconnected", at)

    def _opened(self, command: c.Opened, at: Place) -> Iterator[Output]:
        yield from self._ended(self.rows.registry.opened(command, at), "replaced", CloseCode.REPLACED, at)
        yield from self._enter(command, command.profile, command)

    def _enter(self, command: c.FromConnection, profile: c.Profile, opened: c.Opened | None) -> Iterator[Output]:
        """Make a connection known that was not."""
        self.rows.profiles[command.connection] = Profile(
            id=command.connection,
            metadata=profile.metadata,
            availability=profile.availability,
            dialect=opened.dialect if opened else "",
            address=opened.address if opened else "",
            agent=opened.agent if opened else "",
        )
        yield Fact(
            events.ConnectionOpened(
                app=command.app,
                connection_id=command.connection,
                user_id=profile.user_id,
                device_id=profile.device_id,
                metadata=profile.metadata,
                dialect=opened.dialect if opened else "",
            ),
            subject=command.connection,
        )

    def _closed(self, command: c.Closed, at: Place) -> Iterator[Output]:
        for row in self.rows.registry.closed(command, at):
            yield self._gone(row, command.reason, command.code, at, command.frames_in, command.frames_out)

    def _set(self, command: c.PresenceSet, at: Place) -> Iterator[Output]:
        row = self.rows.registry.heard(command, at, command.profile)
        if row is None:
            return
        profile = self.rows.profiles.get(row.id)
        if profile is None:  # the log that told of its opening is lost
            yield from self._enter(command, command.profile, None)
            profile = replace(self.rows.profiles[row.id], availability="online")
        said = replace(profile, metadata=command.profile.metadata, availability=command.profile.availability)
        self.rows.profiles[row.id] = said
        if (said.effective, said.metadata) != (profile.effective, profile.metadata):
            yield self._changed(row, said)

    def _calling(self, command: c.Calling) -> Iterator[Output]:
        profile = self.rows.profiles.get(command.connection)
        if profile is None:
            return  # it is over already
        self.rows.call(profile.id, command.call, lasting=command.lasting)
        now = self.rows.profiles[profile.id]
        if now.effective != profile.effective:
            yield self._changed(self.rows.registry.connections[profile.id], now)

    def _in_room(self, command: c.InRoom) -> None:
        if not command.member:
            self.rows.leave(command.connection, command.room)
        elif command.connection in self.rows.profiles:
            self.rows.enter(command.connection, command.room)

    def _described(self, command: c.Describe) -> Reply:
        row, profile = (
            self.rows.registry.connections.get(command.connection),
            self.rows.profiles.get(command.connection),
        )
        if row is None or profile is None or not row.live or row.app != command.app:
            return Reply(command.reply, _NO_CONNECTION)
        described = {
            "gateway": row.gateway,
            "session": row.session,
            "connectedAt": row.opened_at,
            "address": profile.address,
            "agent": profile.agent,
        }
        return Reply(command.reply, described)

    def _changed(self, row: Connection, profile: Profile) -> Fact:
        return Fact(
            events.PresenceChanged(
                app=row.app,
                connection_id=row.id,
                user_id=row.user,
                device_id=row.device,
                availability=profile.effective,
                metadata=profile.metadata,
            ),
            subject=row.id,
        )

    def _end(self, due: list[Connection], reason: c.Reason, at: Place) -> Iterator[Output]:
        """End connections of a gateway that cannot speak for them, each for itself."""
        for row in due:
            yield Apart(self._ends(row, reason, at))

    def _ends(self, row: Connection, reason: c.Reason, at: Place) -> Iterator[Output]:
        yield from self._ended([self.rows.registry.end(row, at)], reason, _UNSEEN, at)

    def _ended(self, rows: list[Connection], reason: c.Reason, code: int, at: Place) -> Iterator[Output]:
        """Make the ends of connections known, in an order that does not depend on how they came into memory."""
        for row in sorted(rows, key=lambda row: row.id):
            yield self._gone(row, reason, code, at)

    def _gone(
        self, row: Connection, reason: c.Reason, code: int, at: Place, frames_in: int = 0, frames_out: int = 0
    ) -> Fact:
        self.rows.forget(row.id)
        return Fact(
            events.ConnectionClosed(
                app=row.app,
                connection_id=row.id,
                user_id=row.user,
                device_id=row.device,
                reason=reason,
                code=code,
                duration_ms=at.time - row.opened_at,
                frames_in=frames_in,
                frames_out=frames_out,
            ),
            subject=row.id,
        )


_NO_CONNECTION: Final = {"code": ErrorCode.GONE, "message": "No such connection: it is closed, or never was."}

_UNSEEN = CloseCode.ABNORMAL
"""The close code of a socket whose end nobody saw."""
