"""Rows of one kind, held in memory while their partition is owned."""

from collections.abc import Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key")
Row = TypeVar("Row")


class Table(Generic[Key, Row]):
    """A dict of immutable rows that can take one event back and says what has changed.

    Rows are frozen and replaced, never mutated. That makes two things cheap:
    an event whose rule raises changes nothing (`undo`), and a checkpoint
    writes only what has changed since the last one (`take_changes`).
    Override `index` to keep a derived index that survives both.
    """

    def __init__(self) -> None:
        self._rows: dict[Key, Row] = {}
        self._changed: dict[Key, None] = {}
        self._before: list[tuple[Key, Row | None]] = []
        """What this event has replaced, oldest first."""

    def index(self, key: Key, old: Row | None, new: Row | None) -> None:
        """Keep derived indexes: a row was put (old None), replaced, or deleted (new None)."""

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._rows)

    def __contains__(self, key: Key) -> bool:
        return key in self._rows

    def __getitem__(self, key: Key) -> Row:
        return self._rows[key]

    def get(self, key: Key) -> Row | None:
        """Return the row, None if there is none."""
        return self._rows.get(key)

    def rows(self) -> Iterator[tuple[Key, Row]]:
        """Every key with its row."""
        return iter(self._rows.items())

    def __setitem__(self, key: Key, row: Row) -> None:
        old = self._put(key, row)
        self._before.append((key, old))
        self._changed[key] = None

    def __delitem__(self, key: Key) -> None:
        if key not in self._rows:
            raise KeyError(key)
        old = self._put(key, None)
        self._before.append((key, old))
        self._changed[key] = None

    def restore(self, key: Key, row: Row) -> None:
        """Put a row that the database already holds."""
        self._put(key, row)

    def keep(self) -> None:
        """The event is done: what it changed stays."""
        self._before.clear()

    def mark(self) -> int:
        """Return how much this event has changed so far, to `undo` no more than what it changes from here on."""
        return len(self._before)

    def undo(self, mark: int = 0) -> None:
        """The event failed, or the part of it that began at *mark*: put back what it changed."""
        for key, old in reversed(self._before[mark:]):
            self._put(key, old)
        del self._before[mark:]

    def take_changes(self) -> dict[Key, Row | None]:
        """Return what has changed since the last call: the row as it is now, None if it is gone."""
        changes = {key: self._rows.get(key) for key in self._changed}
        self._changed.clear()
        return changes

    def changed_again(self, keys: Iterator[Key]) -> None:
        """A checkpoint did not happen: say these changes once more next time."""
        for key in keys:
            self._changed[key] = None

    def _put(self, key: Key, row: Row | None) -> Row | None:
        old = self._rows.get(key)
        if row is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = row
        self.index(key, old, row)
        return old
