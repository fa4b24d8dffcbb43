"""The presence service: who is connected, and how available they are."""

from parley.kit.ask import asking
from parley.kit.bus import nats_bus
from parley.kit.db import check, database
from parley.kit.http import http
from parley.kit.lifecycle import run, until_signalled
from parley.kit.partitions import partitions
from parley.kit.parts import telling
from parley.kit.probes import Probes, announce
from parley.kit.streams import Sizes
from parley.kit.telemetry import telemetry
from parley.kit.tokens import Tokens
from parley.presence.api import presence_api
from parley.presence.metrics import counting
from parley.presence.settings import Settings
from parley.presence.store import store_of
from parley.presence.tables import ownership


async def main(settings: Settings) -> None:
    """Serve until told to stop."""
    tokens = Tokens(secret=settings.token_secret, jwks=settings.jwks, development=settings.development)
    probes = Probes()
    async with (
        telemetry("presence", settings.otlp_endpoint, settings.trace_slow_seconds),
        database(settings.database_url, "presence", package="parley.presence") as db,
        http(probes, settings.host, settings.http_port) as address,
        nats_bus(settings.nats_url, name="presence", sizes=Sizes.of(settings), ca_file=settings.nats_ca_file) as bus,
        partitions(
            bus,
            db,
            service="presence",
            count=settings.partitions,
            store=store_of(settings.partitions),
            tables=ownership,
            classes="c",
        ) as owned,
        asking(bus, "presence", settings.partitions) as ask,
        telling(bus, probes, "presence", owned.name, lambda: {"partitions": len(owned)}),
        probes.mounted(presence_api(db, bus, ask, tokens, development=settings.development)),
        probes.ready(
            {"nats": bus.check, "postgres": lambda: check(db), "partitions": owned.check, "tokens": tokens.missing}
        ),
    ):
        announce(settings.ready_file, http=address)
        with counting(owned):
            await until_signalled()


if __name__ == "__main__":
    run(main, Settings)
