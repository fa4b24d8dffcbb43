"""Migrations: a schema per service, one replica at a time, all or nothing, and refused when unknown."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from parley.kit.db import database, revisions, schema_of
from parley.kit.lifecycle import CannotStart
from parley.kit.migrate import migrate

FIRST = "20260101_members"
SECOND = "20260102_color"
THIRD = "20260103_shade"

MEMBERS = f"""
import sqlalchemy as sa
from alembic import op

revision = "{FIRST}"
down_revision = None
compatible_from = revision


def upgrade():
    op.create_table("members", sa.Column("name", sa.Text, primary_key=True))
    op.execute("insert into members values ('ana')")
    op.execute("select pg_sleep(0.2)")  # long enough for another replica to come along
"""
COLOR = f"""
import sqlalchemy as sa
from alembic import op

revision = "{SECOND}"
down_revision = "{FIRST}"
compatible_from = "{FIRST}"


def upgrade():
    op.add_column("members", sa.Column("color", sa.Text))
"""
SHADE = f"""
from alembic import op

revision = "{THIRD}"
down_revision = "{SECOND}"
compatible_from = "{SECOND}"


def upgrade():
    op.drop_column("members", "name")
"""
BROKEN = COLOR + '    op.execute("select 1 / 0")\n'

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Give a function that writes the migrations of the service `painting`."""
    folder = tmp_path / "packages" / "painting" / "migrations"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    monkeypatch.delitem(sys.modules, "painting", raising=False)

    def write(**migrations: str) -> None:
        for file in folder.glob("2*.py"):
            file.unlink()
        for name, source in migrations.items():
            (folder / f"{name.removeprefix('_')}.py").write_text(source)

    yield write
    sys.modules.pop("painting", None)


