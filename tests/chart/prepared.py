"""What must be there before the services are: NATS, roles and schemas, by the rendered containers that see to it."""

import os
import secrets
from urllib.parse import SplitResult

import asyncpg
from chart.local import Local

from parley.cli.embedded import Process, Server
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


def nats(local: Local, ordinal: int) -> Process:
    """Start a server of NATS."""
    there = f"parley-nats-{ordinal}.parley-nats"
    ports = {name: local.port(f"{there}:{port}") for name, port in (("client", 4222), ("route", 6222), ("http", 8222))}
    container = local.container("nats", "nats")
    changes = {
        "\nport: 4222": f'\nport: {ports["client"]}\nhost: "{LOOPBACK}"',
        "http: 8222": f"http: {LOOPBACK}:{ports['http']}",
        "max_file_store: 9216Mi": "max_file_store: 8Gi",
    }
    if container.owner["spec"]["replicas"] > 1:
        changes["  port: 6222"] = f'  port: {ports["route"]}\n  host: "{LOOPBACK}"'
    return local.start(container, changes, {"POD_NAME": f"parley-nats-{ordinal}"}, ordinal)


async def prepare(local: Local, superuser: SplitResult) -> list[Process]:
    """Start NATS, and run the migrations' job; meanwhile a pod of history waits for it. Return the servers of NATS."""
    servers = [nats(local, n) for n in range(local.rendered.get("StatefulSet", "parley-nats")["spec"]["replicas"])]
    there = {"PGHOST": str(superuser.hostname), "PGPORT": str(superuser.port)}
    there |= {"PGUSER": str(superuser.username), "PGPASSWORD": str(superuser.password)}
    roles = local.start(local.container("migrations", "roles"), environ=there | {"PATH": f"{local.tools}:{os.defpath}"})
    await succeeded(roles)
    waits = local.start(local.container("history", "wait"))  # the schema is not there yet
    for process in [*(local.start(local.container("migrations", name)) for name in STORING), waits]:
        await succeeded(process)
    return servers


async def succeeded(process: Process) -> None:
    """Wait for the end of a process, which must be a good one."""
    assert await process.ended() == 0, process.program.log.read_text()
