"""A span for each SQL statement that runs inside of another span, so that a trace shows the time in PostgreSQL."""

import re
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.kit import telemetry

_TARGET = re.compile(r"\b(?:from|into|update|table)\s+([\w.\"]+)", re.IGNORECASE)


def trace_statements(engine: AsyncEngine) -> None:
    """Record the statements of *engine*; those outside of any span (renewing leases, probes) start no trace."""

    def begin(_: Any, __: Any, statement: str, ___: Any, execution: Any, ____: bool) -> None:
        if telemetry.current_trace_id():
            execution.parley_span = telemetry.span(
                summary(statement),
                kind="client",
                attributes={"db.system.name": "postgresql", "db.query.text": statement},
            )

    def end(_: Any, __: Any, ___: str, ____: Any, execution: Any, _____: bool) -> None:
        if found := getattr(execution, "parley_span", None):
            found.end()

    def fail(failure: ExceptionContext) -> None:
        if found := getattr(failure.execution_context, "parley_span", None):
            found.fail(type(failure.original_exception).__name__)
            found.end()

    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", end)
    event.listen(engine.sync_engine, "handle_error", fail)


def summary(statement: str) -> str:
    """Return the verb of *statement* and the table it is about, such as ``INSERT history.messages``."""
    verb = statement.split(maxsplit=1)[0].upper() if statement.strip() else "SQL"
    target = _TARGET.search(statement)
    return f"{verb} {target[1]}" if target else verb
