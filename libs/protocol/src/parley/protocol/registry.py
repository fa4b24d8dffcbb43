"""Which connections live, where, and in which session: one set of rules for presence and for rooms.

Both services read the same commands of class ``c`` in the same order and run
these same rules over them, so both reach the same answer without asking each
other. A connection's life on one gateway is a session; an event of an older
session than the newest known is void, and so is one of a session that is
closed here (design section 6).
"""

from collections.abc import Iterator
from operator import itemgetter
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from parley.protocol.commands import FromConnection, Moved, Opened, Profile, Resume
from parley.protocol.envelope import Place
from parley.protocol.table import Table

GRACE_MS: Final = 30_000
"""How long a connection that can resume outlives its gateway."""

REMEMBER_CLOSED_MS: Final = 15 * 60_000
"""How long a closed session is known as closed: longer than any gateway may be blind and still write."""


REPLAY_MS: Final = 5 * 60_000
"""How long what was written for a connection can be read: the age of DELIVERIES."""


class Stay(Struct, frozen=True):
    """A gateway that a connection has left, and when, in milliseconds."""

    gateway: str
    until: int


class Connection(Struct, frozen=True, kw_only=True):
    """A connection as this partition knows it."""

    app: str
    id: str
    session: int
    gateway: str
    resumable: bool = False
    user: str | None = None
    device: str | None = None
    subject: str | None = None
    """Whom its token names: what a device is called by, so that nobody evicts another's."""
    opened_at: int = 0
    """Milliseconds; when this partition first heard of it."""
    closed_at: int | None = None
    before: tuple[Stay, ...] = ()
    """At its home: where it lived before, as long as what was written there can still be read."""
    attempt: int = 0
    """At its home: the highest number that its client has given an attempt to resume it."""

    @property
    def live(self) -> bool:
        """Whether frames can be delivered to it, as far as this partition knows."""
        return self.closed_at is None


class LostGateway(Struct, frozen=True):
    """A gateway without a lease; its connections wait for the grace to end."""

    gateway: str
    since: int
    """Milliseconds."""


class Connections(Table[str, Connection]):
    """Connections by id; live ones also by gateway and by device, closed ones by age."""

    def __init__(self) -> None:
        super().__init__()
        self.of_gateway: dict[str, dict[str, None]] = {}
        self.of_device: dict[tuple[str, str | None, str], str] = {}
        self.closed: dict[str, int] = {}
        """When each closed one was closed; `by_age` puts them in that order."""
        self._youngest = 0
        self._disordered = False

    def by_age(self) -> Iterator[tuple[str, int]]:
        """Closed connections, the longest closed first: also after a restore, which comes in the order of keys."""
        if self._disordered:
            self.closed = dict(sorted(self.closed.items(), key=itemgetter(1, 0)))
            self._disordered = False
        return iter(self.closed.items())

    def index(self, key: str, old: Connection | None, new: Connection | None) -> None:
        """Keep the three derived indexes."""
        if old is not None:
            if old.live:
                there = self.of_gateway[old.gateway]
                del there[key]
                if not there:
                    del self.of_gateway[old.gateway]
                if old.device is not None and self.of_device.get(_device(old)) == key:
                    del self.of_device[_device(old)]
            else:
                del self.closed[key]
        if new is not None:
            if new.live:
                self.of_gateway.setdefault(new.gateway, {})[key] = None
                if new.device is not None:
                    self.of_device[_device(new)] = key
            else:
                closed_at = self.closed[key] = new.closed_at or 0
                self._disordered = self._disordered or closed_at < self._youngest
                self._youngest = max(self._youngest, closed_at)


