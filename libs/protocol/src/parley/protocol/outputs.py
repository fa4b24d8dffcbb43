"""What an owner's rules ask for. The owner's loop performs it, in rounds (design section 6)."""

from collections.abc import Iterable  # noqa: TC003 - msgspec reads it
from typing import Any

from msgspec import Struct

from parley.protocol.commands import AnyCommand
from parley.protocol.envelope import CloudEvent
from parley.protocol.events import Data
from parley.protocol.says import AnySay


class Fact(Struct, frozen=True):
    """A public event, to be published to EVENTS and awaited before anything is delivered."""

    data: Data
    subject: str
    """CloudEvents subject: the room, or the connection."""
    sequence: int | None = None
    """The room's counter of events."""


class Deliver(Struct, frozen=True):
    """Frames for connections of one gateway."""

    gateway: str
    to: tuple[str, ...]
    say: AnySay


class Forward(Struct, frozen=True):
    """A command for a partition, written by this owner. Repeating it must be harmless."""

    partition: int
    command: AnyCommand


class Reply(Struct, frozen=True):
    """The answer to a question from outside, published to its reply subject as JSON."""

    subject: str
    body: Any


class Apart(Struct, frozen=True):
    """A part of an event that stands or falls by itself, so that what cannot be done for one holds up no others.

    Its rows are changed while its outputs are asked for. If that fails, or one of them cannot be said, these rows are
    put back, nothing of the part is said, and the event goes on.
    """

    outputs: "Iterable[Output]"


Output = Fact | Deliver | Forward | Reply | Apart


class Told(Struct, frozen=True):
    """One delivery as its gateway reads it: the data of a CloudEvent in `Deliveries`."""

    sequence: int
    """With `index` and the partition its place: a gateway drops what is not above the last."""
    index: int
    """Ordinal among all deliveries of that log entry."""
    to: tuple[str, ...]
    say: AnySay


class Deliveries(Struct, frozen=True):
    """What one round of one partition's owner has for one gateway."""

    partition: int
    events: list[CloudEvent[Told]]
