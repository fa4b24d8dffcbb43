"""``parley doctor``: whether gateways, presence, rooms and history agree about a system that runs."""

import asyncio
import os
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from parley.cli.accounts import Accounts, Witnesses, witnesses
from parley.cli.differences import Difference, differences
from parley.cli.instance import Instance
from parley.cli.problem import Problem
from parley.cli.settings import Settings
from parley.cli.status import status
from parley.cli.tail import shown

LOOK_SECONDS: Final = 0.5


class Compared(msgspec.Struct, frozen=True):
    """How much was compared."""

    gateways: int
    connections: int
    members: int
    calls: int


class Diagnosis(msgspec.Struct, frozen=True):
    """What ``parley doctor --json`` prints."""

    agree: bool
    differences: list[Difference]
    compared: Compared
    unasked: list[str]
    """Gateways that did not answer; their sockets were not compared."""


def doctor(gateways: Sequence[str], patience: float) -> Diagnosis:
    """Compare until there is no difference, or some have persisted for *patience* seconds."""
    database, nats, known = _system()
    return asyncio.run(_diagnose(database, nats, gateways or known, patience))


def lines(found: Diagnosis) -> list[str]:
    """Say it to a person: a line for each difference, or one that there is none."""
    if found.differences:
        return [_line(each) for each in found.differences]
    about = found.compared
    parts = ["presence", "rooms", "history"] + ([_count(about.gateways, "gateway")] if about.gateways else [])
    counts = [
        _count(about.connections, "connection"),
        _count(about.members, "member"),
        _count(about.calls, "open call"),
    ]
    return [f"No difference between {', '.join(parts[:-1])} and {parts[-1]}: {', '.join(counts)}."]


async def _diagnose(database: str, nats: str, gateways: Sequence[str], patience: float) -> Diagnosis:
    async with witnesses(database, nats, gateways) as asked:
        deadline = time.monotonic() + patience
        said, found = await _look(asked)
        while found and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
            said, now = await _look(asked)
            found = {identity: now[identity] for identity in found if identity in now}
    compared = Compared(len(said.holdings), len(said.presence), len(said.rooms_members), len(said.rooms_calls))
    return Diagnosis(not found, list(found.values()), compared, said.silent)


async def _look(asked: Witnesses) -> tuple[Accounts, dict[tuple[str | None, ...], Difference]]:
    said = await asked.hear()
    return said, {difference.identity: difference for difference in differences(said)}


def _system() -> tuple[str, str, list[str]]:
    """Return where PostgreSQL, NATS and the gateways are."""
    settings = Settings.from_env(os.environ)
    if Instance(settings.data).runs:
        found = status()
        return found.database, found.nats, [part.http for part in found.parts if part.name == "gateway" and part.http]
    if settings.database_url and settings.nats_url:
        return settings.database_url, settings.nats_url, []
    raise Problem(
        f"Nothing runs on {settings.data}: start it with `parley up`, or set DATABASE_URL and NATS_URL to those of the"
        " system, and name its gateways with --gateway."
    )


def _line(difference: Difference) -> str:
    about = (
        ("connection", difference.connection),
        ("room", difference.room),
        ("call", difference.call),
        ("app", difference.app),
    )
    named = " ".join(f"{word}={shown(value)}" for word, value in about if value is not None)
    return f"{difference.kind}: {named}: {shown(difference.message)}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
