"""``parley tail`` against a real NATS."""

import asyncio
import os
import pty
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from support.said import Room, publish

from parley.kit.bus import Bus, nats_bus


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    async with nats_bus(nats_url, "test") as bus:
        yield bus


@asynccontextmanager
async def tail(nats_url: str, *arguments: str, out: int = PIPE) -> AsyncIterator[Process]:
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": "200"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "parley.cli", "tail", "--nats", nats_url, *arguments),
        env=environment,
        stdout=out,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(60):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def lines(process: Process, count: int) -> list[bytes]:
    assert process.stdout
    return [await process.stdout.readline() for _ in range(count)]


async def test_in_a_pipe_each_line_is_the_event_as_it_was_stored(nats_url: str, bus: Bus) -> None:
    said = [Room().says("one"), Room(app="other").says("two")]
    await publish(bus, *said)

    async with tail(nats_url, "--since", "10m") as process:
        assert [line.rstrip(b"\n") for line in await lines(process, 2)] == [message.payload for message in said]


async def test_only_what_is_asked_for_is_shown(nats_url: str, bus: Bus) -> None:
    room, other = Room(), Room("r2")
    await publish(bus, room.created(), other.says("elsewhere"), Room(app="b").says("b"), room.says("yes"))

    async with tail(nats_url, "--since", "1h", "--app", "default", "--type", "message.*", "--room", "r1") as process:
        (line,) = await lines(process, 1)

    assert msgspec.json.decode(line)["data"]["text"] == "yes"


async def test_on_a_terminal_it_is_one_coloured_line_that_steers_nothing(nats_url: str, bus: Bus) -> None:
    """Texts are anybody's: an escape sequence in one must not reach the terminal."""
    await publish(bus, Room("a\nb").says("\x1b[2J\x07 boo"))
    here, there = pty.openpty()

    async with tail(nats_url, "--since", "1h", out=there):
        os.close(there)
        shown = await asyncio.to_thread(os.read, here, 4096)
    os.close(here)

    assert b"message.posted" in shown
    assert b"\x1b[1;37m" in shown
    assert b"\x1b[2J" not in shown
    assert b"\x07" not in shown
    assert shown.count(b"\n") == 1


async def test_it_ends_quietly_when_nobody_reads_any_more(nats_url: str, bus: Bus) -> None:
    """As in ``parley tail | head``."""
    room = Room()
    async with tail(nats_url, "--since", "1h") as process:
        await publish(bus, room.says("first"))
        await lines(process, 1)
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined] # the only way to close our end
        await publish(bus, *(room.says("more") for _ in range(50)))

        assert await process.wait() == 0
        assert process.stderr
        assert await process.stderr.read() == b""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--since", "yesterday"), b"--since takes how long ago"),
        (("--type", "no type"), b"selects no events"),
        (("--nats", "nats://127.0.0.1:1"), b"NATS does not answer"),
        ((), b"start Parley first"),
    ],
)
async def test_what_is_wrong_is_said_in_a_sentence(nats_url: str, arguments: tuple[str, ...], sentence: bytes) -> None:
    async with tail(nats_url, *arguments) as process:
        _, errors = await process.communicate()

    assert process.returncode == 1
    assert errors.startswith(b"parley: ")
    assert sentence in errors
    assert errors.count(b"\n") == 1


async def test_without_an_instance_it_says_so(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "parley.cli", "tail"),
        env={"PATH": os.environ["PATH"], "PARLEY_DATA": str(tmp_path)},
        stdout=PIPE,
        stderr=PIPE,
    )

    _, errors = await process.communicate()

    assert b"Nothing runs on" in errors
