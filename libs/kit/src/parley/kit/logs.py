"""
Logs: lines a person reads on a terminal, JSON lines anywhere else; one call configures both ours and libraries'.

    log.info("closed", connection=connection.id, app=session.app, seconds=1.5)
    log.warning("the state cannot be loaded yet", partition=3, error=error)

What clients say and who they are stays out, at every level: fields in PRIVATE, bytes, and what an error says unless it
is known to quote nobody (``discretion.py``). ``PARLEY_LOG_PRIVATE`` asks for it. What each field is called is on the
page ``docs/reference/logs.md``; a line with another one fails a test.
"""

import logging
import sys
from typing import Any, Final, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from parley.kit import telemetry
from parley.kit.discretion import told, trace_of
from parley.kit.repeats import Repeats

PRIVATE: Final = frozenset({"client", "payload", "user"})
"""Fields that are left out unless they are asked for."""


def configure(service: str, level: str = "info", stream: TextIO | None = None, *, private: bool = False) -> None:
    """Send what *service* logs, at *level* and above, to *stream* (standard error); what is *private* only if asked."""
    stream = stream or sys.stderr
    threshold = logging.getLevelNamesMapping()[level.upper()]
    repeats = Repeats()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _named(service),
        _traced,
        _discreet(private=private),
    ]
    finish: list[Processor]

    def exception(exc_info: ExcInfo) -> str:
        return trace_of(exc_info[1], private=private)

    if stream.isatty():
        finish = [
            structlog.dev.ConsoleRenderer(
                timestamp_key="time", exception_formatter=lambda into, info: print(exception(info), file=into)
            )
        ]
    else:
        finish = [
            structlog.processors.ExceptionRenderer(exception),
            structlog.processors.JSONRenderer(serializer=_json),
        ]
    structlog.configure(
        processors=[repeats.process, *shared, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,  # a test configures more than once; the loggers on the hot path are bound
    )
    libraries = logging.StreamHandler(stream)
    libraries.addFilter(repeats.filter)
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder({"left_out"})],
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
        event.setdefault("trace_id", trace)
    return event


def _discreet(*, private: bool) -> Processor:
    """Leave out what is private, and say of errors what may be said."""

    def discreet(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        for name, value in list(event.items()):
            if isinstance(value, BaseException):
                if name != "exc_info":
                    event[name] = told(value, private=private)
            elif (name in PRIVATE or isinstance(value, bytes)) and not private:
                del event[name]
            elif isinstance(value, bytes):
                event[name] = repr(value)
        return event

    return discreet
