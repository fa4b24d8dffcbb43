"""Logs: lines a person reads on a terminal, JSON lines anywhere else; one call configures both ours and libraries'."""

import logging
import sys
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from parley.kit import telemetry


def configure(service: str, level: str = "info", stream: TextIO | None = None) -> None:
    """Send what *service* logs, at *level* and above, to *stream* (standard error)."""
    stream = stream or sys.stderr
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _named(service),
        _traced,
    ]
    finish: list[Processor]
    if stream.isatty():
        # Not rich's tracebacks: they show the locals, secrets among them, and take a second each.
        plain = structlog.dev.plain_traceback
        finish = [structlog.dev.ConsoleRenderer(timestamp_key="time", exception_formatter=plain)]
    else:
        finish = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
    structlog.configure(
        processors=[*shared, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,  # a test configures more than once; the loggers on the hot path are bound
    )
    libraries = logging.StreamHandler(stream)
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
        ),
    )
    logging.basicConfig(handlers=[libraries], level=max(threshold, logging.WARNING), force=True)


def _json(event: EventDict, **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


def _named(service: str) -> Processor:
    def name(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    return name


def _traced(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Name the trace in whose span the line was written, so that one leads to the other."""
    if trace := telemetry.current_trace_id():
        event["trace_id"] = trace
    return event
