"""``parley up`` with the services themselves."""

import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psutil
import pytest
from support.eventually import eventually
from support.instance import REAL, Instance

from parley.client import connect

WARM_START_SECONDS = 8


@pytest.fixture
async def instance(tmp_path: Path) -> AsyncIterator[Instance]:
    """Give an instance of the test's own, not yet started."""
    instance = Instance(tmp_path / "data", up=REAL)
    yield instance
    await instance.stop()


async def say(front_door: str, room: str, text: str) -> None:
    async with connect(front_door.replace("http", "ws")) as client:
        await client.join(room)
        await client.chat(room, text)


def said(front_door: str, room: str) -> list[Any]:
    answer = httpx.get(f"{front_door}/v1/rooms/{quote(room, safe='')}/messages", timeout=10)
    assert answer.is_success, answer.text
    return [message["text"] for message in answer.json()["items"]]


def busy_seconds() -> float:
    """Return for how long the machine's processors have worked, whoever for."""
    times = psutil.cpu_times()
    return times.user + times.system


def seconds_of(instance: Instance) -> float:
    """Return for how long they have worked for this instance."""
    supervisor = psutil.Process(instance.process.pid)
    times = [process.cpu_times() for process in (supervisor, *supervisor.children(recursive=True))]
    return sum(time.user + time.system + time.children_user + time.children_system for time in times)


async def test_what_was_said_is_there_after_a_restart_which_takes_under_eight_seconds(instance: Instance) -> None:
    await instance.start(within=60)
    url, room = instance.url, "a/b?c#d %2F ü"
    await say(url, room, "before")
    await eventually(lambda: None if said(url, room) == ["before"] else f"history has {said(url, room)}")
    assert await instance.stop() == 0

    began, busy = time.monotonic(), busy_seconds()
    await instance.start()

    others = busy_seconds() - busy - seconds_of(instance)
    cores = os.cpu_count() or 1
    assert time.monotonic() - began - max(0, others) / cores < WARM_START_SECONDS
    assert said(instance.url, room) == ["before"]


async def test_an_instance_recovers_from_the_death_of_every_part(instance: Instance) -> None:
    await instance.start("--scale", "gateway=2", "--scale", "rooms=2", within=60)
    url = instance.url
    await say(url, "lobby", "before")

    for part in instance.status()["parts"]:
        os.kill(part["pid"], signal.SIGKILL)
    await eventually(lambda: None if instance.said.count("starts again in") >= 9 else instance.said)
    await instance.ready(within=60)

    await say(url, "lobby", "after")
    await eventually(
        lambda: None if said(url, "lobby") == ["after", "before"] else f"history: {said(url, 'lobby')}",
    )


def test_a_misspelt_variable_ends_up_before_anything_starts(instance: Instance) -> None:
    done = instance.up_again(GATEWAY_ROOM_CAPACITTY="3")

    assert done.returncode == 1
    assert done.stderr == "parley: GATEWAY_ROOM_CAPACITTY is not a setting: did you mean GATEWAY_ROOM_CAPACITY?\n"
    assert not instance.folder.exists()
