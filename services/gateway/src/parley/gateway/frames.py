"""Tells presence what came and went lately on a connection of this gateway, with core request-reply."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog
from nats.aio.msg import Msg

from parley.gateway.connection import Connection
from parley.gateway.notes import shown
from parley.kit.bus import Bus
from parley.protocol import subjects
from parley.protocol.frames import FrameSeen, FramesSought

_sought: Final = msgspec.json.Decoder(FramesSought).decode

_log = structlog.get_logger("parley.gateway")


@asynccontextmanager
async def showing(bus: Bus, gateway: str, find: Callable[[str], Connection | None]) -> AsyncIterator[None]:
    """Answer for *gateway* for the length of the block."""

    async def answer(msg: Msg) -> None:
        try:
            sought = _sought(msg.data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            _log.warning("a question about frames cannot be read", error=error)
            return
        await bus.say(msg.reply, msgspec.json.encode(_seen(find(sought.connection), sought.app)))

    subscription = await bus.client.subscribe(subjects.frames(gateway), cb=answer)
    try:
        yield
    finally:
        if not bus.client.is_closed:
            await subscription.unsubscribe()


def _seen(connection: Connection | None, app: str) -> list[FrameSeen]:
    """Return what is known; nothing of a connection that is not here, or whose socket is closed."""
    if connection is None or connection.session.app != app:
        return []
    return list(shown(connection.session.notes or ()))
