"""Bugs, versions that do not fit and wrong rows: they are logged with where and what for, and without what was said."""

import asyncio
import io
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from structlog.contextvars import clear_contextvars
from support import ledger
from support.captured_logs import configured_logs

from parley.gateway.deliveries import readable
from parley.kit.lifecycle import _unexpected
from parley.kit.reader import Entry
from parley.kit.rounds import Rules
from parley.protocol.commands import AnyCommand, Asked, Batch
from parley.protocol.envelope import CloudEvent, Place
from parley.protocol.outputs import Output
from parley.protocol.requests import Send

CREATED = "2026-01-31T12:00:00.123456+00:00"
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Broken(ledger.Ledger):
    """Fails at everything, and quotes it."""

    def reduce(self, event: CloudEvent[Any], at: Place) -> Iterator[Output]:
        raise ValueError(f"cannot take {msgspec.json.encode(event.data)!r}")

    def failed(self, event: CloudEvent[Any], at: Place, error: Exception) -> Iterator[Output]:
        raise KeyError(str(error))


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    clear_contextvars()
    stream = io.StringIO()
    with configured_logs(stream, "debug"):
        yield stream


def said(log: io.StringIO) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in log.getvalue().splitlines()]


def take(payload: bytes, state: ledger.Ledger | None = None) -> None:
    rules = Rules("ledger", 1, state or ledger.Ledger(1), limit=1 << 19)
    rules.begin(CREATED, 0, 0, {})
    list(rules.rounds([Entry(7, 7000, "parley.in.1.m", payload)]))


def test_an_event_that_breaks_the_rules_is_told_by_whom_and_what_it_is_about(log: io.StringIO) -> None:
    command: AnyCommand = Asked(app="a", connection="ana", request=Send(room="kitchen", data=Raw(b'"MARK"')))
    event = CloudEvent(
        id="1",
        source="/test",
        type="parley.asked",
        traceparent=f"00-{TRACE}-{'2' * 16}-01",
        data=command,
    )
    take(msgspec.json.encode(Batch("g", 1, [event])), Broken(1))

    failed, nobody = said(log)
    assert failed["event"] == "an event failed; it has changed nothing"
    for line in (failed, nobody):
        about = {"app": "a", "connection": "ana", "room": "kitchen", "trace_id": TRACE, "sequence": 7}
        assert line.items() >= about.items()
        assert "in reduce" in line["exception"]
    assert "MARK" not in log.getvalue()


@pytest.mark.parametrize(
    "payload", [b'{"MARK', b'{"gateway":"g","number":1,"events":[{"id":"MARK","data":{"a":"MARK"}}]}']
)
def test_what_an_owner_cannot_read_is_not_repeated(log: io.StringIO, payload: bytes) -> None:
    take(payload)

    (line,) = said(log)
    assert line["sequence"] == 7
    assert "MARK" not in log.getvalue()


@pytest.mark.parametrize("payload", [b'{"MARK', b'{"partition":0,"events":[{"id":"MARK","data":{"to":["MARK"]}}]}'])
def test_what_a_gateway_cannot_read_is_not_repeated(log: io.StringIO, payload: bytes) -> None:
    readable(7, payload)

    (line,) = said(log)
    assert line["sequence"] == 7
    assert "MARK" not in log.getvalue()


async def test_an_error_that_nobody_waited_for_is_told_without_what_it_was_given(log: io.StringIO) -> None:
    """Python's own words for it show the call and its arguments."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_unexpected)

    def fail(given: str) -> None:
        raise ValueError(given)

    try:
        loop.call_soon(fail, "MARK")
        await asyncio.sleep(0)
    finally:
        loop.set_exception_handler(None)

    (line,) = said(log)
    assert "in fail" in line["exception"]
    assert "MARK" not in log.getvalue()
