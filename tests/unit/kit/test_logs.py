"""Logs: a JSON line each, for ours and for libraries'."""

import io
import logging
from collections.abc import Iterator

import msgspec
import pytest
import structlog

from parley.kit import logs


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave logging to the other tests as it was."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = before
    root.setLevel(level)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object() -> None:
    stream = io.StringIO()
    logs.configure("rooms", stream=stream)

    structlog.get_logger().info("opened", connection="c1=", odd=object)

    [line] = lines(stream)
    assert line["event"] == "opened"
    assert line["service"] == "rooms"
    assert line["level"] == "info"
    assert line["connection"] == "c1="
    assert str(line["time"]).endswith("Z")


def test_an_exception_is_logged_with_its_trace() -> None:
    stream = io.StringIO()
    logs.configure("rooms", stream=stream)

    try:
        _ = {}["gone"]
    except KeyError:
        structlog.get_logger().exception("failed")

    assert "KeyError: 'gone'" in str(lines(stream)[0]["exception"])


def test_what_is_below_the_level_is_not_logged() -> None:
    stream = io.StringIO()
    logs.configure("rooms", "warning", stream)

    structlog.get_logger().info("opened")

    assert lines(stream) == []


def test_libraries_log_in_the_same_form() -> None:
    stream = io.StringIO()
    logs.configure("rooms", stream=stream)

    logging.getLogger("nats").warning("lost %s", "it")

    [line] = lines(stream)
    assert (line["event"], line["service"], line["logger"]) == ("lost it", "rooms", "nats")


def test_a_terminal_gets_text() -> None:
    stream = Terminal()
    logs.configure("rooms", stream=stream)

    structlog.get_logger().info("opened")

    assert "opened" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
