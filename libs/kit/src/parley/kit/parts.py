"""
How every process is, told to whoever asks on the bus: the same as its ``/readyz``, without knowing where that is.

    async with telling(bus, probes, "rooms", owned.name, lambda: {"partitions": len(owned)}):
        ...

    parts = await roll_call(bus)
"""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

import msgspec
import nats.errors
import structlog
from msgspec import Struct
from nats.aio.msg import Msg

from parley.kit.bus import Bus
from parley.kit.probes import Probes
from parley.protocol import subjects
from parley.protocol.clock import rfc3339

ANSWER_SECONDS: Final = 0.35
"""A check that takes longer counts as one that does not answer."""

CALL_SECONDS: Final = 0.5
"""How long is waited for answers: nobody knows how many will come."""

Figures = Callable[[], Mapping[str, float] | Awaitable[Mapping[str, float]]]
"""Gives a few numbers that tell a person how much a process has to do."""

_log = structlog.get_logger("parley.parts")


class Part(Struct, frozen=True, kw_only=True, rename="camel"):
    """A process, as it says of itself."""

    name: str
    """What it is: `gateway`, `presence`, `rooms`, `history`."""
    instance: str
    """Which one: its name on the bus, another one after every start."""
    version: str
    started_at: str
    ready: bool
    missing: dict[str, str]
    """What keeps it from being ready: a sentence by name."""
    figures: dict[str, float | int]


_part: Final = msgspec.json.Decoder(Part).decode


@asynccontextmanager
async def telling(bus: Bus, probes: Probes, name: str, instance: str, figures: Figures) -> AsyncIterator[None]:
    """Answer for the length of the block, also while something is missing."""
    started_at = rfc3339(int(time.time() * 1000))
    running = version("parley-kit")
    answering: set[asyncio.Task[None]] = set()

    async def tell(reply: str) -> None:
        missing, known = await asyncio.gather(probes.missing(within=ANSWER_SECONDS), _figures(figures))
        part = Part(
            name=name,
            instance=instance,
            version=running,
            started_at=started_at,
            ready=not missing,
            missing=missing,
            figures=known,
        )
        await bus.say(reply, msgspec.json.encode(part))

    async def asked(msg: Msg) -> None:
        task = asyncio.create_task(tell(msg.reply))  # who asks next must not wait for our checks, too
        answering.add(task)
        task.add_done_callback(answering.discard)

    subscription = await bus.client.subscribe(subjects.PARTS, cb=asked)
    try:
        yield
    finally:
        if not bus.client.is_closed:
            await subscription.unsubscribe()
        for task in answering:
            task.cancel()


async def roll_call(bus: Bus) -> list[Part]:
    """Return who is there, by name; who is not does not answer. Raise nats.errors.Error if nobody can be asked."""
    found: list[Part] = []

    async def answered(msg: Msg) -> None:
        try:
            found.append(_part(msg.data))
        except msgspec.MsgspecError as error:  # another version's
            _log.warning("a part says what cannot be read", error=error)

    inbox = bus.client.new_inbox()
    subscription = await bus.client.subscribe(inbox, cb=answered)
    try:
        await bus.client.publish(subjects.PARTS, b"", reply=inbox)
        await asyncio.sleep(CALL_SECONDS)
    finally:
        if not bus.client.is_closed:
            await subscription.unsubscribe()
    return sorted(found, key=lambda part: (part.name, part.started_at, part.instance))


async def _figures(figures: Figures) -> dict[str, float | int]:
    """Return the figures, or none: they are no reason to say nothing."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            known = figures()
            return dict(await known if inspect.isawaitable(known) else known)
    except (TimeoutError, nats.errors.Error) as error:
        _log.debug("no figures", error=error)
        return {}
