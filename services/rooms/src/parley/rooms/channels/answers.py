"""Answers gateways that ask whether a channel is there. Any replica does, from the table."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import structlog
from nats.aio.msg import Msg
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.kit.bus import Bus
from parley.protocol import subjects
from parley.protocol.channels import ChannelFound, ChannelSought
from parley.protocol.ids import partition_of
from parley.rooms.channels import queries
from parley.rooms.channels.channel import Arn

QUESTION: Final = subjects.question("rooms", "channel")

log = structlog.get_logger(__name__)

_question: Final = msgspec.json.Decoder(ChannelSought)


@asynccontextmanager
async def answering(bus: Bus, db: AsyncEngine, partitions: int) -> AsyncIterator[None]:
    """Answer for the length of the block. While the database is away nobody is answered, and gateways say so."""

    async def answer(msg: Msg) -> None:
        try:
            found = await find(db, _question.decode(msg.data), partitions)
        except Exception:
            log.exception("A question about a channel could not be answered.")
            return
        await bus.say(msg.reply, msgspec.json.encode(found))

    subscription = await bus.client.subscribe(QUESTION, queue="rooms", cb=answer)
    try:
        yield
    finally:
        if not bus.client.is_closed:
            await subscription.unsubscribe()


async def find(db: AsyncEngine, sought: ChannelSought, partitions: int) -> ChannelFound | None:
    """Return what is sought."""
    if (arn := Arn.read(sought.arn)) is None:
        return None
    async with db.connect() as connection:
        channel = await queries.by_arn(connection, sought.app, arn)
        if channel is None:
            return None
        partition = partition_of(sought.app, sought.arn, partitions)
        viewers = await queries.viewers(connection, partition, sought.app, sought.arn, besides=sought.viewer)
    return ChannelFound(channel.ttl, viewers)
