"""The history service: what was said and which calls took place."""

import secrets

from parley.history.api import history_api
from parley.history.inbox import Inbox
from parley.history.metrics import counting
from parley.history.pruning import pruning
from parley.history.recorder import recording
from parley.history.settings import Settings
from parley.history.stream import Viewers, streaming
from parley.kit.bus import nats_bus
from parley.kit.db import check, database
from parley.kit.http import http
from parley.kit.lifecycle import run, until_signalled
from parley.kit.parts import telling
from parley.kit.probes import Probes, announce
from parley.kit.streams import Sizes
from parley.kit.telemetry import telemetry
from parley.kit.tokens import Tokens


async def main(settings: Settings) -> None:
    """Serve until told to stop."""
    tokens = Tokens(secret=settings.token_secret, jwks=settings.jwks, development=settings.development)
    probes = Probes()
    viewers = Viewers(settings.viewers)
    async with (
        telemetry("history", settings.otlp_endpoint, settings.trace_slow_seconds),
        http(probes, settings.host, settings.http_port) as address,
        database(settings.database_url, "history", package="parley.history") as db,
        nats_bus(settings.nats_url, name="history", sizes=Sizes.of(settings), ca_file=settings.nats_ca_file) as bus,
        Inbox(bus, settings.consumer, settings.batch) as inbox,
        recording(inbox, db) as recorder,
        telling(bus, probes, "history", f"history-{secrets.token_hex(4)}", inbox.figures),
        pruning(db, settings.detail_days),
        probes.mounted(
            streaming(
                history_api(db, tokens, development=settings.development, trace_url=settings.trace_url), bus, viewers
            ),
        ),
        viewers,
        counting(inbox, viewers),
        probes.ready({"nats": bus.check, "postgres": lambda: check(db), "history": recorder.behind}),
    ):
        announce(settings.ready_file, http=address)
        await until_signalled()


if __name__ == "__main__":
    run(main, Settings)
