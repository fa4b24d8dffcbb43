"""Three nats-servers that are one: JetStream as an installation has it that survives the loss of a server."""

import asyncio
from pathlib import Path

import nats
import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError, ServiceUnavailableError
from support.eventually import eventually

from parley.cli.embedded import Nats, Server
from parley.cli.embedded.ports import LOOPBACK, free_port
from parley.kit.bus import Bus
from parley.protocol import subjects

SIZE = 3


class Cluster:
    """The three servers; each may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        taken: set[int] = set()
        ports = [free_port(taken=taken) for _ in range(SIZE)]
        routes = [f"nats://{LOOPBACK}:{free_port(taken=taken)}" for _ in range(SIZE)]
        self.servers = [
            Server(
                Nats(
                    folder / f"nats-{number}" / "data",
                    port=port,
                    arguments=("--cluster_name", "parley", "--cluster", route, "--routes", ",".join(routes)),
                )
            )
            for number, (port, route) in enumerate(zip(ports, routes, strict=True))
        ]

    @property
    def url(self) -> str:
        """All addresses, as in ``NATS_URL``."""
        return ",".join(server.url for server in self.servers)

    async def start(self) -> None:
        """Start all three, and return when they have agreed on who leads."""
        await asyncio.gather(*(server.start() for server in self.servers))
        client = await nats.connect(self.servers[0].url)
        try:
            await eventually(lambda: _has_leader(client))
        finally:
            await client.close()

    async def kill(self) -> None:
        """End all three."""
        await asyncio.gather(*(server.kill() for server in self.servers))

    async def leader(self, bus: Bus, stream: str) -> Server:
        """Return the server that leads *stream* now."""
        found: list[Server] = []

        async def look() -> str | None:
            try:
                info = await bus.js.stream_info(stream)
            except (nats.errors.Error, APIError, TimeoutError) as error:
                return f"nobody answers for {stream}: {error!r}"
            name = info.cluster.leader if info.cluster else None
            found[:] = [server for server in self.servers if _name(server) == name]
            return None if found else f"{stream} has no leader"

        await eventually(look)
        return found[0]

    async def mended(self, bus: Bus) -> None:
        """Start who was killed, and wait until all have everything."""
        for server in self.servers:
            if server.process and not server.process.running:
                await server.start()
        for stream in (subjects.INGRESS, subjects.DELIVERIES, subjects.EVENTS):
            await self.whole(bus, stream)

    async def whole(self, bus: Bus, stream: str) -> None:
        """Wait until all servers hold all of *stream*."""

        async def look() -> str | None:
            try:
                info = await bus.js.stream_info(stream)
            except (nats.errors.Error, APIError, TimeoutError) as error:
                return f"nobody answers for {stream}: {error!r}"
            others = (info.cluster.replicas if info.cluster else None) or []
            current = [peer for peer in others if peer.current and not peer.offline]
            return None if len(current) == SIZE - 1 else f"{stream} has {others}"

        await eventually(look)


def _name(server: Server) -> str:
    assert isinstance(server.kind, Nats)
    return server.kind.server_name


async def _has_leader(client: Client) -> str | None:
    try:
        await client.jetstream().account_info()
    except (nats.errors.Error, ServiceUnavailableError, TimeoutError) as error:
        return f"no leader yet: {error!r}"
    return None
