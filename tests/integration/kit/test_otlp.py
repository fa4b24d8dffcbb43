"""Traces as a collector receives them."""

import asyncio
import gc
import io
import signal
import socket
import time
from contextlib import suppress
from weakref import ref

import httpx
import msgspec
import pytest
import structlog
from support.captured_logs import configured_logs
from support.child import Start
from support.eventually import eventually
from support.otlp import OtlpReceiver

from parley.kit.http import http
from parley.kit.probes import Probes, Receive, Scope, Send
from parley.kit.telemetry import (
    call_of,
    current_trace_id,
    messaging,
    recording,
    span,
    span_of_call,
    telemetry,
    trace_of,
)
from parley.kit.tracing import KEPT

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
REFUSED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
TRACE, PARENT = SAMPLED.split("-")[1:3]


async def test_a_trace_goes_on_from_process_to_process(start: Start) -> None:
    with OtlpReceiver() as receiver:
        child = await start(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, SMALL_PARENT=SAMPLED)
        await child.ready()
        child.signal(signal.SIGTERM)
        assert await child.ended() == 0

        [joining] = receiver.named("join")
        [sending] = receiver.named("send parley.in")

    assert (joining.service, joining.kind) == ("parley-small", "server")
    assert (joining.trace_id, joining.parent_id) == (TRACE, PARENT)
    assert f"traceparent 00-{TRACE}-{joining.span_id}-01" in child.said
    assert (sending.trace_id, sending.parent_id, sending.kind) == (TRACE, joining.span_id, "producer")
    assert sending.attributes["messaging.system"] == "nats"
    assert sending.attributes["messaging.operation.type"] == "send"
    assert sending.attributes["messaging.destination.name"] == "parley.in"


async def test_without_a_receiver_the_trace_is_handed_on_unchanged(start: Start) -> None:
    child = await start(SMALL_PARENT=SAMPLED)

    await child.says(f"traceparent {SAMPLED}")


