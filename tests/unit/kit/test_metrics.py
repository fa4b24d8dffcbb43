import asyncio
import threading

import pytest
from prometheus_client import CollectorRegistry
from support.eventually import eventually

from parley.kit import metrics


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> CollectorRegistry:
    registry = CollectorRegistry()
    monkeypatch.setattr(metrics, "REGISTRY", registry)
    monkeypatch.setattr(metrics, "DEFINED", [])
    return registry


def text(accept: str = "") -> str:
    return metrics.exposed(accept)[0].decode()


def test_what_is_counted_can_be_fetched() -> None:
    frames = metrics.counter("frames", "Frames.", "route")
    frames.labels("join").inc()
    frames.labels("join").inc()

    assert 'parley_frames_total{route="join"} 2.0' in text()


def test_a_gauge_that_is_asked_is_there_while_somebody_answers() -> None:
    rooms = metrics.asked("rooms", "Rooms.")
    lag = metrics.asked("lag", "Lag.", "partition")

    with rooms.by(lambda: {(): 3}), lag.by(lambda: {("0",): 1.5, ("1",): 0}):
        told = text()
    after = text()

    assert "parley_rooms 3.0" in told
    assert 'parley_lag{partition="0"} 1.5' in told
    assert "\nparley_rooms " not in after
    assert "parley_lag{" not in after


def test_exemplars_are_told_to_those_who_understand_them() -> None:
    took = metrics.histogram("took_seconds", "Time.")
    took.observe(0.003, {"trace_id": "abc"})

    plain, kind = metrics.exposed("text/plain")
    rich, rich_kind = metrics.exposed("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")

    assert b"trace_id" not in plain
    assert kind.startswith("text/plain")
    assert b'# {trace_id="abc"} 0.003' in rich
    assert rich_kind.startswith("application/openmetrics-text")


def test_each_metric_is_known_with_its_sentence_and_labels() -> None:
    metrics.counter("frames", "Frames.", "route")
    metrics.asked("rooms", "Rooms.")

    frames, rooms = metrics.DEFINED
    assert frames == metrics.Definition("parley_frames_total", "counter", "Frames.", ("route",))
    assert rooms == metrics.Definition("parley_rooms", "gauge", "Rooms.", ())


async def test_a_loop_that_was_blocked_shows() -> None:
    block = threading.Event()

    with metrics.measuring():
        await asyncio.sleep(0)  # the watch sets its alarm
        block.wait(metrics.LOOK_SECONDS + 0.2)
        await eventually(lambda: None if latest() else "nothing was measured")

    assert latest() > 0.1


def latest() -> float:
    [family] = metrics.LOOP_LATEST.collect()
    return family.samples[0].value
