"""The viewer of traces: what it keeps, what it finds, and that its pages say what others have sent as text."""

import asyncio
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from html.parser import HTMLParser
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from parley.cli.instance import Instance
from parley.cli.observe import pages
from parley.cli.observe.spans import Span, UnreadableError, from_json, from_protobuf
from parley.cli.observe.traces import SPANS_OF_A_TRACE, Traces, in_order
from parley.cli.observe.viewer import BODY_BYTES, Viewer
from parley.cli.plan import Plan, Planner
from parley.cli.settings import Settings
from parley.kit.telemetry import trace_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
HOSTILE = '"><script src=//evil.test></script><img onerror=alert(1)>&'


def span(number: int, parent: int | None = None, **given: Any) -> Span:
    """Return a span of a millisecond that begins at its number."""
    about: dict[str, Any] = {
        "service": "parley-rooms",
        "instance": "one",
        "name": f"span {number}",
        "kind": "consumer",
        "trace_id": TRACE,
        "span_id": f"{number:016x}",
        "parent_id": "" if parent is None else f"{parent:016x}",
        "start": number * 1_000_000,
        "end": (number + 1) * 1_000_000,
        "failed": False,
        "reason": "",
        "attributes": {},
        "happenings": (),
        "links": frozenset[str](),
        "size": 100,
    }
    return Span(**(about | given))


def kept(*spans: Span, **given: Any) -> Traces:
    traces = Traces(**given)
    traces.add(spans)
    return traces


def order(traces: Traces) -> list[tuple[int, str]]:
    trace = traces.get(TRACE)
    assert trace
    return [(depth, found.name) for depth, found in in_order(trace)]


def test_a_trace_is_read_like_a_tree_by_time() -> None:
    traces = kept(span(3, 1), span(1), span(4, 2), span(2, 1))

    assert order(traces) == [(0, "span 1"), (1, "span 2"), (2, "span 4"), (1, "span 3")]


def test_spans_whose_parent_never_came_and_those_in_a_circle_are_shown_too() -> None:
    shown = order(kept(span(1, 99), span(2, 3), span(3, 2), span(4, 4)))

    assert shown[0] == (0, "span 1")
    assert sorted(name for _, name in shown) == ["span 1", "span 2", "span 3", "span 4"]


def test_a_span_that_comes_twice_is_there_once() -> None:
    traces = kept(span(1), span(1, name="later"))

    assert order(traces) == [(0, "later")]


def test_what_is_kept_has_a_limit_and_the_oldest_goes_first() -> None:
    traces = kept(*(span(n, trace_id=f"{n:032x}") for n in range(10)), kept_bytes=300)

    assert [trace.id for trace in traces.found()] == [f"{n:032x}" for n in (9, 8, 7)]


def test_one_trace_cannot_take_all_the_room() -> None:
    traces = kept(*map(span, range(SPANS_OF_A_TRACE + 7)))

    trace = traces.get(TRACE)
    assert trace
    assert (len(trace.spans), trace.left_out) == (SPANS_OF_A_TRACE, 7)
    assert "7 more spans are not shown" in pages.shown(TRACE, [trace])


def test_traces_are_found_by_what_they_say_and_by_failed_and_slow() -> None:
    def one(number: int, **given: Any) -> Span:
        return span(number, trace_id=f"{number:032x}", **given)

    traces = kept(
        one(1, attributes={"parley.room": "tea"}), one(2, failed=True), one(3, end=10**9), one(4, attributes={"x": "y"})
    )

    def found(text: str = "", **only: bool) -> list[int]:
        return [int(trace.id, 16) for trace in traces.found(text, **only)]

    assert found() == [4, 3, 2, 1]
    assert found("tea") == [1]
    assert found("span 3") == [3]
    assert found(failed=True) == [2]
    assert found(slow=True) == [3]
    assert found("tea", failed=True) == []


def test_a_call_is_the_traces_that_point_to_the_one_its_id_leads_to() -> None:
    call = trace_of("c-1")
    said = {"parley.call.id": "c-1"}
    traces = kept(
        span(1, trace_id="a" * 32, attributes=said, links=frozenset({call})),
        span(2, trace_id="b" * 32, attributes=said, links=frozenset({call})),
        span(3, trace_id="c" * 32),
    )

    assert [trace.id for trace in traces.of_call(call)] == ["a" * 32, "b" * 32]  # it lasts: its own is still to come
    traces.add([span(0, trace_id=call, name="call", attributes=said)])
    assert [trace.id for trace in traces.of_call(call)] == [call, "a" * 32, "b" * 32]
    assert {trace.id for trace in traces.found("c-1")} == {call, "a" * 32, "b" * 32}
    assert [trace.id for trace in traces.of_call("a" * 32)] == ["a" * 32]  # a request's own page is of it alone
    assert "Call c-1" in pages.shown(call, traces.of_call(call))
    assert f'<a href="/traces/{call}">call c-1</a>' in pages.shown("a" * 32, traces.of_call("a" * 32))


