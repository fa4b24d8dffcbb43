"""
Inside a copy: loads the handler, and calls it with one event after the other.

Started by ``copies`` as ``python -P -m parley.cli.function.sandbox app:handler 1 3``, where 1 is how many events it is
given at once, and 3 the descriptor of a socket. Over that it says once whether it has loaded, is handed events, and
hands results back. It imports nothing but the standard library: the rest is the handler's to choose.

A message is four bytes of length, a line of JSON that says what it is, and the payload. At the end of the messages it
ends. Whatever happens to it meanwhile, its parent has seen to that: timeouts are kept there.
"""

import asyncio
import importlib
import inspect
import json
import logging
import os
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from decimal import Decimal
from types import TracebackType
from typing import Any, NoReturn

from parley.cli.function.context import Context

Handler = Callable[[Any, Context], Any]
LENGTH = struct.Struct("!I")

_request_id: ContextVar[str] = ContextVar("request_id", default="")


class Fault(Exception):  # noqa: N818 - Lambda has a word of its own for each
    """What Lambda's runtime says of a handler: that it cannot be loaded, or its result not be written."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Parent:
    """The other end of the socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._file = connection.makefile("rb")
        self._connection = connection
        self._reading = threading.Lock()
        self._writing = threading.Lock()

    def hear(self) -> tuple[dict[str, Any], bytes] | None:
        """Return the next message, or None when there will be none."""
        with self._reading:
            length = self._file.read(LENGTH.size)
            if len(length) < LENGTH.size:
                return None
            message = self._file.read(LENGTH.unpack(length)[0])
        head, _, payload = message.partition(b"\n")
        return json.loads(head), payload

    def say(self, head: dict[str, Any], payload: bytes = b"") -> None:
        """Send a message."""
        message = json.dumps(head).encode() + b"\n" + payload
        with self._writing:
            self._connection.sendall(LENGTH.pack(len(message)) + message)


def load(named: str) -> Handler:
    """Return the handler that ``module:name``, or Lambda's ``folder/module.name``, means."""
    path, _, name = named.replace(":", ".").rpartition(".")
    module = path.replace("/", ".")
    try:
        handler = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise Fault("Runtime.ImportModuleError", f"Unable to import module '{module}': {error}") from error
    except SyntaxError as error:
        raise Fault("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module}': {error}") from error
    except AttributeError as error:
        if module in sys.modules and not hasattr(sys.modules[module], name):
            raise Fault("Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module}'") from error
        raise Fault("AttributeError", _blame(error)) from error
    except Exception as error:
        raise Fault(type(error).__name__, _blame(error)) from error
    if not callable(handler):
        raise Fault("Runtime.HandlerNotFound", f"Handler '{name}' on module '{module}' is no function")
    found: Handler = handler
    return found


def _blame(error: Exception) -> str:
    """Return what was raised, and where."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({frame.filename}, line {frame.lineno})"


def is_async(handler: Handler) -> bool:
    """Whether calling *handler* gives something to await."""
    return any(map(inspect.iscoroutinefunction, (handler, type(handler).__call__)))


def invocation(head: dict[str, Any], payload: bytes) -> tuple[Any, Context]:
    """Return what the handler is called with."""
    _request_id.set(head["id"])
    try:
        event = json.loads(payload)
    except ValueError as error:
        raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from error
    return event, Context(head["id"], head["deadline"])


def marshalled(result: Any) -> bytes:
    """Return a handler's result as JSON; like Lambda, let DynamoDB's numbers pass."""
    try:
        return json.dumps(result, default=_plain, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def failure(error: BaseException, request_id: str) -> bytes:
    """Return an error as Lambda's Python says it, with the frames of the handler's own code."""
    ours = isinstance(error, Fault)
    frames = [] if ours else _frames(error.__traceback__)
    kind = error.kind if isinstance(error, Fault) else type(error).__name__
    said = {"errorMessage": str(error), "errorType": kind, "requestId": request_id, "stackTrace": frames}
    trace = "".join(frames)
    sys.stderr.write(f"[ERROR] {kind}: {error}\n" + (f"Traceback (most recent call last):\n{trace}" if trace else ""))
    sys.stderr.flush()
    return json.dumps(said).encode()


def _frames(trace: TracebackType | None) -> list[str]:
    return [
        line
        for frame in traceback.extract_tb(trace)
        if frame.filename != __file__
        for line in traceback.format_list([frame])
    ]


def call(handler: Handler, head: dict[str, Any], payload: bytes, parent: Parent) -> None:
    """Call a handler that is a plain function, and hand back what came of it."""
    try:
        event, context = invocation(head, payload)
        result = marshalled(handler(event, context))
    except Exception as error:  # noqa: BLE001 - all that a handler raises is an answer
        parent.say({"id": head["id"], "failed": True}, failure(error, head["id"]))
    except SystemExit as error:
        leave(error)
    else:
        parent.say({"id": head["id"]}, result)


async def acall(handler: Callable[..., Awaitable[Any]], head: dict[str, Any], payload: bytes, parent: Parent) -> None:
    """Call an ``async def`` handler, and hand back what came of it."""
    try:
        event, context = invocation(head, payload)
        result = marshalled(await handler(event, context))
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - as above, and nobody else cancels it
        parent.say({"id": head["id"], "failed": True}, failure(error, head["id"]))
    except SystemExit as error:
        leave(error)
    else:
        parent.say({"id": head["id"]}, result)


def leave(error: SystemExit) -> NoReturn:
    """End the process at once, whichever thread says so and whatever the others do."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(error.code if isinstance(error.code, int) else int(error.code is not None))


def serve(handler: Handler, concurrency: int, parent: Parent) -> None:
    """
    Call the handler for as long as there are events.

    With one at a time that is in the main thread, where signals and event loops of the handler's own work as on Lambda.
    """
    if is_async(handler):
        asyncio.run(_serve_tasks(handler, parent))
        return
    threads = [threading.Thread(target=_serve, args=(handler, parent)) for _ in range(concurrency - 1)]
    for thread in threads:
        thread.start()
    _serve(handler, parent)
    for thread in threads:
        thread.join()


def _serve(handler: Handler, parent: Parent) -> None:
    while heard := parent.hear():
        head, payload = heard
        if "trace" in head:
            os.environ["_X_AMZN_TRACE_ID"] = head["trace"]
        call(handler, head, payload, parent)


async def _serve_tasks(handler: Handler, parent: Parent) -> None:
    async with asyncio.TaskGroup() as group:
        while heard := await asyncio.to_thread(parent.hear):
            group.create_task(acall(handler, *heard, parent))


class _Line(logging.Formatter):
    """Lambda's form of a line of log."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        record.request_id = _request_id.get()
        return super().format(record)


def main() -> None:
    """Load, say so, and serve."""
    named, concurrency, descriptor = sys.argv[1:]
    connection = socket.socket(fileno=int(descriptor))
    connection.set_inheritable(False)  # what the handler starts does not hold it
    parent = Parent(connection)
    sys.argv = [named]
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as a string
    lines = logging.StreamHandler(sys.stdout)
    lines.setFormatter(_Line())
    logging.getLogger().addHandler(lines)  # handlers only set a level: Lambda has the rest in place
    try:
        handler = load(named)
    except Fault as error:
        parent.say({"unloaded": str(error), "kind": error.kind})
        return
    parent.say({"loaded": True})
    serve(handler, int(concurrency), parent)


if __name__ == "__main__":
    main()
