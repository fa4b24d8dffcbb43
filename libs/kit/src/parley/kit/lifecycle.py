"""
The life of a process: one loop, one signal handler, one way in and one way out.

    async def main(settings: Settings) -> None:
        async with (...):
            await until_signalled()

    if __name__ == "__main__":
        run(main, Settings)

SIGTERM or SIGINT ends ``until_signalled``, the ``async with`` closes what it opened, and the exit code is 0. A task of
``background`` that raises cancels the ``async with`` instead, which closes the same things, and the exit code is 1.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import structlog
import uvloop

from parley.kit import logs
from parley.kit.metrics import measuring
from parley.kit.pushing import pushing
from parley.kit.settings import Common, SettingsError

S = TypeVar("S", bound=Common)
Main = Callable[[S], Coroutine[Any, Any, None]]

_AGAIN_SECONDS = 2.0
"""How long a cancelled task may take to clean up before it is cancelled once more."""

_log = structlog.get_logger("parley.lifecycle")


class CannotStart(Exception):  # noqa: N818 - reads as what happened; it is no bug in the program
    """The sentence that tells an operator why the process ends, and what to do."""


class _Stop:
    """Whether this process was told to end, and whether its main function has come far enough to notice."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.waiting = False


_stop: ContextVar[_Stop] = ContextVar("stop")


async def until_signalled() -> None:
    """Return once the process was told to end. Outside of ``run`` (in a test) wait to be cancelled."""
    stop = _stop.get(None) or _Stop()
    stop.waiting = True
    await stop.told.wait()


@asynccontextmanager
async def background(work: Coroutine[Any, Any, Any], name: str) -> AsyncIterator[asyncio.Task[None]]:
    """
    Keep *work* going while the block runs, and cancel it at the end.

    It is meant to go on for as long as the process: when it raises, or returns, the block is cancelled and
    the error comes out of it, so that a half-alive process ends.
    """

    async def forever() -> None:
        await work
        raise RuntimeError(f"{name} ended, though the process goes on")

    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(forever(), name=name)
            try:
                yield task
            finally:
                # Once is not enough: Python 3.11's wait_for, and so nats-py's requests, answers a cancellation that
                # meets its result with the result.
                while not task.done():
                    task.cancel()
                    await asyncio.wait([task], timeout=_AGAIN_SECONDS)
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) > 1:
            raise
        raise errors.exceptions[0] from None  # the one error as it is, so that callers can tell what it was
    finally:
        work.close()  # a block that fails at once ends it before it began


def run(main: Main[S], kind: type[S]) -> None:
    """Run the service whose settings are *kind*: ``python -m parley.<service> [--check | migrate]``."""
    service = kind.prefix.lower()
    arguments = _arguments(service, kind)
    try:
        settings = kind.from_env(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"parley {service} cannot start:\n" + "".join(f"  {line}\n" for line in error.problems))
        raise SystemExit(2) from None
    if arguments.check:
        sys.stdout.write(f"The settings of parley {service} are valid.\n")
        return
    logs.configure(service, settings.log_level, private=settings.log_private)
    work = _migrate(settings, service) if arguments.command else _pushed(main(settings), settings, service)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_watched(work, service))
    raise SystemExit(code)


def _arguments(service: str, kind: type[Common]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m parley.{service}")
    parser.add_argument("--check", action="store_true", help="validate the settings and exit")
    if "database_url" in kind.__struct_fields__:
        parser.add_argument("command", nargs="?", choices=["migrate"], help="bring the database schema up to date")
    else:
        parser.set_defaults(command=None)
    return parser.parse_args()


async def _migrate(settings: Common, service: str) -> None:
    from parley.kit.migrate import migrate  # noqa: PLC0415 - the gateway must not import SQLAlchemy

    applied = await migrate(settings.database_url, f"parley.{service}")  # type: ignore[attr-defined] # _arguments looked
    _log.info("migrated", service=service, revisions=applied)


async def _pushed(work: Awaitable[None], settings: Common, service: str) -> None:
    """Do *work*, and send what is measured meanwhile if that is wanted."""
    if not settings.pushes:
        await work
        return
    async with pushing(service, settings.otlp_endpoint, settings.metrics_interval / 1000):
        await work


async def _watched(work: Awaitable[None], service: str) -> int:
    """Run *work* to its end, a signal's end or a crash's, and return the exit code."""
    stop = _Stop()
    _stop.set(stop)
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()

    def tell(received: signal.Signals) -> None:
        if stop.told.is_set():
            return  # a supervisor and a terminal often both say it; closing once is enough
        _log.info("stopping", service=service, signal=received.name)
        stop.told.set()
        if not stop.waiting:
            task.cancel()  # still opening, perhaps waiting for something that never comes

    loop.set_exception_handler(_unexpected)
    for received in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(received, tell, received)
    try:
        with measuring():
            await task
    except asyncio.CancelledError:
        if not stop.told.is_set():
            raise
    except BaseException as error:  # noqa: BLE001 - whatever it was, it is logged here and ends the process
        return _obituary(error, service)
    _log.info("stopped", service=service)
    return 0


def _unexpected(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error that nobody waited for. The loop's own words show the arguments of calls, which may be anything."""
    error = context.get("exception")
    if error is not None:
        _log.error("an error that nobody waited for", exc_info=error)
    else:
        _log.error("something went wrong in the event loop", hint=context["message"])


def _obituary(error: BaseException, service: str) -> int:
    """Log why the process ends: a sentence where there is one, else the trace."""
    reasons = list(_leaves(error))
    sentences = [str(reason) for reason in reasons if isinstance(reason, CannotStart)]
    if len(sentences) == len(reasons):
        for sentence in dict.fromkeys(sentences):
            _log.error(sentence, service=service)
    else:
        _log.critical("crashed", service=service, exc_info=error)
    return 1


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
