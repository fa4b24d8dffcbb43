"""What one connection does with what its session decided."""

from typing import Any

import pytest

from parley.gateway.connection import Connection
from parley.gateway.session import Rules, Session
from parley.kit import telemetry
from parley.kit.identity import Identity
from parley.kit.telemetry import Unrecorded
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.commands import Profile
from parley.protocol.dialects.parley_v1 import ParleyV1
from parley.protocol.ids import connection_id

ID = connection_id(3, b"123456789")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Gateway:
    """What is around it: a log that takes nothing."""

    place = 0
    trouble = Refusal(ErrorCode.DEGRADED, "The log takes nothing.")


class Tracing:
    """Writes down which spans failed, and how."""

    def __init__(self) -> None:
        self.failed: list[tuple[str, str | None, str]] = []

    def begin(self, name: str, kind: str, parent: str | None, **_: Any) -> Unrecorded:
        tracing = self

        class Span(Unrecorded):
            def fail(self, error: str) -> None:
                tracing.failed.append((name, parent, error))

        return Span(parent)


def test_what_is_refused_for_no_fault_of_the_clients_is_in_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an error, of which so many are recorded, and not because its client wants it to be."""
    tracing = Tracing()
    monkeypatch.setattr(telemetry, "_tracing", tracing)
    session = Session(ID, ParleyV1(), Identity.anonymous("a"), Profile(), Rules(16), 0.0)
    connection = Connection(session, Gateway(), "192.0.2.1", "agent")  # type: ignore[arg-type] # as far as it is asked

    connection.received(b'{"action":"leave","room":"r","traceparent":"%s"}' % TRACE.encode())
    connection.received(b"no JSON")

    assert tracing.failed == [("refuse", f"{TRACE[:-2]}00", "degraded")]
