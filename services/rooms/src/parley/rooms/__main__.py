"""The rooms service: who is in which room, and who hears what in which order."""

from parley.kit.access import Access
from parley.kit.apps import apps
from parley.kit.ask import asking
from parley.kit.bus import nats_bus
from parley.kit.db import check, check_schema, database
from parley.kit.http import http
from parley.kit.lifecycle import run, until_signalled
from parley.kit.partitions import partitions
from parley.kit.parts import telling
from parley.kit.probes import Probes, announce
from parley.kit.streams import Sizes
from parley.kit.telemetry import telemetry
from parley.kit.tokens import Tokens
from parley.rooms.api import rooms_api
from parley.rooms.channels.answers import answering
from parley.rooms.channels.api import beside, channels_api
from parley.rooms.channels.calls import LONGEST_WAIT, Desk
from parley.rooms.channels.paces import Paces
from parley.rooms.metrics import counting
from parley.rooms.settings import Settings
from parley.rooms.store import store_of
from parley.rooms.tables import ownership
from parley.rooms.turn import Relay


async def main(settings: Settings) -> None:
    """Serve until told to stop."""
    tokens = Tokens(secret=settings.token_secret, jwks=settings.jwks, development=settings.development)
    relay = Relay(settings.stun_urls, settings.turn_urls, settings.turn_secret, int(settings.turn_ttl))
    declared = apps(settings.apps, development=settings.development)
    access = Access(declared, development=settings.development)
    probes = Probes()
    async with (
        telemetry("rooms", settings.otlp_endpoint, settings.trace_slow_seconds),
        database(settings.database_url, "rooms") as db,
        http(probes, settings.host, settings.http_port) as address,
    ):
        await check_schema(db, "parley.rooms")
        async with (
            nats_bus(settings.nats_url, name="rooms", sizes=Sizes.of(settings), ca_file=settings.nats_ca_file) as bus,
            partitions(
                bus,
                db,
                service="rooms",
                count=settings.partitions,
                store=store_of(settings.partitions),
                tables=ownership,
            ) as owned,
            asking(bus, "rooms", settings.partitions) as ask,
            asking(bus, "rooms", settings.partitions, patience=LONGEST_WAIT) as ask_patiently,
            answering(bus, db, settings.partitions),
            telling(bus, probes, "rooms", owned.name, lambda: {"partitions": len(owned)}),
            probes.mounted(
                beside(
                    rooms_api(db, ask, tokens, relay, development=settings.development),
                    channels_api(
                        Desk(db, relay, ask_patiently), access, Paces(declared), development=settings.development
                    ),
                )
            ),
            probes.ready({"nats": bus.check, "postgres": lambda: check(db), "partitions": owned.check}),
        ):
            announce(settings.ready_file, http=address)
            with counting(owned):
                await until_signalled()


if __name__ == "__main__":
    run(main, Settings)
