"""A TCP proxy whose connections can be cut in the middle of a word, or swallow everything for a while."""

import asyncio
from contextlib import suppress
from random import Random
from types import TracebackType
from typing import Self


class Proxy:
    """Listens on a free port of loopback, and passes everything on to one address."""

    def __init__(self) -> None:
        self.target = ""
        """``host:port``; may change."""
        self._writers: dict[asyncio.StreamWriter, asyncio.StreamWriter] = {}
        self._torn: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server

    @property
    def address(self) -> str:
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._abort(list(self._writers))
        await asyncio.sleep(0)

    def cut(self, share: float, rng: Random) -> int:
        """Cut some connections, half of them in the middle of what is said next; return how many."""
        chosen = [writer for writer in self._writers if rng.random() < share]
        torn = [writer for writer in chosen if rng.random() < 0.5]
        self._torn.update(torn)
        self._abort([writer for writer in chosen if writer not in self._torn])
        return len(chosen)

    def swallow(self) -> None:
        """Pass nothing on any more, without a word to anybody."""
        self._flows.clear()

    def flow(self) -> None:
        """Pass on what has come meanwhile."""
        self._flows.set()

    def _abort(self, writers: list[asyncio.StreamWriter]) -> None:
        for writer in writers:
            other = self._writers.pop(writer, None)
            self._torn.discard(writer)
            for end in (writer, other):
                if end is not None:
                    end.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.rpartition(":")
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
        except (OSError, ValueError):
            writer.transport.abort()
            return
        self._writers[writer] = far_writer
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, far_writer, writer))
                group.create_task(self._pass_on(far_reader, writer, writer))
        finally:
            self._abort([writer])

    async def _pass_on(
        self, reader: asyncio.StreamReader, to: asyncio.StreamWriter, near: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while words := await reader.read(65_536):
                await self._flows.wait()
                if near in self._torn:
                    to.write(words[: len(words) // 2])
                    await to.drain()
                    self._abort([near])
                    return
                to.write(words)
                await to.drain()
        self._abort([near])
