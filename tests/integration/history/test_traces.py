"""The trace of a frame ends with its row's way into the database; a call has one of its own."""

import pytest
from support.eventually import eventually
from support.history import replica
from support.otlp import OtlpReceiver
from support.said import NOON, Room, publish

from parley.kit.bus import Bus, Message
from parley.kit.metrics import REGISTRY
from parley.kit.migrate import migrate
from parley.kit.telemetry import telemetry, trace_of
from parley.protocol.requests import PeerQuality


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


ANA, BOB, CID = ("ana----------=", "bob----------=", "cid----------=")
"""Whose connections have ids as a report must have them."""


async def test_a_call_that_has_ended_is_one_span_in_a_trace_of_its_own(
    nats_url: str, database_url: str, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its begin to its end, with what it waited for, linked to the traces of its steps; told once."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    await migrate(database_url, "parley.history")
    room = Room()
    traces = [f"{number:032x}" for number in range(1, 101)]
    parents = [f"00-{trace}-00f067aa0ba902b7-01" for trace in traces]
    path = PeerQuality(
        connection_id=f"c-{BOB}",
        state="connected",
        bytes_sent=1,
        bytes_received=2,
        packets_received=3,
        packets_lost=4,
        first_media_ms=480.0,
    )
    said = [room.offers(ANA, BOB, traceparent=parent) for parent in parents]
    said += [room.answers(BOB, ANA, traceparent=parents[-1][:-1] + "0")]
    said += [room.calls("call", ANA, BOB), room.reports(ANA, "call", path)]
    said += [room.hangs_up("call", ANA, BOB, CID, began=NOON + 101, reason="disconnected")]

    before = waits()

    with OtlpReceiver() as receiver:
        async with telemetry("history", receiver.endpoint), replica(nats_url, database_url) as history:
            await publish(bus, *said)
            await history.acknowledged()
            await publish(bus, *(Message(each.subject, each.payload, f"again-{each.id}") for each in said))
            await history.acknowledged()
            shown = await history.get("/v1/calls/call")

    (span,) = receiver.named("call")
    assert (span.trace_id, span.parent_id, span.service) == (trace_of("call"), "", "parley-history")
    assert (span.start, span.end) == ((NOON + 101) * 1_000_000, (NOON + 103) * 1_000_000)
    assert span.links == tuple(traces[:64])
    assert {name: value for name, value in span.attributes.items() if name.startswith("parley.")} == {
        "parley.app": "default",
        "parley.call.id": "call",
        "parley.room": "r1",
        "parley.call.outcome": "disconnected",
        "parley.call.participants": 3,
        "parley.call.setup_ms": 101,
        "parley.call.first_answer_ms": 100,
        "parley.call.first_media_ms": 480.0,
    }
    assert shown["ownTraceId"] == trace_of("call")
    assert [round(now - then, 3) for now, then in zip(waits(), before, strict=True)] == [1, 0.1, 1, 0.48]


def waits() -> list[float]:
    """Return how many calls were measured until now, and how long they waited: for an answer, and for media."""
    names = [
        f"parley_history_call_first_{what}_seconds_{of}" for what in ("answer", "media") for of in ("count", "sum")
    ]
    return [REGISTRY.get_sample_value(name) or 0.0 for name in names]


async def test_a_call_that_the_sampler_drops_is_not_told(
    nats_url: str, database_url: str, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    await migrate(database_url, "parley.history")
    room = Room()

    with OtlpReceiver() as receiver:
        async with telemetry("history", receiver.endpoint), replica(nats_url, database_url) as history:
            await publish(bus, room.calls("call", "a", "b"), room.hangs_up("call", "a", "b", began=NOON))
            await history.acknowledged()
            shown = await history.get("/v1/calls/call")

    assert (shown["state"], shown["ownTraceId"]) == ("ended", None)
    assert receiver.spans == []
