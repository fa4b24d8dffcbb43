"""What the presence service holds, besides what every owner counts and measures."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from parley.kit import metrics
from parley.kit.partitions import Owned
from parley.presence.presence import Presence

_CONNECTIONS: Final = metrics.asked(
    "presence_connections",
    "Connections that live, in the partitions owned here: their gateway is `alive`, or `lost` while their grace runs.",
    "gateway",
)


@contextmanager
def counting(owned: Owned) -> Iterator[None]:
    """Tell how much the partitions of this process hold, for the length of the block."""
    with _CONNECTIONS.by(lambda: _connections(owned)):
        yield


def _connections(owned: Owned) -> metrics.Readings:
    """Count by gateway, of which there are few."""
    alive = lost = 0
    for state in owned.states.values():
        if isinstance(state, Presence):
            registry = state.rows.registry
            for gateway, there in registry.connections.of_gateway.items():
                if gateway in registry.lost:
                    lost += len(there)
                else:
                    alive += len(there)
    return {("alive",): alive, ("lost",): lost}
