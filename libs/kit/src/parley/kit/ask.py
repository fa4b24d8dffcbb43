"""
Questions from outside to whoever owns a connection or a room: a command with a reply subject, and the wait for it.

    async with asking(bus, "presence", partitions=16) as ask:
        await ask(partition, lambda reply: Remove(app=app, connection=id, reply=reply))

The question is in the log as all else is, so it is answered at its place among what clients did.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from msgspec import UNSET
from nats.aio.msg import Msg

from parley.kit.about import about
from parley.kit.bus import Bus, TooLargeError
from parley.kit.telemetry import span
from parley.kit.writer import Writer, writing
from parley.protocol.clock import rfc3339
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.commands import AnyCommand, type_of
from parley.protocol.envelope import CloudEvent

PATIENCE_SECONDS: Final = 5.0
"""An owner that was killed is replaced within four."""


class Ask:
    """Asks, and gives the answer; raises Refusal with what the owner refused, or ``degraded`` when none came."""

    def __init__(self, bus: Bus, writer: Writer, partitions: int, patience: float) -> None:
        """Use `asking`."""
        self.partitions: Final = partitions
        self._bus = bus
        self._writer = writer
        self._patience = patience
        self._inbox = bus.client.new_inbox()
        self._asked: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def __call__(self, partition: int, command: Callable[[str], AnyCommand]) -> dict[str, Any]:
        """Give the owner of *partition* the command that *command* makes of a reply subject; return its answer."""
        if trouble := self._bus.check():
            raise Refusal(ErrorCode.DEGRADED, trouble)
        token = secrets.token_hex(8)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[token] = answer
        try:
            self._write(partition, command(f"{self._inbox}.{token}"), token)
            async with asyncio.timeout(self._patience):
                said = await answer
        except TooLargeError:
            raise Refusal(ErrorCode.TOO_LARGE, "This is larger than what the bus takes.") from None
        except TimeoutError:
            raise Refusal(
                ErrorCode.DEGRADED, "Nobody answered in time; it may still be done. Look, and try again."
            ) from None
        finally:
            del self._asked[token]
        if "code" in said:
            raise Refusal(ErrorCode(said["code"]), said["message"])
        return said

    def _write(self, partition: int, command: AnyCommand, token: str) -> None:
        kind = type_of(command)
        with span(f"ask {kind}", kind="producer", attributes=about(command)) as current:
            event = CloudEvent(
                id=token,
                source=f"parley/{self._writer.name}",
                type=kind,
                time=rfc3339(int(time.time() * 1000)),
                traceparent=current.traceparent or UNSET,
                data=command,
            )
            self._writer.put(partition, event)

    async def _answered(self, msg: Msg) -> None:
        answer = self._asked.get(msg.subject.rpartition(".")[2])
        if answer is not None and not answer.done():  # an owner that was replaced may have said it before
            answer.set_result(msgspec.json.decode(msg.data, type=dict[str, Any]))


@asynccontextmanager
async def asking(bus: Bus, service: str, partitions: int, *, patience: float = PATIENCE_SECONDS) -> AsyncIterator[Ask]:
    """Give what asks in the name of *service*."""
    async with writing(bus, f"{service}-rest-{secrets.token_hex(6)}") as writer:
        ask = Ask(bus, writer, partitions, patience)
        inbox = await bus.client.subscribe(f"{ask._inbox}.*", cb=ask._answered)  # noqa: SLF001 - its other half
        try:
            yield ask
        finally:
            if not bus.client.is_closed:
                await inbox.unsubscribe()
