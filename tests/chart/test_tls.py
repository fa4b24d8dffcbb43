"""
TLS among the parts, as rendered: an authority of our own signs for NATS and PostgreSQL, and nobody else is believed.

It takes a minute: `make chart-rollout`.
"""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import pytest
import pytest_asyncio
from chart.local import Local, put
from chart.prepared import succeeded
from chart.rendered import render
from chart.system import System, started
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from support.eventually import eventually

from parley.cli.embedded import Process, Program
from parley.cli.embedded.account import unprivileged_account
from parley.cli.embedded.ports import LOOPBACK, free_port
from parley.kit.bus import nats_bus
from parley.kit.db import check_schema, database
from parley.kit.lifecycle import CannotStart

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

USAGES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
"""Those that the chart asks cert-manager for."""


def secret() -> dict[str, str]:
    """Make an authority, and what it signs for this machine; as a secret of cert-manager's holds it."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
    server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a server")])
    now = datetime.now(UTC)
    made = []
    for name, key in ((authority, keys[0]), (server, keys[1])):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(authority)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=name is authority, path_length=None), critical=True)
        )
        if name is server:
            builder = builder.add_extension(x509.ExtendedKeyUsage(USAGES), critical=False).add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))]), critical=False
            )
        made.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode())
    key_ = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {"ca.crt": made[0], "tls.crt": made[1], "tls.key": key_.decode()}


@pytest_asyncio.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    """Give the system; its PostgreSQL is one of its own, with the rendered arguments."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text("the page")
    tls = {"enabled": True, "issuer": "", "clusterIssuer": ""}
    rendered = render(
        nats__tls=tls | {"existingSecret": "calls-nats-tls"},
        postgresql__tls=tls | {"existingSecret": "calls-postgresql-tls"},
        postgresql__database="postgres",
        web__root=str(tmp_path / "pages"),
    )
    superuser = f"postgresql://postgres:any@{LOOPBACK}:{free_port(LOOPBACK)}/postgres"
    local = Local(rendered, tmp_path, superuser)
    local.tools = with_tls()
    local.secrets = {"calls-nats-tls": secret(), "calls-postgresql-tls": secret()}
    with TemporaryDirectory() as folder:  # tmp_path is closed to its account
        try:
            await database_server(local, Path(folder))
            yield await started(local, local.superuser)
        finally:
            await local.stop()


def with_tls() -> Path:
    """Return where a PostgreSQL is that was built with TLS, which the embedded one was not."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        pytest.skip("there is no PostgreSQL with TLS: install Debian's package `postgresql`")
    return found[-1]


async def database_server(local: Local, folder: Path) -> None:
    """Start PostgreSQL as its container says, with its data and its certificate in *folder*."""
    account = unprivileged_account(folder)

    def run(tool: str, *words: str) -> Process:
        program = Program(
            tool,
            (str(local.tools / tool), "-D", str(folder), *words),
            local.folder / "db.log",
            cwd=folder,
            account=account,
        )
        local.processes.append(Process(program))
        return local.processes[-1]

    def give(path: Path) -> None:
        if account:
            os.chown(path, account.uid, account.gid)

    give(folder)
    await succeeded(run("initdb", "--username", "postgres", "--auth", "trust", "--no-sync"))
    (folder / "tls").mkdir()
    give(folder / "tls")
    for name, text in local.secrets["calls-postgresql-tls"].items():
        file = folder / "tls" / name
        file.touch(mode=0o600)
        file.write_text(text)
        give(file)
    server, *arguments = local.container("postgresql", "postgresql").spec["args"]
    here = (
        "-c",
        f"listen_addresses={LOOPBACK}",
        "-c",
        f"port={local.superuser.port}",
        "-c",
        "unix_socket_directories=",
    )
    process = run(server, *here, *(put(word, {"/etc/postgresql-tls": "tls"}) for word in arguments))

    async def connected() -> str | None:
        assert process.running, process.program.log.read_text()
        try:
            await (await asyncpg.connect(local.superuser.geturl())).close()
        except (OSError, asyncpg.PostgresError) as error:
            return repr(error)
        return None

    await eventually(connected)


async def test_everything_speaks_tls_and_believes_nobody_else(system: System) -> None:
    """A call as `helm test` makes it; then what connections there are; then those who trust another authority."""
    test = system.local.start(system.local.container("test", "test"))
    await succeeded(test)

    environment = system.local.environment(system.local.container("history", "history"))
    connection = await asyncpg.connect(system.local.superuser.geturl())
    spoken = await connection.fetch(
        "select usename, bool_and(ssl) as ssl from pg_stat_ssl join pg_stat_activity using (pid)"
        " where usename = any($1) group by usename",
        ["presence", "rooms", "history"],
    )
    await connection.close()
    assert {row["usename"]: row["ssl"] for row in spoken} == {"presence": True, "rooms": True, "history": True}
    for server in system.servers:
        assert "TLS required for client connections" in server.program.log.read_text()
        assert "TLS route handshake" not in server.program.log.read_text()

    with pytest.raises(CannotStart, match="certificate verify failed"):
        async with nats_bus(environment["NATS_URL"], "history"):
            pass
    url, _, _ = environment["DATABASE_URL"].partition("&sslrootcert")
    async with database(f"{url}&sslrootcert=system", "history") as db:
        with pytest.raises(CannotStart, match="certificate verify failed"):
            await check_schema(db, "parley.history")
