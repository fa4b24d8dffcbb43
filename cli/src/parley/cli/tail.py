"""``parley tail``: the public events as they happen, for a person's eyes or as JSON lines for a program."""

import asyncio
import json
import os
import re
import sys
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.text import Text

from parley.cli.instance import nats_of_instance
from parley.cli.problem import Problem
from parley.cli.settings import Settings
from parley.cli.token import UNITS
from parley.client import ParleyError
from parley.client.events import Event, events

COLOURS = {
    "connection": "cyan",
    "presence": "blue",
    "room": "green",
    "negotiation": "yellow",
    "call": "magenta",
    "message": "bold white",
    "event": "bold red",
}
"""By what an event's type begins with."""

UNSHOWN = {"app", "room", "epoch", "metadata"}
"""What a person does not need to see of an event's data; --json has all of it."""


class Writer(Protocol):
    """Shows events, each at once."""

    def __call__(self, event: Event) -> None:
        """Show one."""


@dataclass(frozen=True)
class Wanted:
    """Which events to show."""

    app: str | None
    """None for all apps."""
    types: str
    room: str | None
    since: datetime | timedelta | None


def tail(wanted: Wanted, nats_url: str | None, *, as_json: bool) -> None:
    """Follow events until Ctrl-C, or until whoever reads them goes away."""
    url = nats_url or nats_of_instance(Settings.from_env(os.environ))
    write = json_lines(sys.stdout) if as_json or not sys.stdout.isatty() else for_people(Console())
    try:
        asyncio.run(_follow(url, wanted, write))
    except BrokenPipeError:
        # `parley tail | head`: nobody reads any more. Python would complain once again when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except ValueError as error:
        raise Problem(f"--type: {error}.") from error
    except ParleyError as error:
        raise Problem(str(error)) from error


def since_of(words: str | None) -> datetime | timedelta | None:
    """Return what `--since` means: ``10m`` and the like, or a time."""
    if words is None:
        return None
    if found := re.fullmatch(r"([0-9]{1,6})([smhd])", words):
        return timedelta(seconds=int(found[1]) * UNITS[found[2]])
    try:
        time = datetime.fromisoformat(words)
    except ValueError:
        raise Problem(
            f"--since takes how long ago, such as 90s, 10m, 12h or 7d, or a time such as"
            f" 2026-01-31T12:00:00Z, not {words!r}."
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def json_lines(stream: TextIO) -> Writer:
    """Write each event as it was stored, on a line of its own."""

    def write(event: Event) -> None:
        stream.write(event.raw.decode() + "\n")
        stream.flush()

    return write


def for_people(console: Console) -> Writer:
    """Write each event as a coloured line."""
    width = len("negotiation.answered")

    def write(event: Event) -> None:
        colour = COLOURS.get(event.type.partition(".")[0], "white")
        line = Text.assemble(
            (_clock(event.time), "dim"),
            " ",
            (event.type.ljust(width), colour),
            " ",
            (shown(event.subject), "bold"),
            *(piece for name, value in _details(event) for piece in (" ", (f"{name}=", "dim"), shown(value))),
        )
        console.print(line, soft_wrap=True)

    return write


def shown(value: Any) -> str:
    """Return *value* on one line, without what would steer a terminal: names and texts are anybody's."""
    if isinstance(value, str) and value.isprintable():
        return value
    written = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in written)


async def _follow(url: str, wanted: Wanted, write: Writer) -> None:
    options: dict[str, Any] = {"connect_timeout": 2, "allow_reconnect": True}
    async with aclosing(events(url, wanted.app, since=wanted.since, types=wanted.types, **options)) as found:
        async for event in found:
            if wanted.room is None or event.data.get("room") == wanted.room:
                write(event)


def _details(event: Event) -> list[tuple[str, Any]]:
    return [
        (name, value)
        for name, value in event.data.items()
        if name not in UNSHOWN and value is not None and value != event.subject
    ]


def _clock(time: str | None) -> str:
    """Return a time of day here, with milliseconds."""
    if time is None:
        return " " * 12
    return datetime.fromisoformat(time).astimezone().strftime("%H:%M:%S.%f")[:-3]
