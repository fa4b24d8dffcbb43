"""
Migrations of one service: its own schema, its own version table in it, one process at a time.

They lie in ``<package>/migrations/`` and are called ``YYYYMMDD_<what>.py``, which is also their revision. Each says
what comes before it (``down_revision``) and uses ``from alembic import op``; names without a schema are the service's.

Each also says which services go on working once it has run: ``compatible_from`` is the oldest revision whose services
do, and its own if none before does. What all of them say together is recorded beside the version, so that a service
which meets a newer schema knows whether it may start (docs/how-to/write-a-migration.md).
"""

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from parley.kit.db import database, schema_of, up_to_date, version_of
from parley.kit.lifecycle import CannotStart

if TYPE_CHECKING:
    from alembic.script import Script

_LOCK_TIMEOUT = "5s"
"""How long a migration waits for a table that is in use, before it gives up rather than block everybody behind it."""
_TURN_TIMEOUT = "120s"
"""How long a replica waits for another one that migrates."""

_STEP_SECONDS = 3600
"""How long one statement of a migration may take: an index over all that was ever said is no matter of seconds."""


async def migrate(database_url: str, package: str) -> list[str]:
    """
    Bring the schema of *package*, such as ``parley.rooms``, up to date, and return the revisions applied.

    One that a newer version has made stays as it is, if services of this version work on it.
    """
    schema = schema_of(package)
    try:
        async with (
            database(database_url, f"{schema}-migrate", pool=1, patience=_STEP_SECONDS) as engine,
            engine.begin() as connection,
        ):
            return await connection.run_sync(_upgrade, package, schema)
    except (OSError, TimeoutError) as error:
        raise CannotStart(f"PostgreSQL does not answer ({error}): start it, or correct DATABASE_URL.") from error
    except DBAPIError as error:
        raise CannotStart(f"The schema {schema!r} could not be migrated, and is as it was: {error.orig}.") from error


def _upgrade(connection: Connection, package: str, schema: str) -> list[str]:
    """Apply what is missing, in the transaction that the caller opened: all of it or nothing."""
    connection.execute(text(f"set local lock_timeout = '{_TURN_TIMEOUT}'"))
    connection.execute(text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"parley.{schema}"})
    connection.execute(text(f"set local lock_timeout = '{_LOCK_TIMEOUT}'"))
    version = version_of(connection, schema)
    if version and up_to_date(version, package):
        return []

    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415 - only when there is work to do
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    # A role that owns its schema need not be allowed to make others, which PostgreSQL asks even where nothing is made.
    if not connection.scalar(text("select exists (select from pg_namespace where nspname = :name)"), {"name": schema}):
        connection.execute(text(f'create schema "{schema}"'))
    connection.execute(text(f'set local search_path = "{schema}"'))
    applied: list[str] = []
    with as_file(files(package).joinpath("migrations")) as folder:
        script = ScriptDirectory(str(folder), version_locations=[str(folder)])

        def upgrade(revision: str, _: object) -> object:
            steps = script._upgrade_revs("head", revision)  # noqa: SLF001 # Alembic's own `upgrade` does the same
            applied.extend(step.revision.revision for step in steps)
            return steps

        with EnvironmentContext(Config(), script, fn=upgrade, destination_rev="head") as environment:
            environment.configure(connection=connection, version_table_schema=schema)
            environment.run_migrations()
        oldest = max(_compatible_from(step) for step in script.walk_revisions())
    connection.execute(text("alter table alembic_version add column if not exists compatible_from text"))
    connection.execute(text("update alembic_version set compatible_from = :oldest"), {"oldest": oldest})
    return applied


def _compatible_from(step: "Script") -> str:
    """Return from which revision on services work once *step* has run. A service must be taken by every step."""
    said: str | None = getattr(step.module, "compatible_from", None)
    if said is None:
        raise CannotStart(
            f"The migration {step.revision} does not say which services work once it has run: give it a"
            " `compatible_from` (docs/how-to/write-a-migration.md)."
        )
    return said
