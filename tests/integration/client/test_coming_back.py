"""The Python client with two real gateways, one of which is killed, drained or left behind while everybody speaks."""

import asyncio
import os
import signal
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from support.eventually import eventually
from support.instance import REAL, Instance

from parley.client import Client, connect

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]

GRACE_SECONDS = 3
WINDOW = 128
"""Frames that rooms keeps for those who come back."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Instance]:
    """Give a Parley with two gateways, which forget a lost client sooner than by default."""
    folder = tmp_path_factory.mktemp("back") / "data"
    instance = Instance(folder, up=REAL, GATEWAY_GRACE_SECONDS=str(GRACE_SECONDS))
    await instance.start("--scale", "gateway=2")
    yield instance
    found = await asyncio.to_thread(instance.parley, "doctor", "--patience", "20")
    await instance.stop()
    assert found.returncode == 0, found.stdout  # nothing is left over


@pytest.fixture
def room() -> str:
    return uuid4().hex


class Talker:
    """Somebody who counts aloud, in every way there is, and writes down what the others say."""

    def __init__(self, client: Client, room: str) -> None:
        self.id = client.connection_id
        self.said = 0
        self.told: set[str] = set()
        """The types of other frames that came before the end."""
        self.heard: dict[tuple[str, str], list[int]] = defaultdict(list)
        """Numbers by how and from whom they came."""
        self._client = client
        self._room = room
        self._over = False

    def cut(self) -> None:
        self._client.abort()

    def end(self) -> None:
        """From here on others leave."""
        self._over = True

    async def listen(self) -> None:
        async for frame in self._client:
            got: Any = frame
            if got["type"] == "chat":
                self.heard["chat", got["from"]].append(int(got["text"]))
            elif got["type"] in ("message", "signal"):
                self.heard[got["type"], got["from"]].append(got["data"])
            elif not self._over:
                self.told.add(got["type"])

    async def count(self, others: list["Talker"], until: asyncio.Event) -> None:
        """Speak until told to stop; each request is answered, whatever becomes of its socket."""
        while not until.is_set():
            number, self.said = self.said, self.said + 1
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._client.chat(self._room, str(number), id=f"{self.id} {number}"))
                tasks.create_task(self._client.send(self._room, number))
                for other in others:
                    tasks.create_task(self._client.signal(other.id, number))


async def converse(url: str, room: str, trouble: Any) -> list[Talker]:
    """Let six clients speak while there is *trouble*; return them once everything said was heard."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(url)) for _ in range(6)]
        talkers = [Talker(client, room) for client in clients]
        for client in clients:
            await client.join(room)
        listening = [asyncio.create_task(talker.listen()) for talker in talkers]
        enough = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for talker in talkers:
                others = [other for other in talkers if other is not talker]
                tasks.create_task(talker.count(others, enough))
            await trouble(talkers)
            enough.set()

        def missing() -> list[str]:
            return [
                f"{listener.id} has heard {len(listener.heard[how, talker.id])} of {talker.said} by {how}"
                for listener in talkers
                for talker in talkers
                for how in ("chat", "message", "signal")
                if (talker is not listener or how == "chat") and len(listener.heard[how, talker.id]) < talker.said
            ]

        await eventually(missing)
        assert [client.connection_id for client in clients] == [talker.id for talker in talkers]
        for talker in talkers:
            talker.end()
    await asyncio.gather(*listening)
    return talkers


def nothing_lost_doubled_or_reordered(talkers: list[Talker]) -> None:
    for listener in talkers:
        for talker in talkers:
            everything = list(range(talker.said))
            assert listener.heard["chat", talker.id] == everything
            if listener is not talker:
                assert listener.heard["message", talker.id] == everything
                assert listener.heard["signal", talker.id] == everything


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_the_end_of_either_gateway_loses_doubles_and_reorders_nothing(
    two: Instance, room: str, end: signal.Signals
) -> None:
    async def trouble(talkers: list[Talker]) -> None:
        for replica in (0, 1):
            heard = talkers[0].said
            await eventually(lambda heard=heard: None if talkers[0].said > heard + 5 else "nobody speaks")  # type: ignore[misc] # mypy cannot type a default
            pid = two.part("gateway", replica)["pid"]
            os.kill(pid, end)

            def back(replica: int = replica, pid: int = pid) -> str | None:
                part = two.part("gateway", replica)
                return None if part["ready"] and part["pid"] != pid else f"not back: {part['status']}"

            await eventually(back)
        heard = talkers[0].said
        await eventually(lambda: None if talkers[0].said > heard + 5 else "nobody speaks any more")

    talkers = await converse(two.url, room, trouble)

    nothing_lost_doubled_or_reordered(talkers)
    told = {kind for talker in talkers for kind in talker.told} - {"member.joined"}
    assert told <= {"goAway", "degraded", "restored"}
    if end is signal.SIGTERM:
        assert "goAway" in told


async def test_sockets_that_break_again_and_again_lose_double_and_reorder_nothing(two: Instance, room: str) -> None:
    async def trouble(talkers: list[Talker]) -> None:
        for talker in talkers * 5:
            said = talkers[0].said
            talker.cut()
            await eventually(lambda said=said: None if talkers[0].said > said else "nobody speaks")  # type: ignore[misc] # as above

    talkers = await converse(two.url, room, trouble)

    nothing_lost_doubled_or_reordered(talkers)


@pytest.mark.parametrize("count", [20, 2 * WINDOW])
async def test_who_was_away_for_too_long_still_gets_all_chat_in_order(two: Instance, room: str, count: int) -> None:
    """Within the window of rooms it comes with the join, beyond it from history."""
    async with connect(two.url) as ana, connect(two.url) as bob:
        await ana.join(room, metadata={"name": "Ana"})
        before = await bob.join(room)
        id_, address = ana.connection_id, ana._door.url
        ana._door.url = "http://127.0.0.1:1"
        ana.abort()
        while (left := await bob.receive())["type"] != "member.left":
            pass
        for number in range(count):
            await bob.chat(room, str(number))
        ana._door.url = address

        frames: list[Any] = []
        while len(texts := [frame["text"] for frame in frames if frame["type"] == "chat"]) < count:
            frames.append(await ana.receive())
        await bob.chat(room, "now")
        frames.append(await ana.receive())
        back: Any = await _until(bob, "member.joined")

        assert (left["connectionId"], left["reason"]) == (id_, "expired")
        assert texts == [str(number) for number in range(count)]
        assert frames[-1]["text"] == "now"
        kinds = [frame["type"] for frame in frames if frame["type"] not in ("chat", "member.joined", "member.left")]
        assert kinds == (["renewed", "rejoined"] if count < WINDOW else ["renewed", "rejoined", "gap"])
        assert all(frame["filled"] for frame in frames if frame["type"] == "gap")
        assert (ana.resumed, ana.connection_id == id_) == (False, False)
        assert (back["member"]["connectionId"], back["member"]["metadata"]) == (ana.connection_id, {"name": "Ana"})
        assert ana.rooms[room]["epoch"] == before["epoch"]


async def _until(client: Client, kind: str) -> Any:
    while (frame := await client.receive())["type"] != kind:
        pass
    return frame
