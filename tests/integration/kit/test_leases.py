"""A gateway whose lease is gone is told of for as long as connections of it are left, on a real nats-server."""

from types import SimpleNamespace
from typing import Any

from support.eventually import eventually

from parley.kit.bus import nats_bus
from parley.kit.lifecycle import background
from parley.kit.metrics import REGISTRY
from parley.kit.watch import Watch
from parley.kit.writer import writing
from parley.protocol import subjects


def told(metric: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"parley_lease_{metric}", labels)


async def test_connections_of_a_dead_gateway_are_told_until_they_are_ended(nats_url: str) -> None:
    gateways = [("living", False), ("dead", True)]
    state: Any = SimpleNamespace(gateways=lambda: gateways, waiting=lambda: False)
    owner: Any = SimpleNamespace(partition=0, state=state)

    async with nats_bus(nats_url, "test") as bus, writing(bus, "watcher") as writer:
        leases = await bus.js.key_value(subjects.LEASES)
        watch = Watch(bus, writer, "rooms", lambda: [owner])
        async with background(watch.run(), "watch"):

            async def missed() -> None:
                await leases.put("living", b"")
                assert told("gateways", lease="missing") == 1
                assert told("gateways", lease="held") == 1
                assert (told("missing_seconds") or 0) > 1

            await eventually(missed)
            gateways.remove(("dead", True))

            async def ended() -> None:
                await leases.put("living", b"")
                assert told("gateways", lease="missing") == 0
                assert told("missing_seconds") == 0

            await eventually(ended)
