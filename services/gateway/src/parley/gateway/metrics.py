"""What the gateway holds at the moment, for Prometheus; what it counts is in tallies.py."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import Final

from parley.gateway.connections import Connections
from parley.gateway.ingress import Ingress
from parley.kit import metrics

_CONNECTIONS: Final = metrics.asked(
    "gateway_connections", "Sockets that are open, by the dialect they speak.", "dialect"
)
_OUTBOX_SECONDS: Final = metrics.asked(
    "gateway_outbox_seconds",
    "For how long the oldest has waited of what the log has not taken yet; 0 if nothing waits.",
)
_OUTBOX_BYTES: Final = metrics.asked("gateway_outbox_bytes", "How much waits for the log.")


@contextmanager
def counting(connections: Connections, ingress: Ingress) -> Iterator[None]:
    """Tell what this gateway holds, for the length of the block."""
    with ExitStack() as stack:
        stack.enter_context(_CONNECTIONS.by(lambda: _by_dialect(connections)))
        stack.enter_context(_OUTBOX_SECONDS.by(lambda: {(): ingress.look(monotonic())}))
        stack.enter_context(_OUTBOX_BYTES.by(lambda: {(): ingress.waiting_bytes}))
        yield


def _by_dialect(connections: Connections) -> metrics.Readings:
    """Count; that there is nobody is told, too, or autoscaling would not know it."""
    found = Counter[tuple[str, ...]]((connection.session.dialect.name,) for connection in connections)
    found.setdefault(("parley.v1",), 0)
    return found
