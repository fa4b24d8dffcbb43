"""What presence asks a gateway about a connection's frames, and the answer."""

from typing import Literal

from msgspec import Struct


class FramesSought(Struct, frozen=True):
    """The question what came and went lately on a connection."""

    app: str
    connection: str


class FrameSeen(Struct, frozen=True):
    """A frame, without what it says."""

    time: str
    direction: Literal["in", "out"]
    route: str
    """What a client asked for, or the type of what it was told; empty where it has no name."""
    bytes: int
    ref: str | None
