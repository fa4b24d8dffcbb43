"""Logs: a JSON line each, for ours and for libraries'."""

import io
import logging

import msgspec
import structlog
from support.captured_logs import configured_logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object() -> None:
    stream = io.StringIO()
    with configured_logs(stream):
        structlog.get_logger().info("opened", connection="c1=", odd=object)

    [line] = lines(stream)
    assert line["event"] == "opened"
    assert line["service"] == "test"
    assert line["level"] == "info"
    assert line["connection"] == "c1="
    assert str(line["time"]).endswith("Z")


def test_an_exception_is_logged_with_its_trace() -> None:
    stream = io.StringIO()
    with configured_logs(stream):
        try:
            _ = dict[str, int]()["gone"]
        except KeyError:
            structlog.get_logger().exception("failed")

    assert "KeyError: 'gone'" in str(lines(stream)[0]["exception"])


def test_what_is_below_the_level_is_not_logged() -> None:
    stream = io.StringIO()
    with configured_logs(stream, "warning"):
        structlog.get_logger().info("opened")

    assert lines(stream) == []


def test_libraries_log_in_the_same_form() -> None:
    stream = io.StringIO()
    with configured_logs(stream):
        logging.getLogger("nats").warning("lost %s", "it")

    [line] = lines(stream)
    assert (line["event"], line["service"], line["logger"]) == ("lost it", "test", "nats")


def test_a_terminal_gets_text() -> None:
    stream = Terminal()
    with configured_logs(stream):
        structlog.get_logger().info("opened")

    assert "opened" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
