"""Spans of time in equal steps, as a chart has them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from parley.history.parameters import in_order, moment
from parley.protocol.codes import ErrorCode, Refusal

MAX_STEPS: Final = 1000

SECOND: Final = 1000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

LENGTHS: Final[Mapping[str, int]] = {"second": SECOND, "minute": MINUTE, "hour": HOUR, "day": DAY}
"""Milliseconds of each step."""
USUAL: Final[Mapping[str, int]] = {"second": 10 * MINUTE, "minute": HOUR, "hour": DAY, "day": 30 * DAY}
"""How much of the past is shown when nobody says how much."""


class Span(Struct, frozen=True):
    """Whole steps, from *begin* on and before *end*, in milliseconds since the epoch."""

    begin: int
    end: int
    length: int
    """Of a step."""

    @property
    def since(self) -> datetime:
        """The begin, as PostgreSQL takes it."""
        return moment(self.begin)

    @property
    def until(self) -> datetime:
        """The end, as PostgreSQL takes it."""
        return moment(self.end)

    @property
    def step(self) -> timedelta:
        """A step, as PostgreSQL takes it."""
        return timedelta(milliseconds=self.length)

    def times(self) -> range:
        """Return when each step begins."""
        return range(self.begin, self.end, self.length)


def span(since: int | None, until: int | None, step: str, now: int) -> Span:
    """
    Return the steps that *since* and *until* touch, in milliseconds; what is left out is as usual, up to *now*.

    Refusal if they are too many, or go backwards.
    """
    length = LENGTHS[step]
    until = until if until is not None else now if since is None else max(now, since)
    since = since if since is not None else until - USUAL[step]
    in_order(since, until)
    begin, end = since // length * length, -(-until // length) * length
    if end - begin > MAX_STEPS * length:
        longer = [name for name, other in LENGTHS.items() if other > length]
        advice = f"ask for {' or '.join(longer)}s, or for less" if longer else "ask for less"
        raise Refusal(
            ErrorCode.BAD_REQUEST,
            f"That are {(end - begin) // length:,} steps of a {step}, and {MAX_STEPS:,} is the most: {advice}.",
        )
    try:
        moment(begin), moment(end)
    except OverflowError:
        raise Refusal(ErrorCode.BAD_REQUEST, "That span leaves the years 1 to 9999: ask for less.") from None
    return Span(begin, end, length)
