"""Migrations of every service are a dated chain, and make a schema that the service accepts."""

import asyncio
import os
import sys
from importlib.resources import files

import pytest
from alembic.script import ScriptDirectory

from parley.kit.db import check_schema, database, revisions
from parley.kit.migrate import migrate

PACKAGES = ["parley.presence", "parley.rooms", "parley.history"]


@pytest.mark.parametrize("package", PACKAGES)
def test_migrations_are_called_by_date_and_follow_each_other_in_that_order(package: str) -> None:
    folder = str(files(package).joinpath("migrations"))
    script = ScriptDirectory(folder, version_locations=[folder])

    chain = [revision.revision for revision in reversed(list(script.walk_revisions()))]

    assert chain == revisions(package)
    assert chain, f"{package} has no migrations"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_migration_says_which_services_work_once_it_has_run(package: str) -> None:
    """From a revision before it on, or from its own on: then the two versions cannot run side by side."""
    folder = str(files(package).joinpath("migrations"))
    script = ScriptDirectory(folder, version_locations=[folder])
    known = revisions(package)
    for step in script.walk_revisions():
        said = getattr(step.module, "compatible_from", None)
        assert said in known[: known.index(step.revision) + 1], (
            f"{step.revision} needs a `compatible_from`: docs/how-to/write-a-migration.md"
        )


async def test_all_services_migrate_one_database_and_start_on_it(database_url: str) -> None:
    for package in PACKAGES:
        assert await migrate(database_url, package) == revisions(package)

    async with database(database_url, "test") as engine:
        for package in PACKAGES:
            await check_schema(engine, package)


async def test_a_service_migrates_on_its_own_command(database_url: str) -> None:
    """One for all: the others' commands are run as the chart renders them (tests/chart/test_running.py)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "parley.presence", "migrate"),
        env={"PATH": os.environ["PATH"], "DATABASE_URL": database_url},
        stderr=asyncio.subprocess.PIPE,
    )
    _, log = await process.communicate()

    assert process.returncode == 0, log.decode()
    async with database(database_url, "test") as engine:
        await check_schema(engine, "parley.presence")
