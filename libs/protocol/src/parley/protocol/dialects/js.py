"""Text as JavaScript's ``String(value)`` writes it, for handlers that did so (protocols.md 2.3)."""

import math
from typing import Any, Final

SAFE_DIGITS: Final = 21
"""From 1e21 on JavaScript writes an exponent."""


class Absent:
    """A member that was not there: JavaScript's ``undefined``."""


ABSENT: Final = Absent()


def string(value: Any) -> str:  # noqa: PLR0911 - one answer per type
    """Return what ``String(value)`` gives for a value that came from JSON."""
    match value:
        case str():
            return value
        case Absent():
            return "undefined"
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return number(_double(value))
        case list():
            return ",".join("" if item is None else string(item) for item in value)
        case _:
            return "[object Object]"


def _double(value: float) -> float:
    """Return the double that JavaScript reads; integers beyond all doubles are infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def number(value: float) -> str:
    """Return a number as JavaScript writes it: the shortest digits that read back as the same double."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    digits, exponent = _shortest(abs(value))
    point = exponent + 1
    if 0 < point <= SAFE_DIGITS:
        text = digits + "0" * (point - len(digits)) if point >= len(digits) else f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:  # noqa: PLR2004 - below 1e-6 JavaScript writes an exponent
        text = "0." + "0" * -point + digits
    else:
        mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
        text = f"{mantissa}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
    return sign + text


def _shortest(value: float) -> tuple[str, int]:
    mantissa, _, exponent = repr(value).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    scale = int(exponent or 0) + len(whole) - 1 - leading
    return digits.rstrip("0") or "0", scale