class Tags(HTMLParser):
    """Collects what a browser would make elements and attributes of."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(f"{tag} {name}" for name, _ in attrs)}


def elements(page: str) -> set[str]:
    tags = Tags()
    tags.feed(page)
    return tags.found


def test_whatever_a_span_says_is_text() -> None:
    def trace(said: str) -> Traces:
        return kept(
            span(
                1,
                service=said,
                instance=said,
                name=said,
                kind=said,
                trace_id=said,
                span_id=said,
                failed=True,
                reason=said,
                attributes={said: said, "parley.room": said},
                links=frozenset({said}),
            )
        )

    def all_pages(said: str) -> list[set[str]]:
        traces = trace(said)
        return [
            elements(pages.listed(traces.found(), 1, said, failed=False, slow=False)),
            elements(pages.shown(said, traces.of_call(said))),
            elements(pages.missing(said)),
        ]

    assert all_pages(HOSTILE) == all_pages("harmless")


def test_a_page_has_a_length_and_says_what_is_left_out() -> None:
    long = kept(*(span(number) for number in range(pages.ROWS)))
    short = kept(span(1, trace_id="f" * 32, name="too late"), span(2, trace_id="f" * 32))
    traces = [found for each in (long, short) for found in each.found()]

    page = pages.shown(TRACE, traces)

    assert page.count("<tr") == 1 + pages.ROWS  # and the head
    assert "too late" not in page
    assert "3 more spans are not shown." in page  # the heading takes a row as well


def test_a_time_that_no_calendar_has_is_shown_all_the_same() -> None:
    traces = kept(span(1, start=0, end=2**64 - 1), span(2, start=2**64 - 1, end=2**64 - 1))

    assert "span 1" in pages.shown(TRACE, traces.of_call(TRACE))
    assert pages.listed(kept(span(1, start=2**64 - 1, end=2**64 - 1)).found(), 1, "", failed=False, slow=False)


def test_otlp_is_read_in_protobuf_and_in_json() -> None:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "page"
    sent = resource.scope_spans.add().spans.add(
        name="join", trace_id=bytes.fromhex(TRACE), span_id=b"12345678", kind=3, start_time_unix_nano=5
    )
    sent.attributes.add(key="n").value.int_value = 7
    sent.status.code = sent.status.STATUS_CODE_ERROR
    as_json = {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "page"}}]},
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "name": "join",
                                "traceId": TRACE,
                                "spanId": b"12345678".hex(),
                                "kind": 3,
                                "startTimeUnixNano": "5",
                                "attributes": [{"key": "n", "value": {"intValue": "7"}}],
                                "status": {"code": 2},
                                "of a later version": True,
                            }
                        ]
                    }
                ],
            }
        ]
    }

    for [read] in (from_protobuf(request.SerializeToString()), from_json(json.dumps(as_json).encode())):
        assert (read.service, read.name, read.kind, read.trace_id) == ("page", "join", "client", TRACE)
        assert (read.failed, read.attributes, read.end) == (True, {"n": "7"}, 5)


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (from_protobuf, b"no protobuf"),
        (from_json, b"{"),
        (from_json, b"[" * 100_000),
        (from_json, b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"not hex"}]}]}]}'),
        (from_json, b'{"resourceSpans":7}'),
        (from_json, b"\xff"),
        (from_json, b"7"),
        (from_json, b"null"),
    ],
)
def test_what_is_no_otlp_is_refused_with_a_sentence(read: Callable[[bytes], Any], body: bytes) -> None:
    with pytest.raises(UnreadableError, match="This is no OTLP in"):
        read(body)


def planned(environ: dict[str, str], folder: Path) -> Plan:
    folder.mkdir()
    settings = Settings.from_env(
        {"PARLEY_DATA": str(folder), "PARLEY_PORT": "0", "NATS_URL": "nats://n", "DATABASE_URL": "postgresql://d"}
        | environ
    )
    instance = Instance(settings.data)
    instance.make()
    planner = Planner(settings, instance, observe=True)
    return asyncio.run(planner.plan({"gateway": 2, "presence": 1, "rooms": 1, "history": 1}))


def test_services_that_are_watched_send_every_trace_to_the_viewer_and_calls_lead_there(tmp_path: Path) -> None:
    plan = planned({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere.test"}, tmp_path / "data")

    there = dict(plan.observed)["Traces"]
    environ = next(spec for spec in plan.specs if spec.name == "history").program().env
    assert environ
    assert environ["OTEL_EXPORTER_OTLP_ENDPOINT"] == there
    assert environ["OTEL_TRACES_SAMPLER"] == "always_on"
    assert environ["HISTORY_TRACE_URL"] == f"{there}/traces/{{traceId}}"
    assert there == f"http://{next(spec.http for spec in plan.specs if spec.name == 'traces')}"


def test_prometheus_is_told_of_every_process_and_of_our_alerts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prometheus").write_text("#!/bin/sh")
    (tmp_path / "prometheus").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    plan = planned({}, tmp_path / "data")

    home = tmp_path / "data" / "prometheus"
    written = json.loads((home / "prometheus.yml").read_text())
    assert {job["job_name"]: job["static_configs"][0]["targets"] for job in written["scrape_configs"]} == {
        name: [spec.http for spec in plan.specs if spec.name == name]
        for name in ("gateway", "presence", "rooms", "history")
    }
    [rules] = written["rule_files"]
    assert len(list(Path(rules).parent.glob(Path(rules).name))) == 11
    [prometheus] = [spec for spec in plan.specs if spec.name == "prometheus"]
    assert prometheus.program().argv[:2] == (
        str(tmp_path / "prometheus"),
        f"--config.file={home / 'prometheus.yml'}",
    )
    assert dict(plan.observed)["Prometheus"] == f"http://{prometheus.http}"


def test_without_a_prometheus_it_runs_all_the_same_and_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    plan = planned({}, tmp_path / "data")

    assert "install it (Debian: apt-get install prometheus)" in dict(plan.observed)["Prometheus"]
    assert [spec.name for spec in plan.specs if spec.name in ("traces", "prometheus")] == ["traces"]


@pytest.fixture
def viewer() -> Iterator[Viewer]:
    """Give a viewer that runs."""
    with Viewer(0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def sent(viewer: Viewer, body: bytes, **headers: str) -> httpx.Response:
    said = {"Content-Type": "application/x-protobuf"} | {name.replace("_", "-"): text for name, text in headers.items()}
    return httpx.post(f"http://{viewer.address}/v1/traces", content=body, headers=said)


def said_to_be_long(viewer: Viewer, length: str) -> int:
    """Return the answer to a length that clients of HTTP would not say."""
    connection = HTTPConnection(viewer.address)
    connection.putrequest("POST", "/v1/traces")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", length)
    connection.endheaders()
    with closing(connection):
        return connection.getresponse().status


def exported() -> bytes:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(
        name="join", trace_id=bytes.fromhex(TRACE), span_id=b"12345678"
    )
    return bytes(request.SerializeToString())


def test_what_is_sent_is_shown_on_pages_that_may_load_nothing(viewer: Viewer) -> None:
    assert sent(viewer, gzip.compress(exported()), Content_Encoding="gzip").status_code == 200

    for path in ("/", "/?q=join&failed=on", f"/traces/{TRACE}"):
        answer = httpx.get(f"http://{viewer.address}{path}")
        assert answer.status_code == 200
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self';")
    assert f"/traces/{TRACE}" in httpx.get(f"http://{viewer.address}/").text
    assert "<td class=d0>" in httpx.get(f"http://{viewer.address}/traces/{TRACE}").text
    assert httpx.get(f"http://{viewer.address}/traces/{HOSTILE}").status_code == 404


def test_what_does_not_fit_is_refused_and_the_viewer_goes_on(viewer: Viewer) -> None:
    bomb = gzip.compress(bytes(BODY_BYTES + 1))

    assert sent(viewer, b"no protobuf").status_code == 400
    assert sent(viewer, bomb, Content_Encoding="gzip").status_code == 413
    assert sent(viewer, b"no gzip", Content_Encoding="gzip").status_code == 400
    assert sent(viewer, exported(), Content_Type="text/plain").status_code == 415  # what any page can send
    assert said_to_be_long(viewer, "9" * 5000) == 413
    assert httpx.get(f"http://{viewer.address}/livez").status_code == 200


def test_a_page_from_elsewhere_reads_nothing_and_sends_nothing(viewer: Viewer) -> None:
    """Also where its own name leads to this machine, as it may have arranged."""
    address = f"http://{viewer.address}/v1/traces"

    assert httpx.get(f"http://{viewer.address}/", headers={"Host": "evil.test"}).status_code == 421
    assert sent(viewer, exported(), Host="evil.test").status_code == 421
    assert not len(viewer.traces)
    assert "Access-Control-Allow-Origin" not in httpx.options(address, headers={"Origin": "http://evil.test"}).headers
    allowed = httpx.options(address, headers={"Origin": "http://localhost:8080"})
    assert allowed.headers["Access-Control-Allow-Origin"] == "http://localhost:8080"
