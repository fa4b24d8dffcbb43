"""
What may be said of an error where anybody reads it.

Much of what errors say quotes what they are about: a decoder the field that a client sent, a driver the row with its
parameters, a parser of URLs the password. So an error's own words are repeated only where they are known to be about
the machine or the code. Of others there is the type, and where it happened.
"""

import textwrap
import traceback
from collections.abc import Iterator
from typing import Final

PLAIN: Final = (
    ArithmeticError,
    AttributeError,
    ImportError,
    IndexError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
)
"""Whose words name code, files, addresses of ours, and numbers of the operating system."""

QUOTING: Final = ("MsgAlreadyAckdError",)
"""Of the bus's errors those that show a message."""

DATA: Final = "22"
"""The class of PostgreSQL's errors whose first line may show a value: "data exception"."""

CAUSED: Final = "\nThe above exception was the direct cause of the following exception:\n\n"
MEANWHILE: Final = "\nDuring handling of the above exception, another exception occurred:\n\n"


def told(error: BaseException, *, private: bool = False) -> str:
    """Return what an error is, and what it says unless that may quote somebody; all of it if *private*."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    said = str(error) if private else _words(error)
    if said is None:
        return f"{name} (PARLEY_LOG_PRIVATE=true shows what it says)"
    return f"{name}: {said}" if said else name


def place(url: str) -> str:
    """Return where a URL leads, without what may be secret in it: a user, a password, a query. Its path stays."""
    scheme, is_url, rest = url.partition("://")
    if not is_url:
        return url
    host, slash, path = rest.partition("#")[0].partition("?")[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def trace_of(error: BaseException, *, private: bool = False) -> str:
    """Return an error's trace as Python writes it, with what `told` says of each error in it."""
    lines = traceback.format_exception(error) if private else _lines(error, set())
    return "".join(lines).rstrip("\n")


def _words(error: BaseException) -> str | None:
    """Return what an error says if that quotes nobody, else None."""
    if isinstance(said := getattr(error, "plain", None), str):  # an error of ours that knows
        return said
    if isinstance(origin := getattr(error, "orig", None), BaseException):  # SQLAlchemy's, around the driver's
        return _words(origin)
    if isinstance(state := getattr(error, "sqlstate", None), str):
        # The lines after the first show the row.
        return None if state.startswith(DATA) else f"{next(iter(str(error).splitlines()), '')} ({state})"
    module = type(error).__module__
    if module.startswith("nats."):
        return None if type(error).__name__ in QUOTING else str(error)
    if isinstance(error, BaseExceptionGroup):
        return f"{len(error.exceptions)} errors"
    return str(error) if isinstance(error, PLAIN) or not str(error) else None


def _lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    if error.__cause__ is not None:
        if id(error.__cause__) not in seen:
            yield from _lines(error.__cause__, seen)
            yield CAUSED
    elif error.__context__ is not None and not error.__suppress_context__ and id(error.__context__) not in seen:
        yield from _lines(error.__context__, seen)
        yield MEANWHILE
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_tb(error.__traceback__)
    yield f"{told(error)}\n"
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield textwrap.indent("".join(_lines(inner, seen)), "  | ")
