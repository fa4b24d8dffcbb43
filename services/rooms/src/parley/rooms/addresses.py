"""Addresses that connections hold, and the letters that wait for somebody to take one: rows, and what is read off them.

PeerJS's peers and the master and viewers of a Kinesis channel find one another so; neither knows connection ids.
"""

from typing import Final

from msgspec import Raw, Struct

from parley.protocol.requests import Step
from parley.protocol.table import Table

MOST_WAITING: Final = 512
"""Letters that may wait for one address; a burst of candidates is a few dozen."""

MOST_BYTES: Final = 512 * 1024
"""What these may have together."""

MOST_SENT: Final = 4 * 1024 * 1024
"""Bytes of what one connection has written to whichever addresses of a partition, and nobody has taken."""

Address = tuple[str, str, str]
"""App, box and name."""

LetterKey = tuple[str, str, str, int]
"""An address, and the letter's number there."""


class Holder(Struct, frozen=True, kw_only=True):
    """Who holds an address."""

    app: str
    box: str
    name: str
    connection: str
    secret: str | None = None
    """With which the same client may come again, and nobody else."""
    before: str | None = None
    """The connection whose place it has taken, until that one is closed."""


class Waiting(Struct, frozen=True, kw_only=True):
    """A letter that waits for somebody to take its address."""

    app: str
    box: str
    name: str
    number: int
    """Orders the letters of an address."""
    connection: str
    """Whose letter it is."""
    sender: str
    kind: str
    data: Raw
    due: int
    """Milliseconds: until when it waits."""
    notify: bool
    step: Step | None

    @property
    def address(self) -> Address:
        """Where it is to go."""
        return self.app, self.box, self.name

    @property
    def key(self) -> LetterKey:
        """Return the key of the row."""
        return self.app, self.box, self.name, self.number


class Writer(Struct, frozen=True, kw_only=True):
    """Who has no connection, and waits outside for a letter to an address."""

    app: str
    box: str
    name: str
    kind: str
    """What the letter must be."""
    reply: str
    """Where it goes."""
    due: int
    """Milliseconds: until when."""

    @property
    def address(self) -> Address:
        """Where the letter will be sent to."""
        return self.app, self.box, self.name


class Holders(Table[Address, Holder]):
    """Holders by address, by connection, and by whose place they have taken."""

    def __init__(self) -> None:
        super().__init__()
        self.of_connection: dict[str, dict[Address, None]] = {}
        self.after: dict[str, dict[Address, None]] = {}

    def index(self, key: Address, old: Holder | None, new: Holder | None) -> None:
        """Keep the derived indexes."""
        if old is not None:
            _drop(self.of_connection, old.connection, key)
            if old.before is not None:
                _drop(self.after, old.before, key)
        if new is not None:
            self.of_connection.setdefault(new.connection, {})[key] = None
            if new.before is not None:
                self.after.setdefault(new.before, {})[key] = None


def _drop(index: dict[str, dict[Address, None]], connection: str, address: Address) -> None:
    addresses = index[connection]
    del addresses[address]
    if not addresses:
        del index[connection]


class Letters(Table[LetterKey, Waiting]):
    """Letters by address, the earliest first, and how much of them is whose."""

    def __init__(self) -> None:
        super().__init__()
        self.of_address: dict[Address, dict[int, None]] = {}
        self.bytes_of: dict[str, int] = {}  # by the connection that has written them

    def index(self, key: LetterKey, old: Waiting | None, new: Waiting | None) -> None:
        """Keep the derived index."""
        for letter, sign in ((old, -1), (new, 1)):
            if letter is not None:
                self._count(letter.connection, sign * len(bytes(letter.data)))
        app, box, name, number = key
        address = app, box, name
        if old is None and new is not None:
            self.of_address.setdefault(address, {})[number] = None
        elif new is None and old is not None:
            numbers = self.of_address[address]
            del numbers[number]
            if not numbers:
                del self.of_address[address]

    def _count(self, connection: str, size: int) -> None:
        total = self.bytes_of.get(connection, 0) + size
        if total:
            self.bytes_of[connection] = total
        else:
            self.bytes_of.pop(connection, None)

    def at(self, address: Address) -> list[Waiting]:
        """Return what waits for an address, in the order in which it came."""
        return [self._rows[*address, number] for number in sorted(self.of_address.get(address, ()))]


class Post:
    """The addresses of this partition."""

    def __init__(self) -> None:
        self.holders = Holders()
        self.letters = Letters()
        self.writers: Table[Address, Writer] = Table()

    def room_for(self, letter: Waiting) -> bool:
        """Whether one more letter may wait at its address, and one more of its sender's anywhere."""
        if self.letters.bytes_of.get(letter.connection, 0) + len(bytes(letter.data)) > MOST_SENT:
            return False
        there = self.letters.at(letter.address)
        size = sum(len(bytes(other.data)) for other in there) + len(bytes(letter.data))
        return len(there) < MOST_WAITING and size <= MOST_BYTES
