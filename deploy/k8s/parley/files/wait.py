"""
Waits until a service can start: most servers of NATS take connections, and the schema is the one it knows.

A service that cannot start ends and is started again, by Kubernetes after ever longer pauses. At an installation
together with NATS and PostgreSQL that would be the slowest part of it.
"""

import asyncio
import os
import socket
import sys
import time
from urllib.parse import urlsplit

EVERY_SECONDS = 1.0
SAID_SECONDS = 15.0


def nats() -> str | None:
    """Return what is wrong with NATS: fewer than half of its servers cannot keep anything."""
    servers = [urlsplit(url) for url in os.environ["NATS_URL"].split(",")]
    silent = []
    for server in servers:
        try:
            socket.create_connection((server.hostname, server.port or 4222), timeout=2).close()
        except OSError as error:
            silent.append(f"{server.hostname} ({error})")
    return f"NATS does not answer at {', '.join(silent)}." if len(silent) * 2 >= len(servers) else None


def schema(service: str) -> str | None:
    """Return what is wrong with the schema."""
    from parley.kit.db import check_schema, database  # noqa: PLC0415 - the gateway's image has no SQLAlchemy to spare
    from parley.kit.lifecycle import CannotStart  # noqa: PLC0415

    async def look() -> None:
        package = f"parley.{service}"
        async with database(os.environ["DATABASE_URL"], f"{service}-wait", pool=1) as db:
            await check_schema(db, package)

    try:
        asyncio.run(look())
    except CannotStart as error:
        return str(error)
    return None


def main(service: str) -> None:
    """Wait, and say now and then for what."""
    said = -SAID_SECONDS
    while missing := nats() or (schema(service) if "DATABASE_URL" in os.environ else None):
        if time.monotonic() - said > SAID_SECONDS:
            sys.stdout.write(f"{missing}\n")
            sys.stdout.flush()
            said = time.monotonic()
        time.sleep(EVERY_SECONDS)


main(sys.argv[1])
