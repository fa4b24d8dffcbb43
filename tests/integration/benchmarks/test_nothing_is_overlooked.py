"""A run is worth nothing when messages are lost, so each way of losing one fails it."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import repeat

import psutil
import pytest
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from benchmarks import works
from benchmarks.systems import System
from benchmarks.wires import Bare, Wrong

Fate = Callable[[int, bytes], Sequence[bytes]]
"""Given the number of a frame and the frame, returns what the server writes back."""


class Server(WSListener):
    """The bare loop, but for some frames."""

    def __init__(self, fate: Fate) -> None:
        self._fate = fate
        self._count = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, b"hello")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.TEXT:
            return
        self._count += 1
        for text in self._fate(self._count, frame.get_payload_as_bytes()):
            transport.send(WSMsgType.TEXT, text)


@asynccontextmanager
async def serving(fate: Fate) -> AsyncIterator[System]:
    def listener(_request: WSUpgradeRequest) -> Server:
        return Server(fate)

    server = await ws_create_server(listener, "127.0.0.1", 0)
    async with server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield System("bare loop", Bare(), address, {"test": psutil.Process()}, repeat(""))


async def round_of(work: works.Work, fate: Fate) -> works.Figures:
    async with serving(fate) as system, work(system) as go:
        return await go(0.05)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(works, "STRAGGLERS", 0.3)
    monkeypatch.setattr(works, "WARM_UP", 0.05)


WORKS = [
    pytest.param(partial(works.direct_latency, pairs=2), id="latency"),
    pytest.param(partial(works.ping_pong, pairs=2), id="ping-pong"),
]


@pytest.mark.parametrize("work", WORKS)
async def test_an_honest_server_is_measured(work: works.Work) -> None:
    figures = await round_of(work, lambda _, text: [text])

    assert figures["messages"] > 0


@pytest.mark.parametrize("work", WORKS)
async def test_a_lost_message_fails_the_run(work: works.Work) -> None:
    with pytest.raises(Wrong, match=r"were lost|was to come"):
        await round_of(work, lambda number, text: [] if number == 5 else [text])


@pytest.mark.parametrize("work", WORKS)
async def test_a_message_that_comes_twice_fails_the_run(work: works.Work) -> None:
    with pytest.raises(Wrong, match="was to come"):
        await round_of(work, lambda number, text: [text, text] if number == 5 else [text])


@pytest.mark.parametrize("work", WORKS)
async def test_what_was_not_asked_for_fails_the_run(work: works.Work) -> None:
    with pytest.raises(Wrong, match="The bare loop said"):
        await round_of(work, lambda number, text: [b"sorry"] if number == 5 else [text])
