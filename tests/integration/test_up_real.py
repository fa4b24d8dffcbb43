"""``parley up`` with the services themselves."""

import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psutil
import pytest
import pytest_asyncio
from support.eventually import eventually
from support.instance import REAL, Instance

from parley.client import connect

WARM_START_SECONDS = 8
ROOM = "a/b?c#d %2F ü"


@dataclass
class Restarted:
    """An instance in which somebody has said something, before it was stopped and started again."""

    instance: Instance
    warm_seconds: float
    """How long it took to get ready the second time, without what other processes took of the machine."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def restarted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Restarted]:
    instance = Instance(tmp_path_factory.mktemp("real") / "data", up=REAL)
    try:
        await instance.start()
        url = instance.url
        await say(url, ROOM, "before")
        await eventually(lambda: None if said(url, ROOM) == ["before"] else f"history has {said(url, ROOM)}")
        assert await instance.stop() == 0

        began, busy = time.monotonic(), busy_seconds()
        await instance.start()
        others = busy_seconds() - busy - seconds_of(instance)
        cores = os.cpu_count() or 1
        yield Restarted(instance, time.monotonic() - began - max(0, others) / cores)
    finally:
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


async def test_what_was_said_is_there_after_a_restart_which_takes_under_eight_seconds(restarted: Restarted) -> None:
    assert restarted.warm_seconds < WARM_START_SECONDS
    assert said(restarted.instance.url, ROOM) == ["before"]


async def test_an_instance_recovers_from_the_death_of_every_part(restarted: Restarted) -> None:
    instance = restarted.instance
    url, parts = instance.url, instance.status()["parts"]
    await say(url, "lobby", "before")

    for part in parts:
        os.kill(part["pid"], signal.SIGKILL)
    await eventually(lambda: None if instance.said.count("starts again in") >= len(parts) else instance.said)
    await instance.ready()

    await say(url, "lobby", "after")
    await eventually(lambda: None if said(url, "lobby") == ["after", "before"] else f"history: {said(url, 'lobby')}")


def test_a_misspelt_variable_ends_up_before_anything_starts(tmp_path: Path) -> None:
    instance = Instance(tmp_path / "data", up=REAL)

    done = instance.up_again(GATEWAY_ROOM_CAPACITTY="3")

    assert done.returncode == 1
    assert done.stderr == "parley: GATEWAY_ROOM_CAPACITTY is not a setting: did you mean GATEWAY_ROOM_CAPACITY?\n"
    assert not instance.folder.exists()
