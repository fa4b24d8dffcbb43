"""What can happen to a cluster, and a schedule of it that a seed chooses."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Final

from chaos.cluster import Cluster
from msgspec import Struct

OWNERS: Final = ("rooms-0", "rooms-1", "presence-0", "presence-1")
GATEWAYS: Final = ("gateway-0", "gateway-1")
SERVICES: Final = (*GATEWAYS, *OWNERS, "history-0", "history-1")
SERVERS: Final = ("nats-0", "postgres-0")
PAST_EVERY_LEASE: Final = 9.0
"""Owners hold a partition for 3 s, gateways their name for 3 s, and for as long again nobody acts on it."""

PAST_THE_GRACE: Final = 38.0


class Fault(Struct, frozen=True):
    """One thing that happens, to one part or to several at once."""

    kind: str
    parts: tuple[str, ...]
    seconds: float = 0.0
    """How long it lasts."""
    pause: float = 3.0
    """How long nothing else happens then."""

    def __str__(self) -> str:
        lasting = f" for {self.seconds:g} s" if self.seconds else ""
        return f"{self.kind} {' and '.join(self.parts)}{lasting}"


def kill(rng: Random) -> Fault:
    return Fault("kill", (rng.choice((*SERVICES, *SERVERS, "caddy-0")),), pause=rng.uniform(2, 6))


def restart(rng: Random) -> Fault:
    return Fault("restart", (rng.choice((*SERVICES, *SERVERS, "caddy-0")),), pause=rng.uniform(2, 6))


def blink(rng: Random) -> Fault:
    """A pause that nobody has to act on."""
    return Fault("pause", (rng.choice((*SERVICES, *SERVERS)),), rng.uniform(0.3, 2.0), pause=rng.uniform(1, 3))


def sleep(rng: Random) -> Fault:
    """A pause past every lease."""
    return Fault("pause", (rng.choice((*SERVICES, *SERVERS)),), PAST_EVERY_LEASE, pause=rng.uniform(2, 5))


def coma(rng: Random) -> Fault:
    """A gateway that is away for longer than the grace, and then goes on as if nothing had been."""
    return Fault("pause", (rng.choice(GATEWAYS),), PAST_THE_GRACE, pause=rng.uniform(2, 5))


def both(rng: Random) -> Fault:
    """An owner and a gateway at once."""
    return Fault("kill", (rng.choice(OWNERS), rng.choice(GATEWAYS)), pause=rng.uniform(3, 7))


def several(rng: Random) -> Fault:
    parts = tuple(rng.sample((*SERVICES, *SERVERS), rng.randint(2, 4)))
    return Fault(rng.choice(("kill", "restart")), parts, pause=rng.uniform(4, 8))


def cut(rng: Random) -> Fault:
    return Fault("cut", ("clients",), pause=rng.uniform(1, 3))


def swallow(rng: Random) -> Fault:
    return Fault("swallow", ("clients",), rng.uniform(1, 8), pause=rng.uniform(1, 3))


KINDS: Final[tuple[tuple[Callable[[Random], Fault], int], ...]] = (
    (kill, 6),
    (restart, 3),
    (blink, 2),
    (sleep, 4),
    (both, 3),
    (several, 2),
    (cut, 3),
    (swallow, 2),
    (coma, 1),
)


def schedule(seed: int, count: int) -> list[Fault]:
    """Return *count* faults; the first ones are one of each kind."""
    rng = Random(f"faults {seed}")
    first = [kind for kind, _ in KINDS]
    rng.shuffle(first)
    kinds, weights = zip(*KINDS, strict=True)
    later = rng.choices(kinds, weights, k=max(0, count - len(first)))
    return [kind(rng) for kind in [*first, *later][:count]]


SHORT: Final = (
    Fault("kill", ("rooms-0", "gateway-1"), pause=3.0),
    Fault("restart", ("gateway-0",), pause=3.0),
    Fault("cut", ("clients",), pause=2.0),
    Fault("pause", ("rooms-1",), 5.0, pause=2.0),
    Fault("kill", ("nats-0",), pause=3.0),
    Fault("kill", ("postgres-0", "presence-0"), pause=3.0),
    Fault("swallow", ("clients",), 2.0, pause=1.0),
)
"""One of most kinds, in half a minute; gateways first, as what they leave behind is there for a grace."""

BOTH_ROOMS: Final = ("rooms-0", "rooms-1")

PROVOKING: Final[dict[str, tuple[Fault, ...]]] = {
    "drop": (Fault("cut", ("clients",), pause=5.0),),
    "flight": (Fault("kill", ("nats-0",), pause=4.0),) * 8,
    "fence": (
        Fault("pause", ("rooms-0",), PAST_EVERY_LEASE, pause=0.3),
        Fault("kill", ("rooms-1",), pause=8.0),
        Fault("pause", ("rooms-1",), PAST_EVERY_LEASE, pause=0.3),
        Fault("kill", ("rooms-0",), pause=8.0),
    )
    * 2,
    "number": (Fault("pause", ("nats-0",), 4.0, pause=2.0), Fault("kill", ("nats-0",), pause=4.0)) * 3,
    "moved": (
        Fault("kill", ("gateway-0",), pause=0.5),
        Fault("cut", ("clients",), pause=0.5),
        Fault("cut", ("clients",), pause=4.0),
        Fault("kill", ("gateway-1",), pause=0.5),
        Fault("cut", ("clients",), pause=0.5),
        Fault("cut", ("clients",), pause=4.0),
    )
    * 3,
    "place": (Fault("pause", BOTH_ROOMS, 1.4, pause=0.0), Fault("cut", ("clients",), pause=2.5)) * 12,
    "marks": (Fault("kill", (*BOTH_ROOMS, "postgres-0"), pause=0.3), Fault("cut", ("clients",), pause=8.0)) * 4,
}
"""What finds each rule of `breaks.py` broken: what the rule is there for."""


async def strike(cluster: Cluster, fault: Fault, rng: Random) -> None:
    """Let it happen, and return when it is over."""
    match fault.kind:
        case "kill":
            await asyncio.gather(*(cluster.kill(part) for part in fault.parts))
        case "restart":
            await asyncio.gather(*(cluster.restart(part) for part in fault.parts))
        case "pause":
            await asyncio.gather(*(cluster.pause(part) for part in fault.parts))
            await asyncio.sleep(fault.seconds)
            for part in fault.parts:
                cluster.wake(part)
        case "cut":
            for proxy in cluster.proxies:
                proxy.cut(0.7, rng)
        case "swallow":
            proxy = rng.choice(cluster.proxies)
            proxy.swallow()
            await asyncio.sleep(fault.seconds)
            proxy.flow()
        case kind:
            raise ValueError(f"no such fault: {kind}")
