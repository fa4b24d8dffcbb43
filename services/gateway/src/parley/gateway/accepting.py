"""
Letting in all who have knocked, at once.

uvloop accepts one connection in a turn of its loop. A gateway that is busy has long turns, and is busiest when another
has died and thousands knock; one in a turn then kept them waiting until they gave up.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final

import structlog

log = structlog.get_logger(__name__)

AT_ONCE: Final = 64
"""Connections accepted in a turn, at most: those who are in already want theirs, too."""

PAUSE_SECONDS: Final = 1.0
"""How long nobody is let in when there is no room for one more."""

FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Accepting:
    """A listening socket, whose connections each get a protocol of their own."""

    def __init__(self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol], backlog: int) -> None:
        self._listener = listener
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._welcoming: dict[asyncio.Task[object], socket.socket] = {}
        self._pause: asyncio.TimerHandle | None = None
        listener.listen(backlog)
        self._watch()

    def close(self) -> None:
        """Let nobody in any more."""
        if self._pause is not None:
            self._pause.cancel()
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener)
            self._listener.close()
        for task in self._welcoming:
            task.cancel()

    def _watch(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                accepted, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in FULL:
                    log.warning("Nobody can be let in for the moment.", error=error.strerror)
                    self._loop.remove_reader(self._listener)
                    self._pause = self._loop.call_later(PAUSE_SECONDS, self._watch)
                    return
                continue  # whoever it was has gone again
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, accepted))
            self._welcoming[task] = accepted
            task.add_done_callback(self._welcomed)

    def _welcomed(self, task: "asyncio.Task[object]") -> None:
        accepted = self._welcoming.pop(task)
        if task.cancelled():
            accepted.close()
        elif (error := task.exception()) is not None:
            accepted.close()
            log.warning("A connection broke as it was let in.", error=error)
