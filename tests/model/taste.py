"""What one schedule has much of, and what little: some clients only come and go, some installations only sleep."""

from collections.abc import Mapping
from random import Random
from typing import Final, NamedTuple

ACTIONS: Final = {"join": 25, "leave": 10, "send": 18, "chat": 14, "report": 6, "signal": 23, "presence": 5, "ping": 5}
FAULTS: Final = {
    "client cut": 30,
    "client away": 3,
    "client says goodbye": 3,
    "client begins anew": 4,
    "gateway killed": 8,
    "gateway asleep": 8,
    "gateway drained": 4,
    "replica killed": 6,
    "replica asleep": 8,
    "replica leaves": 5,
}
SHORT: Final = (100, 2000)
PAST_THE_LEASE: Final = (3000, 9000)
PAST_THE_GRACE: Final = (15_000, 45_000)
NEARLY_THE_GRACE: Final = (31_000, 33_500)
"""Of who has counted as lost for a few seconds less."""


class Taste(NamedTuple):
    """Weights."""

    actions: Mapping[str, float]
    """What clients ask for."""
    faults: Mapping[str, float]
    naps: Mapping[tuple[int, int], float]
    """For how long processes sleep, in milliseconds."""
    rooms: int = 4
    pause: int = 300
    """How long clients think, at most, in milliseconds."""
    struck: float = 0.02
    """How often a process dies or falls asleep over a publish."""


def some(random: Random) -> Taste:
    """Return one of the many."""
    return Taste(
        {action: weight * random.choice((0.1, 1, 5)) for action, weight in ACTIONS.items()},
        {fault: weight * random.choice((0.1, 1, 3)) for fault, weight in FAULTS.items()},
        {SHORT: 50, PAST_THE_LEASE: 42, PAST_THE_GRACE: 4, NEARLY_THE_GRACE: 4},
        rooms=random.choice((1, 2, 4)),
        pause=random.choice((300, 300, 300, 5000)),
    )


FICKLE: Final = Taste({"join": 1, "leave": 1}, {"client cut": 1}, {PAST_THE_LEASE: 1}, rooms=1, pause=600, struck=0.08)
SLEEPY: Final = Taste(
    {"join": 1, "send": 1},
    {"gateway asleep": 1, "client cut": 20, "replica asleep": 5},
    {NEARLY_THE_GRACE: 1},
    pause=20_000,
)
