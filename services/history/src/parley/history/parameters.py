"""What the lists of history have in common in a request: times, and who may ask."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import Query
from msgspec import Meta

from parley.kit.rest import Moment, require
from parley.protocol.clock import EPOCH, rfc3339
from parley.protocol.codes import ErrorCode, Refusal

MAX_NAME: Final = 1024
MAX_WORDS: Final = 256

Milliseconds = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
"""A time in a cursor."""

From = Annotated[Moment | None, Query(alias="from", description="Only from this time on.")]
To = Annotated[Moment | None, Query(description="Only before this time.")]


def in_room(granted: bool) -> None:
    """Refuse a caller who was not granted a room's history."""
    require(granted, "`history` in this room")


def storable(text: str | None, parameter: str) -> str | None:
    """Return a filter as it is; refuse what PostgreSQL does not hold, so that nothing can be found by it."""
    if text is not None and "\0" in text:
        raise Refusal(ErrorCode.BAD_REQUEST, f"`{parameter}` holds the character U+0000: leave it out.")
    return text


def in_order(since: int | None, until: int | None) -> None:
    """Refuse a span of time that ends before it begins."""
    if since is not None and until is not None and since > until:
        raise Refusal(ErrorCode.BAD_REQUEST, "`from` is later than `to`: exchange them.")


def maybe(milliseconds: int | None) -> datetime | None:
    """Return a time as PostgreSQL takes it, if there is one."""
    return None if milliseconds is None else moment(milliseconds)


def moment(milliseconds: int) -> datetime:
    """Return a time as PostgreSQL takes it."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def ms(time: datetime) -> int:
    """Return a time of PostgreSQL's in milliseconds."""
    return (time.astimezone(UTC) - EPOCH) // timedelta(milliseconds=1)


def maybe_rfc3339(time: datetime | None) -> str | None:
    """Return a time of PostgreSQL's as an answer says it, if there is one."""
    return None if time is None else rfc3339(ms(time))
