"""The faults that are measured. Each starts its own Parley, hurts it under load, and returns figures by name."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from support.cluster import SIZE, Cluster

from benchmarks import systems
from benchmarks.faults.couples import Couples, couples
from benchmarks.faults.parts import Parts
from benchmarks.wires import Wrong
from parley.kit.bus import nats_bus
from parley.protocol import subjects

Figures = dict[str, float]

RESUME_SECONDS = 120.0
"""Who has not come back by then does not come any more."""

SERVICES = ("gateway", "presence", "rooms", "history")


async def gateway_killed(clients: int, per_second: int, before: float) -> Figures:
    """Kill the gateway that all clients are at; how long until each has been answered again, by another?"""
    async with systems.up("--scale", "gateway=2") as up:
        parts = Parts(up.control)
        async with couples(clients // 2, await parts.addresses("gateway"), up.tokens) as them:
            async with them.talking(per_second):
                await them.during(before)
                usual, before_it = _slowest(them), await parts.processor_seconds()
                killed = await parts.kill("gateway-0")

                def away() -> int:
                    return sum(guest.back_at < killed for guest in them.guests)

                if not await them.until(away, RESUME_SECONDS):
                    raise Wrong(f"{away():,} of {clients:,} had not resumed after {RESUME_SECONDS:g} seconds.")
                after = await parts.processor_seconds()
            backs = sorted(guest.back_at - killed for guest in them.guests)
            return {
                "resumed": backs[-1],
                "resumed_p50": backs[len(backs) // 2],
                "usual": usual,
                "pause": them.ledger.slowest,
                **{
                    part: seconds - before_it.get(part, 0)
                    for part, seconds in after.items()
                    if part != "seconds of gateway-0"
                },
                **them.ledger.sums(),
            }


async def rooms_killed(pairs: int, per_second: int, before: float) -> Figures:
    """Kill an owner of half the partitions; how long does a message wait at most?"""
    async with systems.up("--scale", "rooms=2") as up:
        parts = Parts(up.control)
        async with couples(pairs, await parts.addresses("gateway"), up.tokens) as them:
            async with them.talking(per_second):
                await them.during(before)
                usual = _slowest(them)
                await parts.kill("rooms-0")
                await them.during(10)
            return {"usual": usual, "pause": them.ledger.slowest, **them.ledger.sums()}


async def all_replaced(pairs: int, per_second: int, before: float) -> Figures:
    """Replace every process of ours, one after the other; how long does a message wait at most?"""
    scale = [word for name in SERVICES for word in ("--scale", f"{name}=2")]
    pauses: Figures = {}
    async with systems.up(*scale) as up:
        parts = Parts(up.control)
        async with couples(pairs, await parts.addresses("gateway"), up.tokens) as them:
            began = time.monotonic()
            async with them.talking(per_second):
                await them.during(before)
                usual = _slowest(them)
                for part in [part for part in await parts.look() if part.rpartition("-")[0] in SERVICES]:
                    await parts.replace(part)
                    await them.during(1)
                    pauses[f"pause {part}"] = _slowest(them)
                took = time.monotonic() - began
            pauses["pause afterwards"] = _slowest(them)
            return {"usual": usual, "pause": max(pauses.values()), "took": took, **pauses, **them.ledger.sums()}


async def leaders_killed(pairs: int, per_second: int, before: float) -> Figures:
    """Kill the server that leads a stream, of three; how long does a message wait at most?"""
    pauses: Figures = {}
    with TemporaryDirectory(prefix="parley-bench-") as folder:
        cluster = Cluster(Path(folder))
        try:
            await cluster.start()
            async with (
                systems.up(NATS_URL=cluster.url, PARLEY_STREAM_REPLICAS=str(SIZE)) as up,
                nats_bus(cluster.url, "benchmark") as bus,
                couples(pairs, await Parts(up.control).addresses("gateway"), up.tokens) as them,
            ):
                async with them.talking(per_second):
                    await them.during(before)
                    usual = _slowest(them)
                    for stream in (subjects.INGRESS, subjects.DELIVERIES, subjects.EVENTS):
                        leader = await cluster.leader(bus, stream)
                        await leader.kill()
                        await them.during(10)
                        await leader.start()
                        await cluster.whole(bus, stream)
                        await them.during(3)
                        pauses[f"pause {stream}"] = _slowest(them)
                return {"usual": usual, "pause": max(pauses.values()), **pauses, **them.ledger.sums()}
        finally:
            await cluster.kill()


def _slowest(them: Couples) -> float:
    """Return the longest wait of a message since last asked."""
    found, them.ledger.slowest = them.ledger.slowest, 0.0
    return found
