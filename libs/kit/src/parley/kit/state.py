"""
What a service gives the owner of its partitions: its rules over rows in memory, and the SQL that keeps the rows.

This page is the contract between a service and the owner's loop (owner.py). A service writes one class that is a
``State``; for the ``Store`` it lists its SQL tables (rows.py):

    class Rooms:                                   # is a State
        def __init__(self, partition: int) -> None: ...

    store = Rows(Rooms, [Kept(models.rooms, Room), Kept(models.members, Member)])

    async with partitions(bus, db, service="rooms", count=16, store=store, tables=models.ownership) as owned:
        ...

What the owner promises to the rules:

- Events of a partition come one at a time, in the order of the log, each batch once; time never goes back.
- Facts are acknowledged by EVENTS before anything of the same round is delivered, forwarded or replied.
- Outputs of a round are said at least once, always in the same words with the same ids; gateways and EVENTS drop the
  repetitions. Forwards and replies can be said twice.
- After a takeover the state is that of an earlier point of the log, and the events since then come again.

What the rules promise to the owner:

- The same state and event give the same outputs **in the same order**: no clock, no randomness, no settings, no
  iteration over a set. After a restore the rows come back in the order of their keys, not of their insertion: whatever
  makes outputs by iterating over several rows sorts them.
- All state is in ``tables()``. What is derived from them is kept by ``Table.index``.
- A row's fields are what is written: a value that JSON can say.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from parley.protocol.commands import AnyCommand, FromConnection
from parley.protocol.envelope import CloudEvent, Place
from parley.protocol.outputs import Output
from parley.protocol.table import Table


class State(Protocol):
    """One partition's state in one service: rows in memory, and the rules that change them."""

    moves: Sequence[type[FromConnection]]
    """Commands that move a connection to another gateway: what it was told before is stored before what comes after."""

    def tables(self) -> Sequence[Table[Any, Any]]:
        """Everything that is checkpointed, always the same tables in the same order."""

    def reduce(self, event: CloudEvent[AnyCommand], at: Place) -> Iterable[Output]:
        """
        Change the rows and return what is to be said.

        When this raises, or yields what cannot be encoded or is too large for the bus, the rows are put back and
        ``failed`` speaks instead. An `Apart` of it can so fail by itself. The rules never call ``keep`` or ``undo``.
        """

    def failed(self, event: CloudEvent[AnyCommand], at: Place, error: Exception) -> Iterable[Output]:
        """Return an error to the event's sender, and the fact ``event.failed``. May change rows, too."""

    def log_lost(self, at: Place) -> Iterable[Output]:
        """
        Close everything that is held: the log that it came from is gone (NATS was wiped under a kept database).

        Called once, before the first event of the new log; *at* has sequence 0 and the time when the new log began.
        """

    def call_of(self, command: AnyCommand) -> str | None:
        """Return the id of the call that a command belongs to, as far as is known: for traces, nothing else."""

    def gateways(self) -> Iterable[tuple[str, bool]]:
        """
        Every gateway that holds live connections of this state, and whether it counts as lost here.

        The owner compares them with the leases: for one without a lease that does not count as lost it writes
        `GatewayLost` into the partition a TTL later, for one with a lease that does, `GatewayBack`. It says so again
        every few seconds for as long as this disagrees, and every service that watches writes: both commands must
        change nothing the second time.
        """

    def waiting(self) -> bool:
        """Whether time matters now. While it does the owner writes a `Tick` into the partition every second."""


class Changes(NamedTuple):
    """What a checkpoint writes of one partition, besides its cursor."""

    partition: int
    rows: Sequence[Mapping[Any, Any]]
    """For each of the state's tables: the row as it is now by key, None if it is gone."""


class Store(Protocol):
    """The rows of one service in PostgreSQL; `parley.kit.rows.Rows` is all that most services need."""

    async def load(self, db: AsyncConnection, partition: int) -> State:
        """Return the partition's state as the last checkpoint left it."""

    async def save(self, db: AsyncConnection, changes: Sequence[Changes]) -> None:
        """Write changes of several partitions; the caller owns the transaction, and may repeat it."""