async def test_a_request_over_http_goes_on_with_the_trace_in_its_header(start: Start) -> None:
    with OtlpReceiver() as receiver:
        child = await start(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
        async with httpx.AsyncClient(base_url=f"http://{await child.ready()}") as client:
            await client.get("/quick", headers={"traceparent": SAMPLED})
            await client.get("/other", headers={"traceparent": "rubbish"})
        child.signal(signal.SIGTERM)
        await child.ended()

        first, second = sorted(receiver.named("GET"), key=lambda received: received.start)

    assert (first.kind, first.trace_id) == ("server", TRACE)
    assert second.trace_id != TRACE


async def test_spans_without_a_parent_belong_to_the_block_they_are_in() -> None:
    with OtlpReceiver() as receiver:
        async with telemetry("rooms", receiver.endpoint):
            with span("outer") as outer:
                assert current_trace_id() == str(outer.traceparent).split("-")[1]
                with span("inner"):
                    pass
            with span("elsewhere"):
                pass

        [outer_], [inner], [elsewhere] = (receiver.named(name) for name in ("outer", "inner", "elsewhere"))

    assert inner.parent_id == outer_.span_id
    assert elsewhere.trace_id != outer_.trace_id
    assert not recording()


async def test_a_line_in_the_log_names_the_trace_it_belongs_to() -> None:
    stream = io.StringIO()
    with OtlpReceiver() as receiver, configured_logs(stream):
        async with telemetry("rooms", receiver.endpoint):
            with span("join", parent=SAMPLED):
                structlog.get_logger().info("joined")
            structlog.get_logger().info("idle")

    joined, idle = [msgspec.json.decode(line) for line in stream.getvalue().splitlines()]
    assert joined["trace_id"] == TRACE
    assert "trace_id" not in idle


async def test_work_on_a_batch_links_to_the_traces_of_what_is_in_it() -> None:
    with OtlpReceiver() as receiver:
        async with telemetry("history", receiver.endpoint):
            messaging("process", "parley.events", links=[SAMPLED, "rubbish"], count=2).end()

        [received] = receiver.spans

    assert received.links == (TRACE,)
    assert received.kind == "consumer"
    assert received.attributes["messaging.batch.message_count"] == 2


async def test_a_span_can_be_written_down_after_the_fact() -> None:
    began = time.time_ns() - 5_000_000
    with OtlpReceiver() as receiver:
        async with telemetry("history", receiver.endpoint):
            span("insert", parent=SAMPLED, at=began).end(began + 3_000_000)

        [received] = receiver.spans

    assert (received.start, received.end) == (began, began + 3_000_000)


async def test_a_calls_own_trace_is_found_by_the_calls_id() -> None:
    """What belongs to the call links to a span that there is only when it has ended, and that is the same each time."""
    began = time.time_ns() - 5_000_000
    with OtlpReceiver() as receiver:
        async with telemetry("history", receiver.endpoint):
            span("join", links=[call_of("call-1")]).end()
            for _ in range(2):
                span_of_call("call-1", links=[SAMPLED], attributes={"parley.room": "r"}, at=began).end(began + 1)
            span("after").end()

        [joined], calls, [after] = (receiver.named(name) for name in ("join", "call", "after"))

    assert joined.links == (trace_of("call-1"),)
    assert {(call.trace_id, call.span_id, call.parent_id) for call in calls} == {
        (*call_of("call-1").split("-")[1:3], "")
    }
    assert calls[0].links == (TRACE,)
    assert calls[0].attributes == {"parley.call.id": "call-1", "parley.room": "r"}
    assert after.trace_id != trace_of("call-1")


async def test_an_error_marks_the_span_it_passes_through_and_a_cancellation_does_not() -> None:
    with OtlpReceiver() as receiver:
        async with telemetry("rooms", receiver.endpoint):
            with pytest.raises(LookupError), span("broken"):
                raise LookupError("somebody's words")
            with pytest.raises(asyncio.CancelledError), span("cancelled"):
                raise asyncio.CancelledError

        [broken], [cancelled] = receiver.named("broken"), receiver.named("cancelled")

    assert broken.failed
    assert "LookupError (PARLEY_LOG_PRIVATE" in broken.said
    assert "in test_an_error_marks_the_span" in broken.said
    assert "Error: somebody's words" not in broken.said
    assert not cancelled.failed


async def test_what_upstream_does_not_sample_is_not_recorded_and_handed_on_unchanged() -> None:
    with OtlpReceiver() as receiver:
        async with telemetry("rooms", receiver.endpoint):
            with span("refused", parent=REFUSED) as refused, span("inner") as inner:
                pass
            with span("after"):
                pass

    assert refused.traceparent == inner.traceparent == REFUSED
    assert [received.name for received in receiver.spans] == ["after"]


async def test_the_sampler_is_chosen_by_the_variables_of_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused at the root says so to everybody behind it, and nothing inside of it starts a trace."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    with OtlpReceiver() as receiver:
        async with telemetry("rooms", receiver.endpoint):
            with span("root") as root, span("inner") as inner:
                assert not root.recording
            span("chosen upstream", parent=SAMPLED).end()

    assert str(root.traceparent).endswith("-00")
    assert inner.traceparent == root.traceparent
    assert [received.name for received in receiver.spans] == ["chosen upstream"]


async def test_half_of_the_traces_are_sampled_if_half_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    with OtlpReceiver() as receiver:
        async with telemetry("rooms", receiver.endpoint):
            roots = [span("root") for _ in range(400)]
            for root in roots:
                root.end()
        sampled = [root for root in roots if str(root.traceparent).endswith("1") or root.recording]

        assert len(receiver.spans) == len(sampled)
    assert 130 < len(sampled) < 270


@pytest.fixture
def nothing_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")


@pytest.mark.usefixtures("nothing_sampled")
async def test_what_fails_is_recorded_though_it_was_not_sampled() -> None:
    """In its own trace, under the id that was handed on, and with what was said of it."""
    with OtlpReceiver() as receiver:
        async with telemetry("rooms", receiver.endpoint):
            well = span("well")
            well.end()
            failed = messaging("send", "parley.in", attributes={"parley.room": "r"})
            failed.set("parley.route", "chat")
            failed.link(SAMPLED)
            failed.fail("internal")
            failed.end()
            with pytest.raises(LookupError), span("raised", parent=REFUSED):
                raise LookupError("no")

    assert not well.recording
    sent, raised = receiver.spans
    assert str(failed.traceparent) == f"00-{sent.trace_id}-{sent.span_id}-00"
    assert (sent.name, sent.kind, sent.failed, sent.links) == ("send parley.in", "producer", True, (TRACE,))
    assert sent.attributes["error.type"] == "internal"
    assert sent.attributes["parley.kept"] == "error"
    assert (sent.attributes["parley.room"], sent.attributes["parley.route"]) == ("r", "chat")
    assert (raised.name, raised.trace_id, raised.parent_id, raised.failed) == ("raised", TRACE, PARENT, True)


@pytest.mark.usefixtures("nothing_sampled")
async def test_what_failed_is_let_go_of_with_all_that_it_has_seen() -> None:
    """An error knows where it was raised, and so the span: neither may keep the other, and all they know with them."""

    class OwnError(Exception):
        """One that can be watched."""

    def fail() -> "ref[OwnError]":
        error = OwnError()
        with suppress(OwnError), span("raised") as raising:
            assert not raising.recording
            raise error
        return ref(error)

    with OtlpReceiver() as receiver:
        async with telemetry("rooms", receiver.endpoint):
            gone = fail()
            gc.collect()

    assert gone() is None


@pytest.mark.usefixtures("nothing_sampled")
async def test_what_was_slow_is_recorded_though_it_was_not_sampled() -> None:
    now = time.time_ns()
    with OtlpReceiver() as receiver:
        async with telemetry("rooms", receiver.endpoint, slow_seconds=2):
            span("quick", at=now).end(now + 1_900_000_000)
            slow = span("slow", at=now)
            slow.end(now + 2_000_000_000)
            messaging("process", "late", parent=REFUSED, at=now, since=now - 3_000_000_000).end(now)

    assert slow.recording
    assert [received.name for received in receiver.spans] == ["slow", "process late"]
    assert {received.attributes["parley.kept"] for received in receiver.spans} == {"slow"}
    assert receiver.spans[1].end == receiver.spans[1].start


@pytest.mark.usefixtures("nothing_sampled")
async def test_where_everything_fails_only_so_much_of_it_is_recorded() -> None:
    """What makes an outage worse is of no use in it."""
    with OtlpReceiver() as receiver:
        async with telemetry("rooms", receiver.endpoint):
            for _ in range(5 * int(KEPT.burst)):
                failed = span("failed")
                failed.fail("internal")
                failed.end()

    assert KEPT.burst <= len(receiver.spans) < 3 * KEPT.burst


@pytest.mark.usefixtures("nothing_sampled")
async def test_a_request_over_http_that_the_server_failed_is_recorded_though_it_was_not_sampled() -> None:
    async def app(scope: Scope, _: Receive, send: Send) -> None:
        status = int(scope["path"].removeprefix("/"))
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    probes = Probes()
    with OtlpReceiver() as receiver:
        async with (
            telemetry("rooms", receiver.endpoint),
            http(probes, "127.0.0.1", 0) as address,
            probes.mounted(app),
            httpx.AsyncClient(base_url=f"http://{address}", headers={"traceparent": REFUSED}) as client,
        ):
            for status in (200, 404, 503):
                await client.get(f"/{status}")

    [failed] = receiver.spans
    assert (failed.name, failed.trace_id, failed.failed) == ("GET", TRACE, True)
    assert failed.attributes["error.type"] == "503"


async def test_a_receiver_that_is_away_does_not_hold_the_process(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        child = await start(
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}",
            OTEL_EXPORTER_OTLP_TIMEOUT="3600",  # for as long OpenTelemetry alone would wait
        )
        await child.ready()
        child.signal(signal.SIGTERM)

        assert await child.ended() == 0


async def test_spans_arrive_while_the_process_runs(start: Start) -> None:
    with OtlpReceiver() as receiver:
        child = await start(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_BSP_SCHEDULE_DELAY="50")
        await child.ready()

        await eventually(lambda: None if receiver.named("join") else "no span yet")
