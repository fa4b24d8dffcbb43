"""How connections take addresses, and how letters reach whoever holds one."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from parley.protocol import events, says
from parley.protocol.codes import CloseCode, ErrorCode
from parley.protocol.commands import Asked
from parley.protocol.envelope import Place
from parley.protocol.outputs import Deliver, Fact, Output
from parley.protocol.requests import Letter, Register, Release, Step
from parley.rooms import calls
from parley.rooms.addresses import Address, Holder, Waiting
from parley.rooms.rows import Rows

PER_BATCH: Final = 65_536
"""More than a batch holds commands: a letter's number is its place in the log."""

FULL: Final = "Too much waits there already; try again when somebody has taken it."


def register(rows: Rows, command: Asked, request: Register, at: Place) -> Iterator[Output]:
    """Give an address to a connection, with what waits there; or not, if another secret holds it."""
    address = (command.app, request.box, request.name)
    before = rows.post.holders.get(address)
    if before is not None and request.secret is not None and before.secret != request.secret:
        yield from _registered(rows, command, request, "taken")
        row = rows.registry.connections[command.connection]
        close = says.Close(session=row.session, code=CloseCode.NORMAL, reason="left")
        yield Deliver(row.gateway, (command.connection,), close)
        return
    app, box, name = address
    if before is not None and before.connection == command.connection:
        yield from _registered(rows, command, request, "again")
        return
    again = before is not None and request.secret is not None and _is_here(rows, before, at)
    rows.post.holders[address] = Holder(
        app=app,
        box=box,
        name=name,
        connection=command.connection,
        secret=request.secret,
        before=before.connection if before is not None and again else None,
    )
    yield from _registered(rows, command, request, "again" if again else "new")
    for waiting in rows.post.letters.at(address):
        del rows.post.letters[waiting.key]
        yield from _hand_over(rows, waiting, command.connection, at)


def release(rows: Rows, command: Asked, request: Release) -> Iterator[Output]:
    """Free an address, if it is the connection's."""
    address = (command.app, request.box, request.name)
    holder = rows.post.holders.get(address)
    if holder is not None and holder.connection == command.connection:
        del rows.post.holders[address]
    if request.ref is not None:
        yield from rows.to(command.connection, says.Ok(ref=request.ref))


def forget(rows: Rows, connection: str) -> Iterator[Output]:
    """Free what a connection holds; it is closed. What it has written stays for whom it is for.

    Who has taken its place is told that the address is new. PeerJS's client closes its socket before it comes again and
    waits to hear so; the two ways are not equally fast, and the end of the old one may arrive after the new one.
    """
    holders = rows.post.holders
    for address in list(holders.of_connection.get(connection, ())):
        del holders[address]
    for address in sorted(holders.after.get(connection, ())):
        holder = holders[address]
        holders[address] = replace(holder, before=None)
        said = says.Registered(box=holder.box, name=holder.name, outcome="new")
        yield from rows.to(holder.connection, said)


def letter(rows: Rows, command: Asked, request: Letter, at: Place) -> Iterator[Output]:
    """Hand a letter over, or keep it for who takes its address in time."""
    written = Waiting(
        app=command.app,
        box=request.box,
        name=request.name,
        number=at.sequence * PER_BATCH + at.index,
        connection=command.connection,
        sender=request.sender,
        kind=request.kind,
        data=request.data,
        due=at.time + request.keep_ms,
        notify=request.notify,
        step=request.step,
    )
    holder = rows.post.holders.get(written.address)
    if holder is not None:
        yield from _hand_over(rows, written, holder.connection, at)
    elif request.keep_ms:
        if request.replaces:
            _replace(rows, written)
        if not rows.post.room_for(written):
            yield from _too_much(rows, command, request)
            return
        rows.post.letters[written.key] = written
    if request.ref is not None:
        yield from rows.to(command.connection, says.Ok(ref=request.ref))


def undelivered(rows: Rows, at: Place) -> Iterator[Output]:
    """Drop the letters that have waited in vain.

    A sender that wants to know is told when the first is late, and the others that it has at that address go with it:
    candidates come one after another, and peers must not be called absent for each.
    """
    late = sorted((each for _, each in rows.post.letters.rows() if each.due <= at.time), key=_order)
    told = set()
    for waiting in late:
        pair = (waiting.connection, waiting.address)
        if pair in told:
            continue
        if not waiting.notify:
            del rows.post.letters[waiting.key]
            continue
        told.add(pair)
        for other in rows.post.letters.at(waiting.address):
            if other.connection == waiting.connection:
                del rows.post.letters[other.key]
        expired = says.LetterExpired(box=waiting.box, name=waiting.name, sender=waiting.sender)
        yield from rows.to(waiting.connection, expired)


def _too_much(rows: Rows, command: Asked, request: Letter) -> Iterator[Output]:
    """Refuse a letter; a client that knows no refusals is told what it would be if nobody came."""
    connection = command.connection
    yield from rows.to(connection, says.Error(ref=request.ref, code=ErrorCode.RATE_LIMITED, message=FULL))
    if request.notify:
        yield from rows.to(connection, says.LetterExpired(box=request.box, name=request.name, sender=request.sender))


def _is_here(rows: Rows, holder: Holder, at: Place) -> bool:
    """Whether a holder lives on the gateway that speaks; of another it may be a dead one's, that nobody misses yet."""
    row = rows.registry.connections.get(holder.connection)
    return row is not None and row.gateway == at.writer


def _registered(rows: Rows, command: Asked, request: Register, outcome: says.Outcome) -> Iterator[Output]:
    said = says.Registered(box=request.box, name=request.name, outcome=outcome)
    yield from rows.to(command.connection, said)


def _hand_over(rows: Rows, waiting: Waiting, receiver: str, at: Place) -> Iterator[Output]:
    came = says.LetterCame(
        box=waiting.box, name=waiting.name, sender=waiting.sender, kind=waiting.kind, data=waiting.data
    )
    yield from rows.to(receiver, came)
    if waiting.step is not None:
        yield from _negotiation(rows, waiting, receiver, waiting.step, at)


def _negotiation(rows: Rows, waiting: Waiting, receiver: str, step: Step, at: Place) -> Iterator[Output]:
    """Note what step of a negotiation has passed; it makes a call where both are in the room of the box's name."""
    key = (waiting.app, waiting.box)
    sender = waiting.connection
    both = all((*key, connection) in rows.members for connection in (sender, receiver))
    room = waiting.box if both else None
    match step:
        case "offer":
            offered = events.NegotiationOffered(app=waiting.app, room=room, connection_id=sender, to=receiver)
            yield rows.fact(key, offered) if both else Fact(offered, subject=sender)
        case "answer":
            answered = events.NegotiationAnswered(app=waiting.app, room=room, connection_id=sender, to=receiver)
            yield rows.fact(key, answered) if both else Fact(answered, subject=sender)
            if both and sender != receiver:
                yield from calls.pair(rows, key, receiver, sender, at)


def _replace(rows: Rows, written: Waiting) -> None:
    for other in rows.post.letters.at(written.address):
        if (other.sender, other.kind) == (written.sender, written.kind):
            del rows.post.letters[other.key]


def _order(waiting: Waiting) -> tuple[int, Address]:
    return waiting.number, waiting.address
