"""How far two sides have come with their negotiation: which candidates still count, which offers wait for an answer."""

import re
from typing import Final, TypeVar

from msgspec import Struct

from parley.protocol.table import Table
from parley.rooms.content import Signaling

UFRAG: Final = re.compile(r"a=ice-ufrag:(\S{1,256})(?!\S)")
"""A fragment as RFC 8839 lets it be; longer ones are nobody's, and would be kept for each pair."""

MOST_CURRENT: Final = 64
"""How many different ones of a description are kept; browsers write one, or one for each of its media."""

REMEMBERED: Final = 16
"""How many ufrags of earlier descriptions are told from unknown ones."""

Key = TypeVar("Key", bound=tuple[str, ...])
Row = TypeVar("Row")


class Side(Struct, frozen=True):
    """What one connection has described to another, by the fragments that its candidates name."""

    sender: str
    to: str
    current: tuple[str, ...]
    earlier: tuple[str, ...] = ()


class Offer(Struct, frozen=True):
    """An offer that waits for its answer: to one connection, or to a whole room (then `to` is empty)."""

    offerer: str
    to: str
    room: str
    app: str
    due: int
    """Milliseconds: when it counts as failed."""


class OfPairs(Table[Key, Row]):
    """Rows whose key begins with two connections, also by each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[str, dict[Key, None]] = {}

    def index(self, key: Key, old: Row | None, new: Row | None) -> None:
        """Keep the derived index."""
        for connection in dict.fromkeys(key[:2]):
            if new is None and old is not None:
                del self.of[connection][key]
                if not self.of[connection]:
                    del self.of[connection]
            elif old is None:
                self.of.setdefault(connection, {})[key] = None

    def forget(self, connection: str) -> None:
        """Delete the rows of a connection; it is closed."""
        for key in list(self.of.get(connection, ())):
            del self[key]


class Negotiations:
    """The negotiations of those who live in this partition, and of its rooms."""

    def __init__(self) -> None:
        self.sides: OfPairs[tuple[str, str], Side] = OfPairs()
        self.offers: OfPairs[tuple[str, str, str], Offer] = OfPairs()

    def stale(self, sender: str, to: str, said: Signaling) -> bool:
        """Whether a candidate belongs to a description that its sender has replaced; descriptions are noted."""
        side = self.sides.get((sender, to))
        if said.step == "candidate":
            return side is not None and said.ufrag in side.earlier and said.ufrag not in side.current
        found = tuple(dict.fromkeys(UFRAG.findall(said.sdp)))[:MOST_CURRENT]
        if found and (side is None or side.current != found):
            earlier = () if side is None else (*side.earlier, *side.current)[-REMEMBERED:]
            self.sides[sender, to] = Side(sender, to, found, earlier)
        return False

    def offered(self, offer: Offer) -> None:
        """Wait for an answer; another offer of the same two begins the wait anew."""
        self.offers[offer.offerer, offer.to, offer.room] = offer

    def answered(self, offerer: str, to: str, room: str = "") -> None:
        """Wait no longer."""
        if (offerer, to, room) in self.offers:
            del self.offers[offerer, to, room]

    def overdue(self, now: int) -> list[Offer]:
        """Return the offers that nobody has answered in time, once."""
        late = [offer for _, offer in sorted(self.offers.rows(), key=_key) if offer.due <= now]
        for offer in late:
            self.answered(offer.offerer, offer.to, offer.room)
        return late

    def forget(self, connection: str) -> None:
        """Drop what a connection had begun with others."""
        self.sides.forget(connection)
        self.offers.forget(connection)


def _key(item: tuple[tuple[str, str, str], Offer]) -> tuple[str, str, str]:
    return item[0]
