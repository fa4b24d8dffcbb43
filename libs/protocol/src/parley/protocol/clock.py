"""Times as they are written: RFC 3339 in UTC with milliseconds. Reading a clock is not done here."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=256)  # an owner writes the same few milliseconds into everything of a round
def rfc3339(milliseconds: int) -> str:
    """Return milliseconds since the epoch as ``2026-01-31T12:00:00.123Z``."""
    moment = EPOCH + timedelta(milliseconds=milliseconds)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def milliseconds(text: str) -> int:
    """Return an RFC 3339 time as milliseconds since the epoch; ValueError if it is none or names no zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone; end it with Z")
    return (moment - EPOCH) // timedelta(milliseconds=1)
