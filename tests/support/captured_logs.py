"""Logs as a process configures them, for the length of a block of a test."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from parley.kit import logs


@contextmanager
def configured_logs(stream: io.StringIO, level: str = "info", *, private: bool = False) -> Iterator[None]:
    """Send what is logged in the block to *stream*, and leave logging as it was."""
    root = logging.getLogger()
    before, threshold = list(root.handlers), root.level
    root.handlers.clear()  # or configuring would close those of the test runner
    logs.configure("test", level, stream, private=private)
    try:
        yield
    finally:
        structlog.reset_defaults()
        root.handlers[:] = before
        root.setLevel(threshold)
