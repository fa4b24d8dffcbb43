"""The gateway: sockets on one side, the log on the other."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic, time

import structlog

from parley.gateway.activity import answering
from parley.gateway.backend import serving
from parley.gateway.channels import Channels
from parley.gateway.connections import Connections
from parley.gateway.deliveries import PER_MESSAGE, Deliveries
from parley.gateway.frames import showing
from parley.gateway.ingress import Bounds, Ingress
from parley.gateway.inspection import inspection
from parley.gateway.lease import lease
from parley.gateway.lives import Lives
from parley.gateway.management import management
from parley.gateway.metrics import counting
from parley.gateway.origins import Origins
from parley.gateway.peerjs import peerjs
from parley.gateway.proxies import Proxies
from parley.gateway.quotas import Quotas
from parley.gateway.reception import Reception
from parley.gateway.resume import ResumeTokens
from parley.gateway.returns import Returns
from parley.gateway.server import Server, websocket_server
from parley.gateway.session import Rules
from parley.gateway.settings import Settings
from parley.gateway.sites import dispatch
from parley.gateway.tallies import DELIVERED
from parley.gateway.weather import Weather
from parley.gateway.websocket import Limits
from parley.kit.access import Access
from parley.kit.apps import apps
from parley.kit.ask import asking
from parley.kit.bus import Bus, nats_bus
from parley.kit.flow import Rate
from parley.kit.http import http
from parley.kit.lifecycle import background, run, until_signalled
from parley.kit.parts import telling
from parley.kit.probes import Probes, announce
from parley.kit.reader import Reader, reading
from parley.kit.streams import Sizes
from parley.kit.telemetry import telemetry
from parley.kit.tokens import Tokens
from parley.kit.writer import Writer, writing
from parley.protocol import subjects

log = structlog.get_logger("parley.gateway")

FAREWELL_SECONDS = 2.0
"""For clients to answer our last close frame."""

TURN_SECONDS = 0.005
"""How long deliveries may be written before what clients say gets its turn."""


async def main(settings: Settings) -> None:
    """Run until told to stop."""
    name = f"g{secrets.token_hex(6)}"
    probes = Probes()
    async with (
        http(probes, settings.host, settings.http_port) as http_address,
        telemetry("gateway", settings.otlp_endpoint, settings.trace_slow_seconds),
        nats_bus(
            settings.nats_url, name=f"gateway {name}", sizes=Sizes.of(settings), ca_file=settings.nats_ca_file
        ) as bus,
        writing(bus, name) as writer,
        lease(bus, name),
        gateway(settings, bus, writer, probes) as server,
    ):
        announce(settings.ready_file, http=http_address, address=server.address)
        log.info("listening", gateway=name, address=server.address, http=http_address, mode=settings.mode)
        await until_signalled()


@asynccontextmanager
async def gateway(settings: Settings, bus: Bus, writer: Writer, probes: Probes) -> AsyncIterator[Server]:
    """Take clients in for the length of the block; at its end close their sockets and tell the log."""
    tokens = Tokens(secret=settings.token_secret, jwks=settings.jwks, development=settings.development)
    declared = apps(settings.apps, development=settings.development)
    connections = Connections()
    ingress = Ingress(writer, Bounds(bytes=settings.buffer_bytes, seconds=settings.buffer_seconds))
    stored = await _stored(bus)
    resume = ResumeTokens(settings.resume_secret or settings.token_secret)
    returns = Returns(bus, writer.name)
    lives = Lives(
        writer.name,
        ingress,
        connections,
        tokens,
        resume,
        returns,
        place=lambda: deliveries.place,
        heartbeat=settings.heartbeat_seconds,
        grace=settings.grace_seconds,
    )
    deliveries = Deliveries(connections.find, lives.obey, (stored + 1) * PER_MESSAGE - 1)
    weather = Weather(ingress, lives)
    origins = Origins(settings.origins, development=settings.development)
    proxies = Proxies(settings.trusted_proxies)
    limits = _limits(settings)
    quotas = Quotas(declared, limits)
    channels = Channels(bus, declared, Access(declared, development=settings.development))
    async with (
        asking(bus, "gateway", settings.partitions) as ask,
        answering(bus, writer.name, lives),
        showing(bus, writer.name, connections.find),
        telling(bus, probes, "gateway", writer.name, lambda: {"connections": len(connections)}),
        probes.mounted(
            dispatch(
                inspection(writer.name, lives),
                management(bus, ask, tokens, declared, origins, quotas, development=settings.development),
                *peerjs(declared),
            )
        ),
        reading(bus, subjects.DELIVERIES, [subjects.deliveries(writer.name)], stored + 1) as reader,
        background(_deliver(reader, deliveries), name="deliveries"),
        background(weather.run(), name="weather"),
        background(returns.run(), name="returns"),
        serving(bus, declared) as backends,
        websocket_server(
            settings.host,
            settings.port,
            Reception(
                declared, backends, channels, lives, tokens, resume, origins, proxies, quotas, _rules(settings)
            ).decide,
            limits,
        ) as server,
    ):
        seconds = 0.0  # unless we end of our own will, a part of us has failed, and nobody should stay
        try:
            with counting(connections, ingress):
                async with probes.ready({"nats": bus.check, "log": weather.check, "keys": tokens.missing}):
                    yield server
            seconds = settings.drain_seconds
        finally:
            await _leave(server, lives, seconds)


async def _leave(server: Server, lives: Lives, seconds: float) -> None:
    server.stop()
    try:
        await asyncio.wait_for(lives.end(seconds), seconds + FAREWELL_SECONDS)
    except TimeoutError:
        log.warning("The log did not take the end of every connection in time; owners will notice.")
    await server.empty(FAREWELL_SECONDS)


async def _deliver(reader: Reader, deliveries: Deliveries) -> None:
    while True:
        began = monotonic()
        for entry in await reader.next():
            deliveries.read(entry.sequence, entry.payload)
            DELIVERED.observe(max(0.0, time() - entry.time / 1000))
            if monotonic() - began > TURN_SECONDS:
                await asyncio.sleep(0)
                began = monotonic()


async def _stored(bus: Bus) -> int:
    """Return the last sequence of DELIVERIES: nothing up to there is for a gateway of this name."""
    return (await bus.js.stream_info(subjects.DELIVERIES)).state.last_seq


def _limits(settings: Settings) -> Limits:
    return Limits(
        message_bytes=settings.max_message_bytes,
        outbound_bytes=settings.max_outbound_bytes,
        heartbeat_seconds=settings.heartbeat_seconds,
    )


def _rules(settings: Settings) -> Rules:
    return Rules(
        partitions=settings.partitions,
        rate=Rate(settings.frames_per_second, settings.frames_burst, settings.flood_seconds),
        rooms=settings.rooms_per_connection,
        capacity=settings.room_capacity,
        answer_ms=round(settings.answer_seconds * 1000),
    )


if __name__ == "__main__":
    run(main, Settings)
