"""What the history service reads from its environment."""

from typing import Annotated, ClassVar

from msgspec import Meta

from parley.kit.settings import Stateful


class Settings(Stateful, frozen=True, kw_only=True):
    """Each field is HISTORY_<FIELD> in the environment; what all services share keeps its own name."""

    prefix: ClassVar[str] = "HISTORY"

    batch: Annotated[int, Meta(ge=1, le=5000)] = 500
    """Events written in one transaction at most."""
    consumer: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "history"
    """Name of the durable consumer of EVENTS, the same for all replicas. Another one reads everything once more."""
