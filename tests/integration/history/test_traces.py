"""The trace of a frame ends with its row's way into the database."""

import pytest
from support.eventually import eventually
from support.history import replica
from support.otlp import OtlpReceiver
from support.said import Room, publish

from parley.kit.bus import Bus
from parley.kit.migrate import migrate
from parley.kit.telemetry import telemetry


@pytest.mark.parametrize("count", [1, 20])
async def test_each_event_ends_its_trace_with_its_insert(
    nats_url: str, database_url: str, bus: Bus, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Also when many events are written by one statement."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    await migrate(database_url, "parley.history")
    room = Room()
    parents = [f"00-{number:032x}-{number:016x}-01" for number in range(1, count + 1)]
    await publish(bus, *(room.says("x", traceparent=parent) for parent in parents))

    with OtlpReceiver() as receiver:
        async with telemetry("history", receiver.endpoint), replica(nats_url, database_url) as history:
            await history.has("messages", count)
            await eventually(lambda: None if len(receiver.named("INSERT history.messages")) == count else "too few")

    for parent in parents:
        _, trace, root, _ = parent.split("-")
        (outer,) = [span for span in receiver.traces[trace] if span.name == "process parley.events.{app}.{type}"]
        (insert,) = [span for span in receiver.traces[trace] if span.name == "INSERT history.messages"]
        assert (outer.parent_id, insert.parent_id) == (root, outer.span_id)
        assert (outer.service, outer.kind, insert.kind) == ("parley-history", "consumer", "client")
        assert outer.start <= insert.start <= insert.end <= outer.end
