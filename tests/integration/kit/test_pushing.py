"""Metrics as a collector receives them: what `/metrics` shows, sent."""

import asyncio
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import httpx
import pytest
from support.child import Start
from support.eventually import eventually
from support.otlp import OtlpReceiver
from support.scraped import value

from parley.kit import metrics, otlp
from parley.kit.pushing import pushing

ASKED = metrics.counter("test_questions", "Questions that were asked.", "by")
TOOK = metrics.histogram("test_answer_seconds", "How long answers took.", buckets=(0.1, 1.0))
HEAP = metrics.asked("test_heap_bytes", "How much lies about.", "where")
del metrics.DEFINED[-3:]  # they are none of Parley's, and not on its page

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(autouse=True)
def fresh() -> None:
    ASKED.clear()
    TOOK.clear()


async def test_a_process_sends_what_it_would_show(start: Start) -> None:
    """As Prometheus has it: names, labels, values; from the process whose spans name the same instance."""
    with OtlpReceiver() as receiver:
        child = await start(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_METRICS_EXPORTER="otlp")
        async with httpx.AsyncClient(base_url=f"http://{await child.ready()}") as client:
            await client.get("/quick")
            shown = (await client.get("/metrics")).text
        child.signal(signal.SIGTERM)
        assert await child.ended() == 0

        answered = receiver.point("parley_http_request_seconds", method="GET", route="other", code="200")
        memory = receiver.point("parley_process_resident_memory_bytes")
        cpu = receiver.point("parley_process_cpu_seconds_total")
        [joining] = receiver.named("join")
        sent = {point.name for point in receiver.points}

    assert answered  # at its end: the interval is a minute
    assert (answered.kind, answered.value, answered.unit) == ("histogram", 1, "s")
    assert answered.total == pytest.approx(value(shown, "parley_http_request_seconds_sum"))
    assert (answered.service, answered.instance) == ("parley-small", joining.instance)
    assert memory
    assert (memory.kind, memory.unit) == ("gauge", "By")
    assert cpu
    assert (cpu.kind, cpu.unit) == ("sum", "s")
    types = [line.split()[2:] for line in shown.splitlines() if line.startswith("# TYPE")]
    assert {name for name, _ in types if not name.endswith("_created") and value(shown, name)} <= sent


async def test_values_arrive_as_they_were_counted() -> None:
    ASKED.labels("ana").inc(3)
    ASKED.labels("bob").inc()
    for seconds in (0.05, 0.5, 0.7, 30):
        TOOK.observe(seconds, {"trace_id": TRACE, "span_id": "b7ad6b7169203331"} if seconds == 30 else None)
    with OtlpReceiver() as receiver:
        async with pushing("rooms", receiver.endpoint, every=60):
            with HEAP.by(lambda: {("left",): 7}):
                pass

        ana, bob = (receiver.point("parley_test_questions_total", by=name) for name in ("ana", "bob"))
        took = receiver.point("parley_test_answer_seconds")
        heap = receiver.point("parley_test_heap_bytes", where="left")

    assert (ana and ana.value, bob and bob.value) == (3, 1)
    assert ana
    assert (ana.kind, ana.unit, ana.description) == ("sum", "", "Questions that were asked.")
    assert took
    assert (took.value, took.buckets, took.unit) == (4, {0.1: 1, 1.0: 2}, "s")
    assert took.total == pytest.approx(31.25)
    assert took.traces == (TRACE,)
    assert heap is None  # nobody gives it any more


async def test_they_are_sent_again_and_again() -> None:
    with OtlpReceiver() as receiver, HEAP.by(lambda: {("left",): 7}):
        async with pushing("rooms", receiver.endpoint, every=0.02):
            await eventually(lambda: None if receiver.point("parley_test_heap_bytes", where="left") else "nothing yet")
            ASKED.labels("ana").inc()
            await eventually(
                lambda: None if receiver.point("parley_test_questions_total", by="ana") else "not counted yet"
            )


async def test_a_receiver_that_hangs_holds_neither_the_loop_nor_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with pushing("rooms", endpoint, every=0.01, patience=0.1):
            for _ in range(10):  # the loop turns, though nothing comes of what is sent
                await asyncio.sleep(0.01)
    assert "did not arrive in time" in capsys.readouterr().out


async def test_a_receiver_that_is_away_is_told_of_once_and_so_is_its_return(capsys: pytest.CaptureFixture[str]) -> None:
    refusing = _Refusing()
    with refusing:
        async with pushing("rooms", refusing.endpoint, every=0.01):
            await eventually(lambda: None if refusing.asked > 3 else "not asked often enough")
            refusing.status = 200
            asked = refusing.asked
            await eventually(lambda: None if refusing.asked > asked + 3 else "not asked again")

    said = capsys.readouterr()
    assert said.out.count("metrics do not arrive") == 1
    assert "404" in said.out
    assert said.out.count("metrics arrive again") == 1
    assert "Failed to export" not in said.err


async def test_what_goes_wrong_with_sending_is_told_without_what_it_may_quote(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("http://user:secret@collector")

    monkeypatch.setattr(otlp.Sender, "send", fail)
    async with pushing("rooms", "http://127.0.0.1:1", every=60):
        pass

    said = capsys.readouterr().out
    assert "ValueError" in said
    assert "secret" not in said


class _Refusing:
    """A receiver that knows no metrics, until it does."""

    def __init__(self) -> None:
        self.status = 404
        self.asked = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                receiver.asked += 1
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
