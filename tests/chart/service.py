"""A Service of the cluster, here: a plain proxy that knows which pods are ready."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK_BYTES = 64 * 1024


class Service:
    """
    Listens at one address, and gives new connections to its pods in turn.

    As kube-proxy does: a connection stays with its pod for as long as both live, whether that pod is still ready or
    not, and nothing is remembered of who was where.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.pods: list[str] = []
        """Addresses of those that are ready."""
        self._turn = 0
        self._flows: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        host, port = self.address.split(":")
        self._server = await asyncio.start_server(self._accept, host, int(port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for flow in self._flows:
            flow.cancel()
        await asyncio.gather(*self._flows, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._turn += 1
        try:
            host, port = self.pods[self._turn % len(self.pods)].split(":")
            there, back = await asyncio.open_connection(host, int(port))
        except (OSError, ZeroDivisionError):
            writer.transport.abort()
            return
        for source, sink in ((reader, back), (there, writer)):
            flow = asyncio.create_task(_flow(source, sink))
            self._flows.add(flow)
            flow.add_done_callback(self._flows.discard)


async def _flow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until it ends or breaks."""
    try:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                writer.write(data)
                await writer.drain()
    finally:
        writer.close()
