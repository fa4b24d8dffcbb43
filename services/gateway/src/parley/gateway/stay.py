"""How long a connection may stay where its own system would end it: API Gateway's (strict apps), and Kinesis'."""

from typing import Final, Literal

IDLE_SECONDS: Final = 10 * 60
AGE_SECONDS: Final = 2 * 60 * 60
"""How long API Gateway keeps a connection that says and hears nothing, and any."""
GOING_SECONDS: Final = 60
"""How long a client that was asked to go is given."""


class Stay:
    """One connection's; all times are in seconds."""

    __slots__ = ("_asked", "_frames", "_longest", "_since", "_still")

    def __init__(self, now: float, longest: float | None = None) -> None:
        self._since = now
        self._longest = longest or AGE_SECONDS
        self._frames = 0  # how many had come and gone when it was looked at
        self._still = now  # since when it has said and heard nothing
        self._asked = False  # its client, to go

    def lives(self, now: float) -> None:
        """Take what is no frame for a sign of life."""
        self._still = now

    def looked_at(self, now: float, frames: int) -> Literal["stays", "is asked to go", "goes"]:
        """Return what becomes of it, of which so many *frames* have come and gone; it is asked to go once."""
        if frames != self._frames:
            self._frames, self._still = frames, now
        over = now - self._since - self._longest
        if now - self._still >= IDLE_SECONDS or over >= GOING_SECONDS:
            return "goes"
        if over < 0 or self._asked:
            return "stays"
        self._asked = True
        return "is asked to go"
