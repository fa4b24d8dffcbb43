"""What a gateway asks rooms about a signaling channel of Kinesis Video Streams, before it lets a client in."""

from msgspec import Struct


class ChannelSought(Struct, frozen=True):
    """The question: whether there is such a channel."""

    app: str
    arn: str
    viewer: str | None = None
    """The client id of the viewer that wants to come in; None for a master."""


class ChannelFound(Struct, frozen=True):
    """The answer; null if there is none, or not of that app."""

    ttl: int
    """Seconds for which a message waits for its receiver."""
    viewers: int
    """How many are connected, besides one of the same id."""
