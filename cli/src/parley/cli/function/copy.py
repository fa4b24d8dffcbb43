"""
One copy of a handler: a process of its own, as a sandbox is on Lambda.

What a handler keeps in globals is its own, what it leaks or breaks is gone with it, and one that never returns can be
ended. The process runs ``sandbox``; here is the other end of its socket.
"""

import asyncio
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from parley.cli.embedded.process import die_with_parent
from parley.cli.function.answer import EXITED, Answer, failure, timed_out
from parley.cli.function.line import Request

LENGTH: Final = struct.Struct("!I")
LOAD_SECONDS: Final = 60.0
END_SECONDS: Final = 5.0
"""How long a copy may take over what it does at its exit."""
LAST_WORDS_SECONDS: Final = 1.0


class CannotLoad(Exception):  # noqa: N818 - reads as what happened
    """Why there is no handler to call."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        """In Lambda's words."""


@dataclass(frozen=True)
class Function:
    """What is copied."""

    handler: str
    """``module:name``, found from the current folder."""
    environment: Mapping[str, str]
    concurrency: int
    """Events at once in each copy."""
    timeout: float
    """Seconds for one event."""


class _Said(msgspec.Struct, frozen=True):
    """What a copy says of itself, or of the result that comes with it."""

    id: str = ""
    failed: bool = False
    loaded: bool = False
    unloaded: str = ""
    kind: str = ""


class Copy:
    """A process that has loaded the handler."""

    def __init__(
        self,
        function: Function,
        process: asyncio.subprocess.Process,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Use ``Copy.start``."""
        self.over: Final = asyncio.Event()
        """Set when it must be given no more: it has ended, or a handler has overrun its time in it."""
        self.overrun = False
        self._function = function
        self._process = process
        self._reader, self._writer = streams
        self._answers: dict[str, asyncio.Future[Answer]] = {}
        self._following: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, function: Function) -> "Copy":
        """Start a process, and return once it has loaded the handler; raise CannotLoad when it does not."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "parley.cli.function.sandbox"),
                *(function.handler, str(function.concurrency), str(theirs.fileno())),
                env=function.environment,
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for us, who let it finish
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
        copy = cls(function, process, await asyncio.open_connection(sock=ours))
        try:
            await copy._load()
        except BaseException:
            await copy._kill()
            raise
        copy._following = asyncio.create_task(copy._follow())
        return copy

    @property
    def ending(self) -> str:
        """How it has ended, as Lambda says it."""
        code = self._process.returncode or 0
        return f"signal: {(signal.strsignal(-code) or str(-code)).lower()}" if code < 0 else f"exit status {code}"

    async def invoke(self, request: Request) -> Answer:
        """Return the handler's answer, or why there is none."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[request.id] = answer
        head: dict[str, Any] = {"id": request.id, "deadline": time.time() + self._function.timeout}
        if request.traceparent and self._function.concurrency == 1:  # an environment is one for all
            head["trace"] = _xray(request.traceparent)
        try:
            async with asyncio.timeout(self._function.timeout):
                if self._process.returncode is not None:
                    return self._exited(request.id)
                message = msgspec.json.encode(head) + b"\n" + request.payload
                self._writer.write(LENGTH.pack(len(message)) + message)
                return await answer
        except TimeoutError:
            self.overrun = True
            self.over.set()
            return timed_out(request.id, self._function.timeout)
        finally:
            del self._answers[request.id]

    async def end(self) -> None:
        """Let it end in its own way, unless a handler in it is known not to return; nothing is asked of it any more."""
        self._writer.close()
        if not self.overrun:
            with suppress(TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await self._process.wait()
        await self._kill()
        if self._following:
            await self._following

    async def _load(self) -> None:
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                said, _ = await self._hear()
        except TimeoutError:
            raise CannotLoad("Runtime.InitTimedout", f"it has not loaded within {LOAD_SECONDS:g} s") from None
        except EOFError:
            await self._process.wait()
            raise CannotLoad(EXITED, f"its process ended while it loaded ({self.ending})") from None
        if not said.loaded:
            raise CannotLoad(said.kind, said.unloaded)

    async def _follow(self) -> None:
        """Hand on its answers until it ends."""
        reading = asyncio.create_task(self._read())
        await self._process.wait()
        self.over.set()
        # What it said last is still in the socket. There is no end to wait for if it has left children that hold it.
        await asyncio.wait([reading], timeout=LAST_WORDS_SECONDS)
        reading.cancel()
        for request_id, answer in self._answers.items():
            if not answer.done():
                answer.set_result(self._exited(request_id))
        self._writer.close()

    async def _read(self) -> None:
        with suppress(EOFError, ConnectionError):
            while True:
                said, payload = await self._hear()
                answer = self._answers.get(said.id)
                if answer and not answer.done():
                    answer.set_result(Answer(payload, said.failed))

    async def _hear(self) -> tuple[_Said, bytes]:
        (length,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
        head, _, payload = (await self._reader.readexactly(length)).partition(b"\n")
        return msgspec.json.decode(head, type=_Said), payload

    async def _kill(self) -> None:
        """End it now, and what it has started with it."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        self._writer.close()

    def _exited(self, request_id: str) -> Answer:
        return failure(EXITED, f"RequestId: {request_id} Error: Runtime exited with error: {self.ending}", request_id)


def _xray(traceparent: str) -> str:
    """Return a W3C traceparent in the form in which Lambda's environment has it."""
    _, trace, span, flags = traceparent.split("-")
    return f"Root=1-{trace[:8]}-{trace[8:]};Parent={span};Sampled={int(flags, 16) & 1}"
