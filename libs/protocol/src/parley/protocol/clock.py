"""Times as they are written: RFC 3339 in UTC with milliseconds. Reading a clock is not done here."""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(milliseconds: int) -> str:
    """Return milliseconds since the epoch as ``2026-01-31T12:00:00.123Z``."""
    moment = EPOCH + timedelta(milliseconds=milliseconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


def milliseconds(text: str) -> int:
    """Return an RFC 3339 time as milliseconds since the epoch; ValueError if it is none or names no zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone; end it with Z")
    return (moment - EPOCH) // timedelta(milliseconds=1)
