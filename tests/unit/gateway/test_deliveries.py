"""What owners have for clients, written once and in the order of the log."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec import UNSET
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics import exposition as openmetrics
from structlog.testing import capture_logs

from parley.gateway import deliveries as deliveries_
from parley.gateway.deliveries import PER_MESSAGE, Deliveries
from parley.gateway.latency import Latencies
from parley.gateway.websocket import HEADROOM
from parley.kit import telemetry
from parley.protocol.apps import App
from parley.protocol.codes import ErrorCode
from parley.protocol.dialects import Dialect
from parley.protocol.dialects.apigw import Workshop
from parley.protocol.dialects.parley_v1 import ParleyV1
from parley.protocol.envelope import CloudEvent
from parley.protocol.outputs import Deliveries as Batch
from parley.protocol.outputs import Told
from parley.protocol.says import AnySay, Close, Error, MemberLeft, Message


class Client:
    """A connection that remembers what it was told."""

    def __init__(self, dialect: Dialect) -> None:
        self.session = self
        self.dialect = dialect
        self.number = 1
        self.since = 0
        self.frames: list[Any] = []
        self.out_of: list[str] = []

    def is_out_of(self, room: str) -> None:
        self.out_of.append(room)

    def deliver(self, prepared: bytearray, n: int, _note: object) -> None:
        frame = bytes(prepared[HEADROOM:])
        self.frames.append(msgspec.json.decode(frame) if frame.startswith(b"{") else frame.decode())


V1, APIGW = ParleyV1(), Workshop(App())


def told(sequence: int, index: int, say: AnySay, *to: str, source: str = "rooms") -> CloudEvent[Told]:
    data = Told(sequence=sequence, index=index, to=to, say=say)
    return CloudEvent(id="x", source=source, type="parley.told", data=data)


def message(*events: CloudEvent[Told], partition: int = 0) -> bytes:
    return msgspec.json.encode(Batch(partition=partition, events=list(events)))


def hello(text: str = "hello") -> Message:
    return Message(room="r", from_="a", data=msgspec.Raw(msgspec.json.encode(text)))


def reader(**clients: Client) -> Deliveries:
    return Deliveries(clients.get, lambda *_: None)  # type: ignore[arg-type] # a connection, as far as they know


def test_each_dialect_says_it_in_its_words_and_the_absent_hear_nothing() -> None:
    ana, bob = Client(V1), Client(APIGW)

    reader(ana=ana, bob=bob).read(3, message(told(1, 0, hello(), "ana", "bob", "gone")))

    assert ana.frames == [{"type": "message", "n": 3 * PER_MESSAGE, "room": "r", "from": "a", "data": "hello"}]
    assert bob.frames == ["hello"]


def test_n_is_the_place_in_the_stream() -> None:
    ana = Client(V1)
    deliveries = reader(ana=ana)

    deliveries.read(5, message(told(1, 0, hello(), "ana"), told(1, 1, hello(), "ana")))

    assert [frame["n"] for frame in ana.frames] == [5 * PER_MESSAGE, 5 * PER_MESSAGE + 1]
    assert deliveries.place == 5 * PER_MESSAGE + 1


def test_what_two_owners_say_is_written_once() -> None:
    ana = Client(V1)
    deliveries = reader(ana=ana)

    deliveries.read(1, message(told(1, 0, hello("a"), "ana"), told(1, 1, hello("b"), "ana")))
    deliveries.read(2, message(told(1, 1, hello("b"), "ana"), told(2, 0, hello("c"), "ana")))

    assert [frame["data"] for frame in ana.frames] == ["a", "b", "c"]


def test_partitions_and_services_have_marks_of_their_own() -> None:
    ana = Client(V1)
    deliveries = reader(ana=ana)

    deliveries.read(1, message(told(9, 0, hello("a"), "ana")))
    deliveries.read(2, message(told(2, 0, hello("b"), "ana"), partition=1))
    deliveries.read(3, message(told(3, 0, hello("c"), "ana", source="presence")))

    assert [frame["data"] for frame in ana.frames] == ["a", "b", "c"]


def test_a_stream_that_was_made_anew_is_believed() -> None:
    ana = Client(V1)
    deliveries = reader(ana=ana)

    deliveries.read(100, message(told(9, 0, hello("a"), "ana")))
    deliveries.read(1, message(told(1, 0, hello("b"), "ana")))

    assert [frame["data"] for frame in ana.frames] == ["a", "b"]


def test_what_is_said_to_the_gateway_is_obeyed_once_and_written_to_nobody() -> None:
    ana = Client(V1)
    obeyed: list[tuple[str, object]] = []
    deliveries = Deliveries({"ana": ana}.get, lambda *order: obeyed.append(order))  # type: ignore[arg-type] # as above
    close = Close(session=1, code=4503, reason="replaced")

    deliveries.read(1, message(told(1, 0, close, "ana")))
    deliveries.read(2, message(told(1, 0, close, "ana")))

    assert obeyed == [("ana", close)]
    assert ana.frames == []


def test_words_that_differ_by_receiver_are_made_for_each() -> None:
    ana, bob = Client(APIGW), Client(APIGW)
    error = Error(ref=None, code=ErrorCode.INTERNAL, message="x")

    reader(ana=ana, bob=bob).read(1, message(told(1, 0, error, "ana", "bob")))

    assert [ana.frames[0]["connectionId"], bob.frames[0]["connectionId"]] == ["ana", "bob"]


def test_what_a_newer_owner_says_is_left_out_and_the_rest_is_not() -> None:
    ana = Client(V1)
    deliveries = reader(ana=ana)
    mixed = message(told(1, 0, hello("a"), "ana"), told(1, 1, hello("b"), "ana"), told(1, 2, hello("c"), "ana"))

    unknown = mixed.replace(b'"say":{"type":"message","room":"r","from":"a","data":"b"}', b'"say":{"type":"whisper"}')
    deliveries.read(2, unknown)

    assert [(frame["data"], frame["n"]) for frame in ana.frames] == [
        ("a", 2 * PER_MESSAGE),
        ("c", 2 * PER_MESSAGE + 2),
    ]


def test_a_message_that_cannot_be_read_is_left_out() -> None:
    ana = Client(V1)
    deliveries = reader(ana=ana)

    deliveries.read(1, b"rubbish")
    deliveries.read(2, message(told(1, 0, hello(), "ana")))

    assert len(ana.frames) == 1


def test_a_session_notices_that_it_is_out_of_a_room() -> None:
    """Else whoever was taken out, or never let in, could soon join no other."""
    ana, bob = Client(V1), Client(V1)
    left = MemberLeft(room="r", position=3, connection_id="ana", reason="removed")
    full = Error(ref="1", code=ErrorCode.ROOM_FULL, message="Full.", room="s")

    reader(ana=ana, bob=bob).read(1, message(told(1, 0, left, "bob", "ana"), told(1, 1, full, "bob")))

    assert (ana.out_of, bob.out_of) == (["r"], ["s"])


def test_a_session_does_not_hear_again_what_it_was_out_of_before_it_was_live() -> None:
    """It may have joined again since."""
    ana = Client(V1)
    ana.since = 2 * PER_MESSAGE

    reader(ana=ana).read(1, message(told(1, 0, Error(code=ErrorCode.ROOM_FULL, message="Full.", room="s"), "ana")))

    assert ana.out_of == []


CAME = "2026-01-31T12:00:00.250Z"
CAME_AT = 1_769_860_800.25
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Latencies:
    """Give what measures now, an eighth of a second after the frame came."""
    latencies = Latencies()
    monkeypatch.setattr(deliveries_, "LATENCIES", latencies)
    monkeypatch.setattr(deliveries_, "time", lambda: CAME_AT + 0.12)
    return latencies


def samples(latencies: Latencies) -> dict[str, float]:
    (family,) = latencies.collect()
    return {
        sample.name.removeprefix("parley_gateway_delivery_seconds_") + sample.labels.get("le", ""): sample.value
        for sample in family.samples
    }


def test_how_long_a_frame_was_on_its_way_is_measured_for_each_who_hears_it(measured: Latencies) -> None:
    ana, bob = Client(V1), Client(V1)
    late = replace(told(1, 0, hello(), "ana", "bob", "gone"), time=CAME)

    reader(ana=ana, bob=bob).read(3, message(late))

    found = samples(measured)
    assert (found["count"], round(found["sum"], 6)) == (2, 0.24)
    assert (found["bucket0.05"], found["bucket0.1"], found["bucket0.25"], found["bucket+Inf"]) == (0, 0, 2, 2)


@pytest.mark.parametrize("time", [UNSET, "", "yesterday", "2026-01-31T12:00:00"])
def test_what_does_not_say_when_it_came_is_written_and_not_measured(measured: Latencies, time: Any) -> None:
    ana = Client(V1)

    reader(ana=ana).read(3, message(replace(told(1, 0, hello(), "ana"), time=time)))

    assert len(ana.frames) == 1
    assert samples(measured) == {}


def test_two_clocks_that_differ_make_no_time_below_none(measured: Latencies) -> None:
    reader(ana=Client(V1)).read(3, message(replace(told(1, 0, hello(), "ana"), time="2026-01-31T12:00:00.999Z")))

    assert samples(measured)["sum"] == 0
    assert samples(measured)["bucket0.0005"] == 1


def test_a_bucket_names_the_last_trace_in_it_as_prometheus_reads_it(measured: Latencies) -> None:
    measured.observe("message", 0.003, 1, TRACE)
    measured.observe("message", 0.004, 1)
    measured.observe("signal", 99, 1)
    registry = CollectorRegistry()
    registry.register(measured)

    (line,) = [line for line in openmetrics.generate_latest(registry).decode().splitlines() if " # " in line]

    assert line.startswith('parley_gateway_delivery_seconds_bucket{le="0.005",route="message"} 2.0 # ')
    assert '{span_id="b7ad6b7169203331",trace_id="0af7651916cd43dd8448eb211c80319c"} 0.003 ' in line


class Tracing:
    """Records the spans of deliveries, as one that samples or not."""

    follows = True

    def __init__(self, *, samples: bool, slow: float = 1) -> None:
        self.spans: list[Any] = []
        self.slow = slow * 1e9
        self._samples = samples

    def begin(self, name: str, kind: str, parent: str | None, *, attributes: Any, **given: Any) -> Any:
        span = SimpleNamespace(**given, parent=parent, traceparent=parent, recording=self._samples, errors=[])
        span.attributes = dict(telemetry.described(attributes))
        span.fail = span.errors.append
        span.end = lambda: None
        self.spans.append(span)
        return span


@pytest.mark.parametrize("samples_", [True, False])
def test_a_delivery_has_a_span_and_its_bucket_names_it_if_it_is_recorded(
    measured: Latencies, monkeypatch: pytest.MonkeyPatch, samples_: bool
) -> None:
    tracing = Tracing(samples=samples_)
    monkeypatch.setattr(telemetry, "_tracing", tracing)
    event = replace(told(1, 0, hello(), "ana"), time=CAME, traceparent=TRACE, call="call 7")

    reader(ana=Client(V1)).read(3, message(event))

    (span,) = tracing.spans
    assert (span.parent, span.since) == (TRACE, int(CAME_AT * 1e9))
    assert span.links == (telemetry.call_of("call 7"),)
    assert {name: span.attributes[f"parley.{name}"] for name in ("connection.id", "room", "call.id", "route")} == {
        "connection.id": "ana",
        "room": "r",
        "call.id": "call 7",
        "route": "message",
    }
    assert span.attributes["parley.since_frame_ms"] == 120
    (family,) = measured.collect()
    exemplars = [sample.exemplar for sample in family.samples if sample.exemplar]
    assert len(exemplars) == (1 if samples_ else 0)


@pytest.mark.parametrize(("slow", "spans"), [(0.2, 0), (0.1, 1)])
def test_of_deliveries_that_are_not_sampled_those_have_a_span_that_were_slow(
    measured: Latencies, monkeypatch: pytest.MonkeyPatch, slow: float, spans: int
) -> None:
    """Since their frame came; and if it is recorded, its bucket names it."""
    tracing = Tracing(samples=True, slow=slow)
    monkeypatch.setattr(telemetry, "_tracing", tracing)
    unsampled = TRACE[:-2] + "00"

    reader(ana=Client(V1)).read(3, message(replace(told(1, 0, hello(), "ana"), time=CAME, traceparent=unsampled)))

    assert [(span.parent, span.since) for span in tracing.spans] == [(unsampled, int(CAME_AT * 1e9))] * spans
    assert samples(measured)["count"] == 1
    (family,) = measured.collect()
    assert sum(sample.exemplar is not None for sample in family.samples) == spans


@pytest.mark.parametrize("flags", ["00", "01"])
def test_a_delivery_that_fails_marks_its_span(monkeypatch: pytest.MonkeyPatch, flags: str) -> None:
    class Broken(Client):
        def deliver(self, *_: object) -> None:
            raise ZeroDivisionError

    tracing = Tracing(samples=False)
    monkeypatch.setattr(telemetry, "_tracing", tracing)

    with capture_logs():
        event = replace(told(1, 0, hello(), "ana"), traceparent=TRACE[:-2] + flags)
        reader(ana=Broken(V1)).read(3, message(event))

    assert [span.errors for span in tracing.spans] == [["ZeroDivisionError"]]
