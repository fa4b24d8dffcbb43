"""
Rows of a state in PostgreSQL: one statement to write all that changed in a table, one to delete, one to read.

A row is a frozen msgspec Struct, and each of its fields a column of the same name. Rows travel as one JSON document
that PostgreSQL takes apart by the columns' types: text, numbers, booleans, ``timestamptz``, arrays, and ``json`` (kept
to the letter) or ``jsonb`` for everything nested. The primary key is ``partition`` and then the fields that make the
key in memory: one field alone, several as a tuple.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import inspect
from sqlalchemy.ext.asyncio import AsyncConnection

from parley.kit.state import Changes, State

PARTITION: Final = "partition"

_ENCODER: Final = msgspec.json.Encoder()


class Kept:
    """One kind of row, and the table that keeps it."""

    def __init__(self, table: sa.Table, row: type[msgspec.Struct]) -> None:
        """Check that *table* has a column for each field of *row*, and make the statements."""
        key = [column.name for column in table.primary_key.columns]
        if key[:1] != [PARTITION]:
            raise TypeError(f"the primary key of {table.fullname} must begin with {PARTITION!r}")
        fields = row.__struct_fields__
        if row.__struct_encode_fields__ != fields or row.__struct_config__.omit_defaults:
            raise TypeError(f"{row.__name__} is written by its fields: it can neither rename nor omit them")
        for name in {*fields, *key[1:]}:
            if name not in table.columns or (name in key and name not in fields):
                raise TypeError(f"{name!r} must be both a field of {row.__name__} and a column of {table.fullname}")
        for field in inspect.type_info(row).fields:  # type: ignore[attr-defined] # a Struct's has them
            if _may_be_null(field.type) and not table.columns[field.name].nullable:
                raise TypeError(
                    f"{field.name!r} of {row.__name__} may be null, and {table.fullname} has no room for that"
                )
        self.key_fields: Final = tuple(key[1:])
        self._decoder: Final = msgspec.json.Decoder(row)
        self._upsert, self._delete, self._select = _statements(table, fields, self.key_fields)

    async def load(self, db: AsyncConnection, partition: int) -> Iterator[tuple[Any, Any]]:
        """Return the partition's rows with their keys, in the order of the keys."""
        found = await db.execute(self._select, {PARTITION: partition})
        rows = (self._decoder.decode(restored(text)) for (text,) in found)
        return ((self._key(row), row) for row in rows)

    async def save(self, db: AsyncConnection, changes: Sequence[tuple[int, Mapping[Any, Any]]]) -> None:
        """Write the rows as they are now, by partition and key; one that is None is deleted."""
        written = [_row(partition, row) for partition, rows in changes for row in rows.values() if row is not None]
        if written:
            await db.execute(self._upsert, {"rows": storable(b"[" + b",".join(written) + b"]")})
        gone = [
            {PARTITION: partition, **self._named(key)}
            for partition, rows in changes
            for key, row in rows.items()
            if row is None
        ]
        if gone:
            await db.execute(self._delete, {"rows": storable(_ENCODER.encode(gone))})

    def _key(self, row: msgspec.Struct) -> Any:
        parts = tuple(getattr(row, name) for name in self.key_fields)
        return parts[0] if len(parts) == 1 else parts

    def _named(self, key: Any) -> dict[str, Any]:
        parts = (key,) if len(self.key_fields) == 1 else key
        return dict(zip(self.key_fields, parts, strict=True))


class Rows:
    """The `Store` of a service: its state's tables in order, each with the SQL table that keeps it."""

    def __init__(self, state: Callable[[int], State], kept: Sequence[Kept]) -> None:
        """*state* makes the empty state of a partition."""
        self._state = state
        self._kept = kept

    async def load(self, db: AsyncConnection, partition: int) -> State:
        """Return the partition's state as the last checkpoint left it."""
        state = self._state(partition)
        for table, kept in zip(state.tables(), self._kept, strict=True):
            for key, row in await kept.load(db, partition):
                table.restore(key, row)
        return state

    async def save(self, db: AsyncConnection, changes: Sequence[Changes]) -> None:
        """Write changes of several partitions: at most two statements for each table."""
        for number, kept in enumerate(self._kept):
            mine = [(change.partition, change.rows[number]) for change in changes if change.rows[number]]
            if mine:
                await kept.save(db, mine)


def _statements(
    table: sa.Table, fields: Sequence[str], key: Sequence[str]
) -> tuple[sa.TextClause, sa.TextClause, sa.TextClause]:
    """Return how to upsert, delete and select; every name in them is the program's own."""
    name = ".".join(f'"{part}"' for part in (table.schema, table.name) if part)
    columns = ", ".join(f'"{field}"' for field in (PARTITION, *fields))
    keys = ", ".join(f'"{field}"' for field in (PARTITION, *key))
    given = f"json_populate_recordset(null::{name}, cast(:rows as json))"
    others = [f'"{field}" = excluded."{field}"' for field in fields if field not in key]
    upsert = (
        f"insert into {name} ({columns}) select {columns} from {given} "  # noqa: S608 - see above
        f"on conflict ({keys}) do " + (f"update set {', '.join(others)}" if others else "nothing")
    )
    same = " and ".join(f'kept."{field}" = gone."{field}"' for field in (PARTITION, *key))
    delete = f"delete from {name} as kept using {given} as gone where {same}"  # noqa: S608 - see above
    select = f"select row_to_json(kept)::text from {name} as kept where {PARTITION} = :partition order by {keys}"  # noqa: S608 - see above
    return sa.text(upsert), sa.text(delete), sa.text(select)


def _may_be_null(kind: inspect.Type) -> bool:
    """Whether JSON may say null there, which in PostgreSQL is no value, not even of type json."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        return any(_may_be_null(one) for one in kind.types)
    return isinstance(kind, inspect.NoneType | inspect.RawType | inspect.AnyType)


def _row(partition: int, row: msgspec.Struct) -> bytes:
    encoded = _ENCODER.encode(row)
    return b'{"partition":%d,' % partition + encoded[1:]


# PostgreSQL's text cannot hold the character U+0000, which JSON can say and a client may have said. It is kept as a
# private-use character followed by 0, and that character itself followed by 1: rare enough to cost nothing.
_MARK: Final = "\uf8ff"
_NUL: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def storable(document: bytes) -> str:
    """Return JSON as PostgreSQL takes it."""
    text = document.decode()
    if _MARK in text:
        text = text.replace(_MARK, _MARK + "1")
    if "\\u0000" in text:
        text = _NUL.sub(rb"\1" + (_MARK + "0").encode(), text.encode()).decode()
    return text


def restored(text: str) -> str:
    """Return what was made `storable` as it was."""
    if _MARK in text:
        text = text.replace(_MARK + "0", "\\u0000").replace(_MARK + "1", _MARK)
    return text


def storable_text(text: str) -> str:
    """Return plain text as it stands in the rows, for a query to compare with."""
    return text.replace(_MARK, _MARK + "1").replace("\0", _MARK + "0")
