"""Logs: a JSON line each, for ours and for libraries'."""

import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
import pytest
import structlog
from nats.errors import MsgAlreadyAckdError, NoRespondersError
from sqlalchemy.exc import StatementError
from support.captured_logs import configured_logs

from parley.kit.discretion import place
from parley.kit.repeats import MOST, SECONDS, Repeats


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
            _ = 1 / 0
        except ZeroDivisionError:
            structlog.get_logger().exception("failed")

    trace = str(lines(stream)[0]["exception"])
    assert trace.startswith("Traceback (most recent call last):")
    assert "_ = 1 / 0" in trace
    assert trace.endswith("ZeroDivisionError: division by zero")


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


def test_what_is_private_is_left_out_at_any_level_unless_it_is_asked_for() -> None:
    def said(*, private: bool) -> dict[str, object]:
        stream = io.StringIO()
        with configured_logs(stream, "debug", private=private):
            structlog.get_logger().debug(
                "came", connection="c1", user="MARK", client="MARK", payload=b"MARK", raw=b"MARK"
            )
        return lines(stream)[0]

    assert set(said(private=False)) == {"event", "level", "service", "time", "connection"}
    assert {"user": "MARK", "client": "MARK", "payload": "b'MARK'"}.items() <= said(private=True).items()


class DriverError(Exception):
    sqlstate = "23505"


class WrongError(DriverError):
    sqlstate = "22P02"


def throw(error: Exception) -> None:
    raise error


def caused() -> None:
    try:
        int("MARK")
    except ValueError as error:
        raise RuntimeError("it could not be read") from error


def meanwhile() -> None:
    try:
        int("MARK")
    finally:
        throw(ZeroDivisionError("division by zero"))


def statement(why: Exception) -> StatementError:
    return StatementError("MARK", "insert MARK", {"a": "MARK"}, why)


FAILURES: dict[str, Callable[[], object]] = {
    "decoder": lambda: msgspec.json.decode(b'"MARK"', type=Literal["a"]),
    "key": lambda: dict[str, int]()["MARK"],
    "caused": caused,
    "meanwhile": meanwhile,
    "group": lambda: throw(ExceptionGroup("MARK", [ValueError("MARK"), OSError(2, "No such file")])),
    "statement": lambda: throw(statement(DriverError("a twin\nDETAIL: Key (MARK)"))),
    "value": lambda: throw(statement(WrongError("no number: MARK"))),
    "bus": lambda: throw(MsgAlreadyAckdError("MARK")),
}
"""Errors as they come out of a part that has read MARK."""


def failing(kind: str) -> Exception:
    try:
        FAILURES[kind]()
    except Exception as error:  # noqa: BLE001 - all of them are wanted
        return error
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", FAILURES)
def test_an_error_that_may_quote_somebody_is_named_and_not_repeated(kind: str) -> None:
    def said(*, private: bool) -> str:
        stream = io.StringIO()
        with configured_logs(stream, private=private):
            structlog.get_logger().error("failed", error=failing(kind), exc_info=failing(kind))
            logging.getLogger("nats").error("failed", exc_info=failing(kind))
        said = stream.getvalue()
        for line in Path(__file__).read_text().splitlines():  # traces show the code, and this code has the mark
            said = said.replace(json.dumps(line.strip())[1:-1], "") if "MARK" in line else said
        return said

    assert "in failing" in said(private=False)
    assert "MARK" not in said(private=False)
    assert "MARK" in said(private=True)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "ConnectionRefusedError: [Errno 111] Connection refused"),
        (TimeoutError(), "TimeoutError"),
        (KeyError("a"), "KeyError (PARLEY_LOG_PRIVATE=true shows what it says)"),
        (NoRespondersError(), "nats.errors.NoRespondersError: nats: no responders available for request"),
        (
            StatementError("m", "s", {}, DriverError("a twin\nDETAIL: x")),
            "sqlalchemy.exc.StatementError: a twin (23505)",
        ),
    ],
    ids=["refused", "late", "key", "nobody", "twin"],
)
def test_what_an_error_says_of_machines_is_repeated(error: Exception, told: str) -> None:
    stream = io.StringIO()
    with configured_logs(stream):
        structlog.get_logger().warning("away", error=error)

    assert lines(stream)[0]["error"] == told


def test_what_is_said_too_often_is_counted_and_not_written() -> None:
    now = 0.0
    repeats = Repeats(lambda: now)

    def say(event: str, method: str = "warning", **about: object) -> int | None:
        try:
            said: int = repeats.process(None, method, {"event": event, **about}).get("left_out", 0)
        except structlog.DropEvent:
            return None
        return said

    assert [say("a client misbehaves") for _ in range(15)] == [0] * MOST + [None] * 5
    assert say("something else") == 0
    assert [say("claimed", "info", partition=number) for number in range(64)] == [0] * 64
    assert [say("opened", "info") for _ in range(100)] == [0] * 100
    assert [say("frame", "debug") for _ in range(100)] == [0] * 100

    now = SECONDS
    assert [say("a client misbehaves") for _ in range(2)] == [5, 0]


def test_libraries_do_not_flood_the_log_either() -> None:
    stream = io.StringIO()
    with configured_logs(stream):
        for number in range(100):
            logging.getLogger("nats").warning("lost %s", number)
            logging.getLogger("opentelemetry.exporter").warning("away %s", number)
        logging.getLogger("uvicorn").warning("once")

    said = [line["logger"] for line in lines(stream)]
    assert (said.count("nats"), said.count("opentelemetry.exporter"), said.count("uvicorn")) == (MOST, 1, 1)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://example.org/keys.json", "https://example.org/keys.json"),
        ("https://user:secret@example.org:8443/keys?token=secret#secret", "https://example.org:8443/keys"),
        ("https://example.org?token=secret/@", "https://example.org"),
        ("http://[", "http://["),
        ("/etc/parley/keys.json", "/etc/parley/keys.json"),
    ],
)
def test_of_an_address_only_where_it_leads_is_said(url: str, said: str) -> None:
    assert place(url) == said
