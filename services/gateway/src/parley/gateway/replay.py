"""
What connections missed, read again from the log of deliveries and written in its order (design section 6, resume).

A client that comes back to another gateway has missed what was written for its
last ones. We read their subjects and our own, from a while before the last
place that the client knows: what is not above that place only rebuilds the
marks by which repetitions are told, the rest is written. When every partition
has said, in our own subject, that it speaks to us now, nothing more can come
from the old ones, and the connection is live.
"""

from collections.abc import Iterable
from time import time
from typing import Final

from parley.gateway.connection import Back, Connection
from parley.gateway.deliveries import PER_MESSAGE, prepared, readable
from parley.gateway.notes import told as noted
from parley.protocol.envelope import CloudEvent
from parley.protocol.outputs import Told
from parley.protocol.says import Attached, ChatOk, Error, JoinOk, MemberLeft, Ok, ToClient, ToGateway

ANSWERS: Final = (Ok, JoinOk, ChatOk, Error)


class Returning:
    """One connection on its way to being live."""

    def __init__(self, connection: Connection, back: Back, partitions: Iterable[int]) -> None:
        """*partitions* are those that have not said yet that they speak to us."""
        self.connection = connection
        self.last = back.n
        """The last place that the client has, or that was written to it."""
        self.missing = set(partitions)

    def tell(self, say: ToClient, n: int) -> None:
        """Write what it missed."""
        if n <= self.last:
            return
        self.last = n
        session = self.connection.session
        said = session.dialect.encode(say, n)
        if callable(said):
            said = said(self.connection.id)
        if said is not None:
            self.connection.write(prepared(said), noted(time(), say, len(said)))
        if isinstance(say, ANSWERS) and say.ref is not None:
            session.answered(say.ref)
        if isinstance(say, Error) or (isinstance(say, MemberLeft) and say.connection_id == self.connection.id):
            session.is_out_of(say.room)

    def attached(self, say: Attached) -> bool:
        """Note a partition that speaks to us, perhaps of an earlier session; return whether it was the last."""
        if say.session != self.connection.session.number:
            return False
        self.missing.discard(say.partition)
        self.connection.session.is_in(say.rooms)
        return not self.missing


class Replay:
    """One reading for several connections. It has no I/O: entries go in, frames come out."""

    def __init__(self, returning: Iterable[Returning]) -> None:
        self._returning = {one.connection.id: one for one in returning}
        self._marks: dict[tuple[str, str, int], tuple[int, int]] = {}

    def __bool__(self) -> bool:
        """Whether anybody still waits."""
        return any(one.connection.socket is not None for one in self._returning.values())

    def read(self, sequence: int, subject: str, message: bytes) -> None:
        """Write what one message of DELIVERIES holds for those who missed it."""
        batch = readable(sequence, message)
        complete: list[Returning] = []
        for index, event in enumerate(batch.events):
            if event is None or not self._is_new(subject, event, batch.partition):
                continue
            n = sequence * PER_MESSAGE + index
            for receiver in event.data.to:
                one = self._returning.get(receiver)
                if one is not None and self._tell(one, event.data, n):
                    complete.append(one)
        for one in complete:
            del self._returning[one.connection.id]
            one.connection.live(sequence * PER_MESSAGE + len(batch.events))

    def _is_new(self, subject: str, event: CloudEvent[Told], partition: int) -> bool:
        mark = (subject, event.source, partition)
        place = (event.data.sequence, event.data.index)
        if place <= self._marks.get(mark, (0, -1)):
            return False
        self._marks[mark] = place
        return True

    def _tell(self, one: Returning, told: Told, n: int) -> bool:
        """Say one thing to one connection; return whether it is complete with that."""
        say = told.say
        if isinstance(say, Attached):
            return one.attached(say)
        if not isinstance(say, ToGateway):  # what is said to gateways, the reader of our own subject obeys
            one.tell(say, n)
        return False
