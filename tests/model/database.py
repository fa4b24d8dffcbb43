"""PostgreSQL, as far as owners need it: for each service and partition one row that says whose it is, and its rows."""

from typing import Any

from parley.kit.ownership import Marks
from parley.protocol.registry import Connection, LostGateway

LEASE = 3000


class Held:
    """A partition of one service."""

    def __init__(self, tables: int) -> None:
        self.owner = ""
        self.fence = 0
        self.until = 0
        self.cursor = 0
        self.time = 0
        self.marks: Marks = {}
        self.rows: list[dict[Any, Any]] = [{} for _ in range(tables)]

    @property
    def connections(self) -> dict[str, Connection]:
        return self.rows[0]

    @property
    def lost(self) -> dict[str, LostGateway]:
        return self.rows[1]

    def claim(self, owner: str, now: int) -> int:
        """Make it somebody's, and return the fence."""
        self.owner, self.until = owner, now + LEASE
        self.fence += 1
        return self.fence

    def write(self, cursor: int, time: int, marks: Marks, changes: list[dict[Any, Any]]) -> None:
        """Commit a checkpoint."""
        self.cursor, self.time, self.marks = cursor, time, marks
        for rows, changed in zip(self.rows, changes, strict=True):
            for key, row in changed.items():
                if row is None:
                    rows.pop(key, None)
                else:
                    rows[key] = row