class Registry:
    """The rules. Each returns the connections whose life ended by it; what that means is its caller's.

    Where there may be many at once they are returned as they live, and the caller ends each for itself with `end`, so
    that one whose end fails holds up no others.
    """

    def __init__(self) -> None:
        self.connections = Connections()
        self.lost: Table[str, LostGateway] = Table()

    def opened(self, command: Opened, at: Place) -> list[Connection]:
        """Enter a new connection; return the one of the same device that it replaces, if any."""
        self._forget(at.time)
        self.gateway_back(at.writer)
        profile = command.profile
        row = Connection(
            app=command.app,
            id=command.connection,
            session=command.session,
            gateway=at.writer,
            resumable=command.resumable,
            user=profile.user_id,
            device=profile.device_id,
            subject=command.subject,
            opened_at=at.time,
        )
        ended = []
        if row.device is not None:
            stale = self.connections.of_device.get(_device(row))
            if stale is not None and stale != row.id:
                ended.append(self.end(self.connections[stale], at))
        self.connections[row.id] = row
        return ended

    def resumed(self, command: Resume, at: Place) -> tuple[Connection, Connection] | None:
        """Begin the next session of a connection, at its home.

        Return the connection as it was and as it is, None if there is none that can be resumed. One that lives
        elsewhere is taken over: of two who hold its token the later one has it. Which is later, the attempts'
        numbers say: a lower one than another's was given up, and moves nothing, however late it comes.
        """
        was = self.connections.get(command.connection)
        if was is None or not was.live or not was.resumable or was.app != command.app:
            return None
        attempt = was.attempt if command.count is None else command.count
        if attempt < was.attempt:
            return was, was
        self.gateway_back(at.writer)
        recent = [stay for stay in was.before if at.time - stay.until < REPLAY_MS and stay.gateway != was.gateway]
        before = (*recent, Stay(was.gateway, at.time))
        now = replace(was, session=was.session + 1, gateway=at.writer, before=before, attempt=attempt)
        self.connections[now.id] = now
        return was, now

    def moved(self, command: Moved, at: Place) -> Connection:
        """Note, away from its home, the session that its home began; return the newest known."""
        self.gateway_back(at.writer)
        row = self.connections.get(command.connection)
        if row is None:
            row = Connection(
                app=command.app,
                id=command.connection,
                session=command.session,
                gateway=at.writer,
                resumable=command.resumable,
                opened_at=at.time,
            )
            self.connections[row.id] = row
        elif command.session > row.session:
            row = replace(row, session=command.session, gateway=at.writer, closed_at=None)
            self.connections[row.id] = row
        return row

    def heard(
        self, command: FromConnection, at: Place, profile: Profile | None = None, *, resumable: bool = False
    ) -> Connection | None:
        """Return the connection that a command speaks for, entering it if unknown; None if the command is void."""
        row = self.connections.get(command.connection)
        if row is None:
            row = Connection(
                app=command.app,
                id=command.connection,
                session=command.session,
                gateway=at.writer,
                resumable=resumable,
                user=None if profile is None else profile.user_id,
                opened_at=at.time,
            )
            self.connections[row.id] = row
        elif command.session < row.session or (command.session == row.session and not row.live):
            return None
        elif command.session > row.session:
            row = replace(row, session=command.session, gateway=at.writer, closed_at=None)
            self.connections[row.id] = row
        if resumable and not row.resumable:  # it was entered by a command that does not say so: the first one failed
            row = replace(row, resumable=True)
            self.connections[row.id] = row
        return row

    def closed(self, command: FromConnection, at: Place) -> list[Connection]:
        """End a session; nothing where a newer one is known or this one is closed already."""
        self._forget(at.time)
        row = self.connections.get(command.connection)
        if row is None or command.session < row.session or not row.live:
            return []
        return [self.end(replace(row, session=command.session), at)]

    def removed(self, connection: str, app: str, at: Place) -> list[Connection]:
        """End a connection at a backend's word."""
        row = self.connections.get(connection)
        return [self.end(row, at)] if row is not None and row.live and row.app == app else []

    def gateway_lost(self, gateway: str, at: Place) -> list[Connection]:
        """Note that a gateway holds no lease; return its connections that can't resume, which are to be ended.

        It is noted also where it has no connections: presence has fewer than rooms, and both must see its grace end
        at the same place in the log.
        """
        if gateway in self.lost:
            return []
        self.lost[gateway] = LostGateway(gateway, at.time)
        here = [self.connections[id_] for id_ in sorted(self.connections.of_gateway.get(gateway, ()))]
        return [row for row in here if not row.resumable]

    def gateway_back(self, gateway: str) -> None:
        """Note that the gateway was only asleep.

        So it was if it takes a connection in, which is to have the whole grace, should the gateway be missed again.
        """
        if gateway in self.lost:
            del self.lost[gateway]

    def tick(self, at: Place) -> list[Connection]:
        """Return what a lost gateway still held when the grace was over, which is to be ended.

        The gateway is then no longer known as lost. If it has connections still, because their end failed, it will be
        found without a lease again, and they are tried again.
        """
        due = []
        for gateway, lost in sorted(self.lost.rows(), key=_key):
            if at.time - lost.since >= GRACE_MS:
                here = sorted(self.connections.of_gateway.get(gateway, ()))
                due += [self.connections[id_] for id_ in here]
                del self.lost[gateway]
        return due

    def living(self) -> list[Connection]:
        """Return every connection that lives, which are to be ended when the log that they came from is gone."""
        return [row for _, row in sorted(self.connections.rows(), key=_key) if row.live]

    def end(self, row: Connection, at: Place) -> Connection:
        """End a connection."""
        ended = replace(row, closed_at=at.time)
        self.connections[row.id] = ended
        return ended

    def _forget(self, now: int) -> None:
        """Drop sessions that closed so long ago that nobody can write for them any more."""
        old = []
        for id_, closed_at in self.connections.by_age():
            if now - closed_at < REMEMBER_CLOSED_MS:
                break
            old.append(id_)
        for id_ in old:
            del self.connections[id_]


def _device(row: Connection) -> tuple[str, str | None, str]:
    assert row.device is not None
    return row.app, row.subject, row.device


def _key(item: tuple[str, object]) -> str:
    return item[0]
