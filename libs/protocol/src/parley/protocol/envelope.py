"""The envelope: CloudEvents 1.0 in JSON, and the frame in which batches of them travel.

CloudEvents extensions are lower-case by the standard: ``traceparent`` (W3C
context), ``partitionkey`` (what order is kept by), ``sequence`` (a counter per
room, without gaps, as text). ``time`` is when the thing happened; what follows
from a client's frame carries on when its gateway received that.
"""

import re
from typing import Final, Generic, TypeVar

from msgspec import UNSET, Struct, UnsetType

Content = TypeVar("Content")

SPECVERSION: Final = "1.0"

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class CloudEvent(Struct, Generic[Content], kw_only=True, frozen=True):
    """One fact or command, with where it came from."""

    specversion: str = SPECVERSION
    id: str
    source: str
    type: str
    subject: str | UnsetType = UNSET
    time: str | UnsetType = UNSET
    partitionkey: str | UnsetType = UNSET
    sequence: str | UnsetType = UNSET
    traceparent: str | UnsetType = UNSET
    call: str | UnsetType = UNSET
    """The call that a traced delivery belongs to; an extension of ours, between owners and gateways."""
    data: Content


def traceparent(given: object) -> str | None:
    """Return a ``traceparent`` that came from outside if it is one; what is not must not travel in our envelopes."""
    if isinstance(given, str) and _TRACEPARENT.fullmatch(given):
        return given
    return None


class Place(Struct, frozen=True):
    """Where in the log an event stands. Time is JetStream's, in milliseconds, and never goes back."""

    partition: int
    sequence: int
    index: int
    """Position in its batch."""
    time: int
    writer: str
    """Who wrote the batch: a gateway's bus name, or a service's."""
