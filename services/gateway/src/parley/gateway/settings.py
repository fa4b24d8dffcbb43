"""Settings of the gateway."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from msgspec import Meta

from parley.gateway.proxies import networks
from parley.kit.settings import Common, Port, Seconds, Words, shared

Count = Annotated[int, Meta(ge=1)]


class Settings(Common, frozen=True, kw_only=True):
    """Each field is GATEWAY_<FIELD> in the environment. The defaults are the limits that clients are told."""

    prefix: ClassVar[str] = "GATEWAY"

    port: Port = 0
    """Port of the socket listener; 0 takes a free one."""
    origins: Words = ()
    """Pages that may connect in production besides the host's own, such as `https://app.example.org`; `*` for all."""
    trusted_proxies: Words = ("127.0.0.0/8", "::1/128")
    """Addresses (CIDR) of proxies, which are believed about whom they speak for: `X-Forwarded-For`. Others are not."""
    max_message_bytes: Annotated[int, Meta(ge=1024, le=1 << 24)] = 131_072
    """Size of a message in total; larger ones close the socket with 1009."""
    max_outbound_bytes: Annotated[int, Meta(ge=65_536)] = 1_048_576
    """What may wait for a slow reader before its socket is closed with 4008."""
    frames_per_second: Count = 1000
    """Frames a connection may send in the long run; above it they are refused."""
    frames_burst: Count = 2000
    """Frames a connection may send at once."""
    flood_seconds: Seconds = 10
    """Sending too much for this long closes the socket with 4029."""
    rooms_per_connection: Count = 100
    """Rooms a connection may be in at the same time."""
    room_capacity: Count = 1000
    """Members a room may have."""
    answer_seconds: Seconds = 30
    """How long an offer may wait for its answer before `negotiation.failed` is announced."""
    heartbeat_seconds: Annotated[float, Meta(ge=0.1)] = 25
    """Between two pings; two that are missed close the socket with 4009."""
    grace_seconds: Seconds = 30
    """How long a connection that broke may be resumed."""
    resume_secret: Annotated[str, shared("GATEWAY_RESUME_SECRET", secret=True)] = ""
    """Secret that signs resume tokens, the same for all gateways. Empty: `PARLEY_TOKEN_SECRET`."""
    buffer_bytes: Annotated[int, Meta(ge=65_536)] = 64 * 1024 * 1024
    """What may wait for the log before clients are refused as `degraded`."""
    buffer_seconds: Seconds = 10
    """How long it may wait."""
    drain_seconds: Seconds = 10
    """How long clients are given to go elsewhere when the gateway stops; what is left is closed with 1012."""

    def problems(self) -> Iterator[str]:
        """Say what must be set in production."""
        yield from super().problems()
        if not self.development and not self.token_secret and not self.jwks:
            yield (
                "In production clients need tokens, and nothing here can check them: set PARLEY_TOKEN_SECRET or "
                "PARLEY_JWKS, or PARLEY_MODE=development on your own machine."
            )
        if not self.development and not self.token_secret and not self.resume_secret:
            yield "Without PARLEY_TOKEN_SECRET nothing here can sign resume tokens: set GATEWAY_RESUME_SECRET."
        for given in self.trusted_proxies:
            try:
                networks([given])
            except ValueError:
                yield f"GATEWAY_TRUSTED_PROXIES has {given!r}, which is no range of addresses: write it as 10.0.0.0/8."
