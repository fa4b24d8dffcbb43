"""
What refusals without a ref are about.

They do not say it, but each has its place. A gateway refuses at once, in the order of the frames, so what it refused
by ref tells between which frames the others were; that the client heard of it later than it said more means nothing,
as frames wait for a connection to be live, and are then refused together. A room's owner refuses a word only of who
was out by then: had asked to leave, and not to join again. And what somebody has heard was not refused.
"""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from chaos.life import Life, Plain, Request, Socket
from chaos.violation import Key, Violation, key


def settle(lives: Sequence[Life]) -> Iterator[Violation]:
    """Mark what was said without a ref and refused, or said outside; yield the refusals that are about nothing."""
    heard = {said for life in lives for stay in life.stays for said in stay.heard}
    for life in lives:
        for _ in range(sum(_gateway(life, socket, heard) for socket in life.sockets)):
            yield Violation("refusals", _who(life), "was refused without a ref: degraded")
        for _ in range(_owner(life, heard)):
            yield Violation("refusals", _who(life), "was refused without a ref: not a member, and it was one")


def _gateway(life: Life, socket: Socket, heard: AbstractSet[Key]) -> int:
    """Mark what was refused on a socket, the last words that it can be; return how many refusals are left over."""
    left_over, end = 0, len(socket.said)
    for refusal, begin in reversed(list(zip(socket.refused, _begins(socket), strict=True))):
        if refusal.place is not None:
            end = refusal.place
            continue
        for place in reversed(range(begin, min(end, refusal.until))):
            plain = socket.said[place]
            if isinstance(plain, Plain) and not _is_heard(life, plain, heard):
                plain.refused, end = True, place
                break
        else:
            left_over += 1
    return left_over


def _begins(socket: Socket) -> Iterator[int]:
    """Yield for each refusal what is behind the last one before it that had a ref."""
    begin = 0
    for refusal in socket.refused:
        yield begin
        if refusal.place is not None:
            begin = refusal.place + 1


def _owner(life: Life, heard: AbstractSet[Key]) -> int:
    """Mark what was said outside; return how often the client was refused as no member for nothing of that."""
    moves = [one for one in life.requests.values() if one.frame.action in {"join", "leave"}]
    for plain in life.plain:
        plain.outside = _is_outside(plain, moves)
    words = [one for one in life.plain if one.outside and not one.refused and not _is_heard(life, one, heard)]
    left_over = 0
    for said in life.not_member:
        if words and words[0].order <= said:
            del words[0]
        else:
            left_over += 1
    return left_over


def _is_outside(plain: Plain, moves: Iterable[Request]) -> bool:
    """Whether the last thing that was asked about the room before, and may have been done, was to leave it."""
    last = None
    for move in moves:
        if move.order < plain.order and move.frame.room == plain.frame.room and (move.ok or move.answer is None):
            last = move
    return last is not None and last.frame.action == "leave" and last.ok


def _is_heard(life: Life, plain: Plain, heard: AbstractSet[Key]) -> bool:
    return key(life.id, plain.frame.data) in heard


def _who(life: Life) -> str:
    return f"{life.client} ({life.id})"
