"""Rows in PostgreSQL: what comes back is what was written, whatever a client said."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw, Struct
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.kit.db import database
from parley.kit.rows import Kept, restored, storable, storable_text
from parley.protocol.table import Table

metadata = sa.MetaData(schema="shop")
window = sa.Table(
    "window",  # a word of SQL's own
    metadata,
    sa.Column("partition", sa.SmallInteger, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("order", sa.BigInteger, primary_key=True),
    sa.Column("tags", ARRAY(sa.Text), nullable=False),
    sa.Column("inner", JSONB),
    sa.Column("said", JSON),
    sa.Column("open", sa.Boolean, nullable=False),
)


class Inner(Struct, frozen=True, omit_defaults=True, rename="camel"):
    some_text: str
    more: int | None = None


class Row(Struct, frozen=True):
    name: str
    order: int
    tags: tuple[str, ...] = ()
    inner: Inner | None = None
    said: Raw = Raw(b"null")
    open: bool = True


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[AsyncEngine]:
    async with database(database_url, "test") as db:
        async with db.begin() as connection:
            await connection.execute(sa.text("create schema shop"))
            await connection.run_sync(metadata.create_all)
        yield db


async def save(db: AsyncEngine, *changes: tuple[int, dict[Any, Row | None]]) -> None:
    async with db.begin() as connection:
        await Kept(window, Row).save(connection, changes)


async def load(db: AsyncEngine, partition: int) -> Sequence[tuple[Any, Any]]:
    async with db.begin() as connection:
        return list(await Kept(window, Row).load(connection, partition))


async def test_rows_come_back_as_they_were_in_the_order_of_their_keys(db: AsyncEngine) -> None:
    rows: dict[Any, Row | None] = {
        ("b", 1): Row("b", 1, ("x", 'y"{}'), Inner("text", 5), Raw(b'{"b": 1.0, "a": 1e400, "a": 2}')),
        ("a", 2): Row("a", 2, open=False),
        ("a", 10): Row("a", 10),
    }
    await save(db, (1, rows), (2, {("b", 1): Row("b", 1)}))

    found = await load(db, 1)

    assert [key for key, _ in found] == [("a", 2), ("a", 10), ("b", 1)]
    assert dict(found) == rows
    assert bytes(dict(found)["b", 1].said) == b'{"b": 1.0, "a": 1e400, "a": 2}'


async def test_a_changed_row_is_replaced_and_a_gone_one_deleted_in_its_partition_alone(db: AsyncEngine) -> None:
    await save(db, (1, {("a", 1): Row("a", 1), ("b", 1): Row("b", 1)}), (2, {("a", 1): Row("a", 1)}))

    await save(db, (1, {("a", 1): None, ("b", 1): Row("b", 1, ("new",)), ("never", 1): None}))

    assert await load(db, 1) == [(("b", 1), Row("b", 1, ("new",)))]
    assert len(await load(db, 2)) == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
async def test_any_text_comes_back(db: AsyncEngine, text: str) -> None:
    """PostgreSQL has no character U+0000, and JSON has."""
    row = Row(f"k{text}", 1, (text,), Inner(text), Raw(msgspec.json.encode({text: text})))
    await save(db, (3, {(row.name, 1): row}))

    found = dict(await load(db, 3))[row.name, 1]

    assert (found.name, found.tags, found.inner) == (row.name, row.tags, row.inner)
    assert msgspec.json.decode(found.said) == {text: text}
    await save(db, (3, {(row.name, 1): None}))
    assert await load(db, 3) == []


@pytest.mark.parametrize(
    "document", [b'"a"', b'"\\u0000"', b'"\\\\u0000"', b'"\\\\\\u0000\\u0000"', '"\uf8ff0"'.encode()]
)
def test_what_is_stored_has_no_nul_and_isrestored_to_the_letter(document: bytes) -> None:
    stored = storable(document)

    assert "\\u0000" not in stored.replace("\\\\", "")
    assert restored(stored) == document.decode()


@given(text=st.text(st.characters(exclude_categories=["Cs"])) | st.text(alphabet="\\u0\0\uf8ff1"))
def test_a_query_compares_with_plain_text_as_it_is_stored(text: str) -> None:
    assert storable_text(text) == msgspec.json.decode(storable(msgspec.json.encode(text)))


def test_a_row_that_omits_defaults_cannot_be_kept() -> None:
    class Short(Struct, frozen=True, omit_defaults=True):
        name: str
        order: int

    with pytest.raises(TypeError, match="neither rename nor omit"):
        Kept(window, Short)


def test_a_table_without_a_column_for_a_field_is_refused() -> None:
    class Wide(Struct, frozen=True):
        name: str
        order: int
        other: int

    with pytest.raises(TypeError, match="'other' must be both"):
        Kept(window, Wide)


def test_tables_arerestored_without_being_changed() -> None:
    table: Table[str, Row] = Table()
    table.restore("a", Row("a", 1))

    assert table.take_changes() == {}