@pytest.fixture
async def witness(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def refusal(database_url: str) -> str:
    with pytest.raises(CannotStart) as caught:
        async with database(database_url, "test", package="painting"):
            pass
    return str(caught.value)


async def accepts(database_url: str) -> bool:
    async with database(database_url, "test", package="painting"):
        return True


async def test_a_service_gets_its_schema_and_nothing_elsewhere(
    database_url: str, write: Write, witness: asyncpg.Connection
) -> None:
    write(_20260101_members=MEMBERS, _20260102_color=COLOR)

    assert await migrate(database_url, "painting") == [FIRST, SECOND]

    tables = await witness.fetch(
        "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
    )
    assert {tuple(row.values()) for row in tables} == {("painting", "members"), ("painting", "alembic_version")}
    assert await accepts(database_url)


async def test_migrating_again_changes_nothing(database_url: str, write: Write) -> None:
    write(_20260101_members=MEMBERS)
    await migrate(database_url, "painting")

    for _ in range(3):
        assert await migrate(database_url, "painting") == []


async def test_what_is_new_is_applied_to_what_is_there(
    database_url: str, write: Write, witness: asyncpg.Connection
) -> None:
    write(_20260101_members=MEMBERS)
    await migrate(database_url, "painting")
    write(_20260101_members=MEMBERS, _20260102_color=COLOR)

    assert await migrate(database_url, "painting") == [SECOND]
    assert [dict(row) for row in await witness.fetch("select * from painting.members")] == [
        {"name": "ana", "color": None}
    ]


async def test_replicas_wait_for_the_one_that_migrates(
    database_url: str, write: Write, witness: asyncpg.Connection
) -> None:
    """Each with a connection of its own, as in processes of their own; here they surely overlap."""
    write(_20260101_members=MEMBERS)

    applied = await asyncio.gather(*(migrate(database_url, "painting") for _ in range(3)))

    assert sorted(applied) == [[], [], [FIRST]]
    assert await witness.fetchval("select count(*) from painting.members") == 1


async def test_a_migration_that_fails_leaves_the_schema_as_it_was(
    database_url: str, write: Write, witness: asyncpg.Connection
) -> None:
    write(_20260101_members=MEMBERS, _20260102_color=BROKEN)

    with pytest.raises(CannotStart, match=r"'painting' could not be migrated, and is as it was: .*division by zero"):
        await migrate(database_url, "painting")

    assert await witness.fetchval("select count(*) from pg_namespace where nspname = 'painting'") == 0


async def test_a_migration_does_not_wait_for_ever_for_a_table_in_use(
    database_url: str, write: Write, witness: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for an exclusive lock blocks everybody behind it."""
    write(_20260101_members=MEMBERS)
    await migrate(database_url, "painting")
    write(_20260101_members=MEMBERS, _20260102_color=COLOR)
    monkeypatch.setattr("parley.kit.migrate._LOCK_TIMEOUT", "100ms")

    async with witness.transaction():
        await witness.execute("lock table painting.members in access share mode")
        with pytest.raises(CannotStart, match="lock timeout"):
            await migrate(database_url, "painting")

    assert await migrate(database_url, "painting") == [SECOND]


async def test_a_service_refuses_to_start_without_its_schema(database_url: str, write: Write) -> None:
    write(_20260101_members=MEMBERS)

    assert await refusal(database_url) == (
        "The database has no schema 'painting' yet: run `python -m painting migrate`."
    )


async def test_a_service_refuses_to_start_on_an_older_schema(database_url: str, write: Write) -> None:
    write(_20260101_members=MEMBERS)
    await migrate(database_url, "painting")
    write(_20260101_members=MEMBERS, _20260102_color=COLOR)

    assert await refusal(database_url) == (
        f"The schema 'painting' is at '{FIRST}', but '{SECOND}' is needed: run `python -m painting migrate`."
    )


async def test_a_service_starts_on_a_newer_schema_that_takes_it(
    database_url: str, write: Write, witness: asyncpg.Connection
) -> None:
    """During an upgrade pods of the version before start again, and after it one may go back."""
    write(_20260101_members=MEMBERS, _20260102_color=COLOR)
    await migrate(database_url, "painting")
    write(_20260101_members=MEMBERS)

    assert await accepts(database_url)
    assert await migrate(database_url, "painting") == []
    assert await witness.fetchval("select version_num from painting.alembic_version") == SECOND


async def test_a_service_refuses_to_start_on_a_schema_it_does_not_know(database_url: str, write: Write) -> None:
    """The first version is two behind; what the second one no longer needed is gone."""
    write(_20260101_members=MEMBERS, _20260102_color=COLOR, _20260103_shade=SHADE)
    await migrate(database_url, "painting")
    write(_20260101_members=MEMBERS)
    said = (
        f"The schema 'painting' is at '{THIRD}', which this version of painting does not know, and takes services from"
        f" '{SECOND}' on: run a newer version."
    )

    assert await refusal(database_url) == said
    with pytest.raises(CannotStart) as refused:
        await migrate(database_url, "painting")
    assert str(refused.value) == said

    write(_20260101_members=MEMBERS, _20260102_color=COLOR)
    assert await accepts(database_url)


async def test_what_a_schema_once_refused_it_refuses_for_ever(database_url: str, write: Write) -> None:
    """A later migration which minds nobody brings nothing back that an earlier one took away."""
    minds = COLOR.replace(f'compatible_from = "{FIRST}"', f'compatible_from = "{SECOND}"')
    minds_not = SHADE.replace(f'compatible_from = "{SECOND}"', f'compatible_from = "{FIRST}"')
    write(_20260101_members=MEMBERS, _20260102_color=minds, _20260103_shade=minds_not)
    await migrate(database_url, "painting")
    write(_20260101_members=MEMBERS)

    assert f"takes services from '{SECOND}' on" in await refusal(database_url)


async def test_a_schema_from_before_they_said_whom_they_take_is_upgraded_like_any_other(
    database_url: str, write: Write, witness: asyncpg.Connection
) -> None:
    write(_20260101_members=MEMBERS)
    await migrate(database_url, "painting")
    await witness.execute("alter table painting.alembic_version drop column compatible_from")
    assert await accepts(database_url)

    write(_20260101_members=MEMBERS, _20260102_color=COLOR)
    assert await migrate(database_url, "painting") == [SECOND]
    assert await witness.fetchval("select compatible_from from painting.alembic_version") == FIRST

    await witness.execute("alter table painting.alembic_version drop column compatible_from")
    write(_20260101_members=MEMBERS)
    assert f"takes services from '{SECOND}' on" in await refusal(database_url)


async def test_a_migration_must_say_which_services_work_once_it_has_run(database_url: str, write: Write) -> None:
    write(_20260101_members=MEMBERS, _20260102_color=COLOR.replace("compatible_from", "something"))

    with pytest.raises(CannotStart, match=f"The migration {SECOND} does not say which services work"):
        await migrate(database_url, "painting")


async def test_a_database_that_is_away_is_said_so(write: Write) -> None:
    write(_20260101_members=MEMBERS)
    nobody = "postgresql://nobody@127.0.0.1:1/nothing"

    assert (await refusal(nobody)).startswith("PostgreSQL does not answer at 127.0.0.1:1 (")
    with pytest.raises(CannotStart, match="PostgreSQL does not answer"):
        await migrate(nobody, "painting")


def test_revisions_are_known_by_their_dated_files(write: Write) -> None:
    write(_20260102_color=COLOR, _20260101_members=MEMBERS)

    assert revisions("painting") == [FIRST, SECOND]


def test_a_schema_is_called_as_its_service() -> None:
    assert schema_of("parley.rooms") == "rooms"
    with pytest.raises(ValueError, match="not the name of a schema"):
        schema_of('rooms"; drop schema rooms')


async def test_a_step_has_a_patience_of_its_own(
    write: Write, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an index over all that was ever said could never be made."""
    write(_20260101_members=MEMBERS)
    monkeypatch.setattr("parley.kit.migrate._STEP_SECONDS", 0.05)

    with pytest.raises(CannotStart):
        await migrate(database_url, "painting")
