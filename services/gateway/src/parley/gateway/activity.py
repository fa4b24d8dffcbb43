"""
When a connection was last active: known to the gateway that holds it, and to nobody else.

Any gateway may be asked about any connection (`management`), so gateways ask each other, with core request-reply.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import nats.errors
from msgspec import Struct
from nats.aio.msg import Msg

from parley.gateway.lives import Lives
from parley.kit.bus import Bus
from parley.protocol import subjects

PATIENCE_SECONDS: Final = 1.0
"""A gateway that is there answers in a millisecond; of one that was killed NATS knows at once."""


class Session(Struct, frozen=True, array_like=True):
    """The question."""

    connection: str
    number: int


_question: Final = msgspec.json.Decoder(Session)
_time: Final = msgspec.json.Decoder(float | None)


@asynccontextmanager
async def answering(bus: Bus, gateway: str, lives: Lives) -> AsyncIterator[None]:
    """Answer for *gateway* what the others ask."""

    async def answer(msg: Msg) -> None:
        session = _question.decode(msg.data)
        await bus.say(msg.reply, msgspec.json.encode(lives.active_at(session.connection, session.number)))

    subscription = await bus.client.subscribe(subjects.gateway(gateway), cb=answer)
    try:
        yield
    finally:
        if not bus.client.is_closed:
            await subscription.unsubscribe()


async def active_at(bus: Bus, gateway: str, session: Session) -> float | None:
    """Return what *gateway* says of a session, in seconds since the epoch; None if it is not there, or has it not."""
    try:
        msg = await bus.client.request(
            subjects.gateway(gateway), msgspec.json.encode(session), timeout=PATIENCE_SECONDS
        )
    except (nats.errors.Error, TimeoutError):
        return None
    said: float | None = _time.decode(msg.data)
    return said
