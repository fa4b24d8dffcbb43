"""When to come back: anywhere below a growing bound, so that those who were cut off together come back apart."""

import random
from collections.abc import Callable
from typing import Final

FIRST_SECONDS: Final = 0.25
CAP_SECONDS: Final = 15.0


def wait_before(attempt: int, chance: Callable[[], float] = random.random) -> float:
    """Return the seconds to wait before an attempt, counted from 0; *chance* is in [0, 1)."""
    bound: float = min(CAP_SECONDS, FIRST_SECONDS * 2 ** min(attempt, 30))
    return chance() * bound
