"""docs/how-to/subscribe-to-events.md works as it stands, and so does the README's part of it."""

import asyncio
import re
import sys
from pathlib import Path

import pytest
from support.said import Room, publish

from parley.kit.bus import nats_bus
from parley.protocol.events import TYPES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "subscribe-to-events.md"


def snippet(page: Path) -> str:
    (found,) = [
        code
        for code in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        if "events(" in code
    ]
    return str(found)


@pytest.mark.parametrize("page", [PAGE, ROOT / "README.md"], ids=lambda page: page.name)
async def test_the_python_snippet_prints_events_from_an_hour_ago_on(nats_url: str, page: Path) -> None:
    code = snippet(page).replace("nats://127.0.0.1:4222", nats_url)
    async with nats_bus(nats_url, "test") as bus:
        await publish(bus, Room().says("hello"))
        process = await asyncio.create_subprocess_exec(sys.executable, "-uc", code, stdout=asyncio.subprocess.PIPE)
        assert process.stdout
        try:
            async with asyncio.timeout(60):
                line = await process.stdout.readline()
        finally:
            process.kill()
            await process.communicate()

    assert b"message.posted r1" in line
    assert b"hello" in line


def test_the_snippet_is_short() -> None:
    lines = [line for line in snippet(PAGE).splitlines() if line.strip()]

    assert len(lines) <= 10


def test_every_type_of_event_is_named() -> None:
    named = set(re.findall(r"`([a-z]+\.[a-z]+)`", PAGE.read_text().partition("| type | when |")[2]))

    assert named == set(TYPES)
