"""A partition of rooms written to PostgreSQL and read again is what it was."""

import msgspec
import pytest
from support.partition import Partition, raw

from parley.kit.db import database
from parley.kit.migrate import migrate
from parley.kit.state import Changes
from parley.protocol.requests import Chat, Join, Leave, Letter, Send
from parley.rooms.store import store_of

HOSTILE = ["a.b", "a b", ">", "*", "a\nb", "😀", "x" * 1024, "a/b", "'; drop table rooms.rooms; --", "\\u0000"]


@pytest.fixture
async def db(database_url):
    await migrate(database_url, "parley.rooms")
    async with database(database_url, "test") as engine:
        yield engine


def changes_of(partition, number):
    return Changes(number, [table.take_changes() for table in partition.rooms.tables()])


def rows_of(rooms):
    """Rows as they are written; raw data compares by its bytes."""
    return [{repr(key): msgspec.json.encode(row) for key, row in table.rows()} for table in rooms.tables()]


async def test_what_is_loaded_is_what_was_saved(db):
    partition = Partition()
    store = store_of(16)
    for name in ("ana", "bob"):
        partition.opens(name, device="d")
    for room in HOSTILE:
        partition.asks("ana", Join(room=room, metadata={"n": 1.5, "deep": [{"x": None}]}))
        partition.asks("bob", Join(room=room))
        partition.asks(
            "ana", Chat(room=room, id="1", text="nul: \0, mark: \uf8ff", data=raw('{"n":1e999,"s":"\\u0000"}'))
        )
    for data in ("null", '{"n":1.10}'):
        partition.asks("ana", Letter(box="b", name="bob", sender="ana", kind="k", data=raw(data), keep_ms=1000))
    partition.asks("ana", Send(room=">", data=raw('{"description":{"type":"offer"}}')))
    partition.asks("bob", Send(room=">", data=raw('{"description":{"type":"answer"}}')))
    async with db.begin() as connection:
        await store.save(connection, [changes_of(partition, 3)])
    partition.asks("ana", Leave(room="*"))
    partition.closes("bob")
    async with db.begin() as connection:
        await store.save(connection, [changes_of(partition, 3)])

    async with db.connect() as connection:
        loaded = await store.load(connection, 3)
        other = await store.load(connection, 4)

    assert rows_of(loaded) == rows_of(partition.rooms)
    assert not any(rows_of(other))


async def test_a_loaded_partition_goes_on_with_the_same_words(db):
    """After a takeover nobody can tell the owners apart."""
    partition = Partition()
    store = store_of(16)
    for name in ("zoe", "ana", "bob"):
        partition.opens(name, gateway=f"g-{name}")
        partition.asks(name, Join(room="r"), gateway=f"g-{name}")
    async with db.begin() as connection:
        await store.save(connection, [changes_of(partition, 0)])
    async with db.connect() as connection:
        loaded = await store.load(connection, 0)

    partition.asks("ana", Chat(room="r", id="1", text="hi", ref="1"))
    partition.asks("bob", Leave(room="r", ref="1"))
    said = partition.closes("zoe")

    again = [list(loaded.reduce(event, at)) for event, at in partition.log[-3:]]
    assert again[-1] == said
