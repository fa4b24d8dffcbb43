"""
The real servers, for every test that asks for them.

``nats_url`` is a fresh nats-server of the test's own (it starts in a few hundredths of a second), ``database_url`` a
fresh database on one PostgreSQL for the whole session. ``nats_server`` is the server behind ``nats_url``, for tests
that kill, pause or restart it; a test that does so to PostgreSQL takes ``own_postgres``.
"""

import functools
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import httpx
import hypothesis
import pytest
import pytest_asyncio
from support.instance import REAL, Instance
from support.otlp import OtlpReceiver

from parley.cli.embedded import Nats, Postgres, Server

hypothesis.settings.register_profile("parley", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("parley")
"""How fast a machine thinks of examples says nothing about Parley."""

httpx._transports.default.create_ssl_context = functools.cache(httpx.create_ssl_context)  # type: ignore[attr-defined]
"""httpx reads all authorities there are for each client anew: thirty milliseconds, and most ask no https at all."""


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[Server]:
    """Give a nats-server with JetStream and nothing in it."""
    server = Server(Nats(tmp_path / "nats-server" / "data"))
    await server.start()
    yield server
    server.resume()
    await server.kill()


@pytest.fixture
def nats_url(nats_server: Server) -> str:
    """Give the address of a nats-server with nothing in it."""
    return nats_server.url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """Give the PostgreSQL of this session; leave it as it is, others use it."""
    server = Server(Postgres(tmp_path_factory.mktemp("postgres") / "data", durable=False))
    await server.start()
    yield server
    await server.kill()


@pytest.fixture
async def database_url(postgres: Server) -> AsyncIterator[str]:
    """Give the address of an empty database."""
    name = f"test_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(postgres.url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        yield postgres.url.rpartition("/")[0] + "/" + name
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture
async def own_postgres(tmp_path: Path) -> AsyncIterator[Server]:
    """Give a PostgreSQL of the test's own, to kill, pause and restart."""
    server = Server(Postgres(tmp_path / "postgres-server" / "data", durable=False))
    await server.start()
    yield server
    server.resume()
    await server.kill()


@pytest.fixture(scope="session")
def traces() -> Iterator[OtlpReceiver]:
    """Give the receiver of all spans and metrics of `parley`."""
    with OtlpReceiver() as receiver:
        yield receiver


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def parley(tmp_path_factory: pytest.TempPathFactory, traces: OtlpReceiver) -> AsyncIterator[Instance]:
    """Give a real Parley, traced, for all tests that only use it as clients do."""
    folder = tmp_path_factory.mktemp("parley") / "data"
    instance = Instance(
        folder,
        up=REAL,
        OTEL_EXPORTER_OTLP_ENDPOINT=traces.endpoint,
        OTEL_BSP_SCHEDULE_DELAY="200",
        PARLEY_LOG_LEVEL="debug",
        OTEL_METRICS_EXPORTER="otlp",
        OTEL_METRIC_EXPORT_INTERVAL="2000",
        HISTORY_TRACE_URL="http://traces.test/{traceId}",
    )
    await instance.start()
    yield instance
    await instance.stop()
