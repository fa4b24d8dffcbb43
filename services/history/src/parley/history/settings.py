"""What the history service reads from its environment."""

from typing import Annotated, ClassVar

from msgspec import Meta

from parley.kit.settings import Stateful, described


class Settings(Stateful, frozen=True, kw_only=True):
    """Each field is HISTORY_<FIELD> in the environment; what all services share keeps its own name."""

    prefix: ClassVar[str] = "HISTORY"

    batch: Annotated[int, Meta(ge=1, le=5000)] = 500
    """Events written in one transaction at most."""
    consumer: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "history"
    """Name of the durable consumer of EVENTS, the same for all replicas. Another one reads everything once more."""
    trace_url: Annotated[str, described("an address that holds {traceId}", r"^(https?://\S*\{traceId\}\S*)?$")] = ""
    """Where a trace can be looked at, such as `https://traces.example.org/trace/{traceId}`: `GET /v1/calls/{callId}`
    says it of a call. Empty: nowhere."""
    detail_days: Annotated[float, Meta(gt=0, le=36_500)] = 30
    """Days for which quality reports, negotiation steps and activity by the minute are kept. Chat and calls stay."""
    viewers: Annotated[int, Meta(ge=0, le=10_000)] = 100
    """Streams of events (`/v1/events`) that one replica serves at a time."""
