"""Where the parts of a system do not agree, connection by connection, member by member, call by call. No I/O."""

from collections.abc import Iterator
from typing import Final

import msgspec

from parley.cli.accounts import Accounts, Held, Membership, Person, Session

GRACE_SECONDS: Final = 30.0
"""How long connections that can resume outlive their gateway."""
LATE_SECONDS: Final = 10.0
"""How much later owners may act on it."""


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that two parts do not agree about."""

    kind: str
    message: str
    app: str | None = None
    connection: str | None = None
    room: str | None = None
    call: str | None = None

    @property
    def identity(self) -> tuple[str | None, ...]:
        """What it is about, however it is put."""
        return self.kind, self.app, self.connection, self.room, self.call


def differences(said: Accounts) -> Iterator[Difference]:
    """Compare what the parts say."""
    yield from _sockets(said)
    yield from _registries(said)
    yield from _members(said)
    yield from _calls(said)
    yield from _callers(said)


def _sockets(said: Accounts) -> Iterator[Difference]:
    """Gateways against presence."""
    by_id = {person.id: (person, session) for person, session in said.presence.items()}
    for gateway, holding in said.holdings.items():
        for held in holding.connections:
            person, session = by_id.get(held.connection_id, (None, None))
            if held.open and session != Session(gateway, held.session):
                yield _difference(
                    "socket",
                    f"{gateway} holds its socket in session {held.session}; presence {_has(session)}",
                    person or Person("", held.connection_id),
                )
    held_by = {gateway: _sessions(holding.connections) for gateway, holding in said.holdings.items()}
    for person, session in said.presence.items():
        if session.gateway in held_by:
            if (person.id, session.number) not in held_by[session.gateway]:
                message = f"presence {_has(session)}, and {session.gateway} does not hold it"
                yield _difference("no-socket", message, person)
        elif said.leases is not None and session.gateway not in said.leases:
            grace = said.graces.get(session.gateway)
            if grace is None or grace > GRACE_SECONDS + LATE_SECONDS:
                since = (
                    "nobody has noticed" if grace is None else f"the grace was over {grace - GRACE_SECONDS:.0f} s ago"
                )
                message = f"presence {_has(session)}, a gateway that is gone; {since}"
                yield _difference("no-gateway", message, person)


def _registries(said: Accounts) -> Iterator[Difference]:
    """Presence against rooms: who lives, and where."""
    for person, home in said.homes.items():
        if (home, person) not in said.rooms:
            yield _difference("not-in-rooms", f"presence {_has(said.presence[person])}; rooms has it not", person)
    for (partition, person), session in said.rooms.items():
        known = said.presence.get(person)
        if known is None:
            message = f"rooms (partition {partition}) {_has(session)}; presence has it not"
            yield _difference("not-in-presence", message, person)
        elif known != session:
            message = f"rooms (partition {partition}) {_has(session)}; presence {_has(known)}"
            yield _difference("elsewhere", message, person)


def _members(said: Accounts) -> Iterator[Difference]:
    """Presence against rooms: who is in which room."""
    for membership in said.presence_members - said.rooms_members.keys():
        yield _membership("member-not-in-rooms", "presence has it in the room; rooms has not", membership)
    for membership in said.rooms_members.keys() - said.presence_members:
        yield _membership("member-not-in-presence", "rooms has it in the room; presence has not", membership)
    for connection, room in said.homeless:
        message = "presence has it in the room, and not among the connections that live"
        yield Difference("member-without-connection", message, connection=connection, room=room)
    for membership, partition in said.rooms_members.items():
        person = Person(membership.app, membership.connection)
        if person in said.presence and (partition, person) not in said.rooms:
            message = "rooms has it in the room, and not among the connections that live"
            yield _membership("member-without-connection", message, membership)


def _calls(said: Accounts) -> Iterator[Difference]:
    """Rooms against history: which calls are open."""
    for (app, call), room in said.rooms_calls.items():
        if (app, call) not in said.history_calls:
            message = "it is open in rooms, and not in history"
            yield Difference("call-not-in-history", message, app=app, call=call, room=room)
    for (app, call), room in said.history_calls.items():
        if (app, call) not in said.rooms_calls:
            message = "it is open in history, and not in rooms"
            yield Difference("call-not-in-rooms", message, app=app, call=call, room=room)


def _callers(said: Accounts) -> Iterator[Difference]:
    """Rooms against presence: who is in a call."""
    for part in said.rooms_parts - said.presence_parts:
        message = "rooms has it in the call; presence has not"
        yield Difference("caller-not-in-presence", message, connection=part.connection, call=part.call)
    for part in said.presence_parts - said.rooms_parts:
        message = "presence has it in the call; rooms has not"
        yield Difference("caller-not-in-rooms", message, connection=part.connection, call=part.call)


def _sessions(held: list[Held]) -> set[tuple[str, int]]:
    return {(each.connection_id, each.session) for each in held}


def _has(session: Session | None) -> str:
    return "has it not" if session is None else f"has it in session {session.number} on {session.gateway}"


def _difference(kind: str, message: str, person: Person) -> Difference:
    return Difference(kind, message, app=person.app or None, connection=person.id)


def _membership(kind: str, message: str, of: Membership) -> Difference:
    return Difference(kind, message, app=of.app, room=of.room, connection=of.connection)
