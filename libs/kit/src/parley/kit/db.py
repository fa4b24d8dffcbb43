"""PostgreSQL for the length of a block: a small pool that survives a restart of the server."""

import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import URL, Connection, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from parley.kit import metrics
from parley.kit.lifecycle import CannotStart
from parley.kit.statements import trace_statements
from parley.kit.telemetry import recording

_CONNECTIONS: Final = metrics.asked(
    "database_connections", "Connections to PostgreSQL in this process's pool: `busy` or `idle`.", "state"
)
_CONNECT_SECONDS = 5
_STATEMENT_SECONDS = 30


@asynccontextmanager
async def database(
    url: str, name: str, *, package: str | None = None, pool: int = 5, patience: float = _STATEMENT_SECONDS
) -> AsyncIterator[AsyncEngine]:
    """
    Give an engine for the database at *url*; PostgreSQL sees the connections as ``parley-<name>``.

    Given the *package* of the service, its schema is looked at first, and a wrong one refused (CannotStart); without
    it nothing connects yet. A connection that a restart of PostgreSQL broke is noticed when it is taken from the
    pool, and replaced; a statement that was under way then raises ``sqlalchemy.exc.DBAPIError``, as does one that takes
    longer than *patience* seconds.
    """
    engine = create_async_engine(
        asyncpg_url(url),
        pool_size=pool,
        max_overflow=0,
        pool_timeout=_STATEMENT_SECONDS,
        pool_pre_ping=True,
        json_serializer=lambda value: msgspec.json.encode(value).decode(),
        json_deserializer=msgspec.json.decode,
        connect_args={
            "timeout": _CONNECT_SECONDS,
            "command_timeout": patience,  # a server that is stopped, not gone, never answers
            "server_settings": {"application_name": f"parley-{name}", "jit": "off"},
            **_tls(make_url(url)),
        },
    )
    if recording():
        trace_statements(engine)
    try:
        if package:
            await check_schema(engine, package)
        with _CONNECTIONS.by(lambda: _use(engine)):
            yield engine
    finally:
        await engine.dispose()


def _use(engine: AsyncEngine) -> metrics.Readings:
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    return {("busy",): pool.checkedout(), ("idle",): pool.checkedin()}


async def check(engine: AsyncEngine) -> str | None:
    """Return None if PostgreSQL answers, else the sentence that says it does not; for readiness."""
    try:
        async with engine.connect() as connection:
            await connection.execute(text("select 1"))
    except (DBAPIError, OSError, TimeoutError) as error:
        return f"PostgreSQL does not answer at {_place(engine.url)} ({_first_line(error)})."
    return None


class Version(NamedTuple):
    """What a schema says of itself."""

    revision: str
    """The migration that was the last to change it."""
    compatible_from: str | None
    """The oldest revision whose services work on it; None if it was made before schemas said so."""


async def check_schema(engine: AsyncEngine, package: str) -> None:
    """
    Refuse to start on a schema that the migrations in *package* did not make.

    One that a newer version has made is accepted if it says that services of this version work on it: during an upgrade
    pods of both versions start.
    """
    schema = schema_of(package)
    known = revisions(package)
    command = f"python -m {package} migrate"
    try:
        async with engine.connect() as connection:
            version = await connection.run_sync(version_of, schema)
    except (DBAPIError, OSError, TimeoutError) as error:
        raise CannotStart(
            f"PostgreSQL does not answer at {_place(engine.url)} ({_first_line(error)}):"
            " start it, or correct DATABASE_URL.",
        ) from error
    if version is None:
        raise CannotStart(f"The database has no schema {schema!r} yet: run `{command}`.")
    if not up_to_date(version, package):
        raise CannotStart(
            f"The schema {schema!r} is at {version.revision!r}, but {known[-1]!r} is needed: run `{command}`."
        )


def up_to_date(version: Version, package: str) -> bool:
    """Tell whether a schema needs no migration of *package*, or raise CannotStart if its services must not touch it."""
    known = revisions(package)
    if version.revision in known:
        return version.revision == known[-1]
    if version.compatible_from in known:
        return True
    raise CannotStart(
        f"The schema {schema_of(package)!r} is at {version.revision!r}, which this version of {package} does not know,"
        f" and takes services from {version.compatible_from or version.revision!r} on: run a newer version."
    )


def version_of(connection: Connection, schema: str) -> Version | None:
    """Return what *schema* says of itself, or None if it was never made."""
    table = f'"{schema}".alembic_version'
    if connection.scalar(text("select to_regclass(:table)::text"), {"table": table}) is None:
        return None
    said = connection.scalar(text(f"select to_jsonb(version) from {table} version"))  # noqa: S608 - our own name
    return Version(said["version_num"], said.get("compatible_from")) if said else None


def schema_of(package: str) -> str:
    """Return the schema that the service *package*, such as ``parley.rooms``, owns."""
    schema = package.rpartition(".")[2]
    if not re.fullmatch(r"[a-z_]+", schema):
        raise ValueError(f"not the name of a schema: {schema!r}")
    return schema


def revisions(package: str) -> list[str]:
    """
    Return the revisions of *package* in order.

    A revision is called as its file, which begins with its date; so they are known without importing Alembic.
    """
    names = (entry.name for entry in files(package).joinpath("migrations").iterdir())
    return sorted(name.removesuffix(".py") for name in names if re.fullmatch(r"\d{8}_\w+\.py", name))


def asyncpg_url(url: str) -> URL:
    """Return *url* with our driver, and with libpq's ``sslmode`` as the driver calls it."""
    parsed = make_url(url).set(drivername="postgresql+asyncpg")
    if "sslmode" in parsed.query and not _authority(parsed):
        parsed = parsed.update_query_dict({"ssl": parsed.query["sslmode"]})
    return parsed.difference_update_query(["sslmode", "sslrootcert"])


def _authority(url: URL) -> str:
    """
    Return who must have signed the server's certificate, as libpq has it in ``sslrootcert``; empty if nobody looks.

    It is a file, or ``system`` for whom this machine trusts.
    """
    looks = url.query.get("sslmode") in ("require", "verify-ca", "verify-full")
    return str(url.query.get("sslrootcert", "")) if looks else ""


def _tls(url: URL) -> dict[str, ssl.SSLContext]:
    """Return what the driver is told to look at certificates with; at the name in it with ``verify-full`` alone."""
    root = _authority(url)
    if not root:
        return {}
    try:
        context = ssl.create_default_context(cafile=None if root == "system" else root)
    except OSError as error:
        raise CannotStart(f"DATABASE_URL names {root!r} as sslrootcert, which has no certificates: {error}.") from error
    context.check_hostname = url.query["sslmode"] == "verify-full"
    return {"ssl": context}


def _place(url: URL) -> str:
    return f"{url.host or 'localhost'}:{url.port or 5432}"


def _first_line(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    return next(iter(str(cause).splitlines()), "") or type(cause).__name__
