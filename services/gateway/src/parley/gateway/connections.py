"""Who is connected here: an index, with no rules."""

from collections.abc import Iterator

from parley.gateway.connection import Connection


class Connections:
    """Connections by id."""

    def __init__(self) -> None:
        self._by_id: dict[str, Connection] = {}
        self.find = self._by_id.get

    def add(self, connection: Connection) -> None:
        """Enter a connection."""
        self._by_id[connection.id] = connection

    def remove(self, connection: Connection) -> None:
        """Strike it out."""
        if self._by_id.get(connection.id) is connection:
            del self._by_id[connection.id]

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._by_id.values()))

    def __len__(self) -> int:
        return len(self._by_id)
