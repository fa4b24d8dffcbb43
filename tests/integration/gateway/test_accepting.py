"""Thousands who knock at once are let in together, and nobody is when there is no room."""

import asyncio
import os
import resource
import socket
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from support.eventually import eventually
from support.sockets import Desk, handshake

from parley.gateway import accepting

KNOCKING = 200


@pytest.fixture
def knocking() -> Iterator[list[socket.socket]]:
    """Keep sockets that knock, without the loop of the gateway."""
    sockets: list[socket.socket] = []
    yield sockets
    for each in sockets:
        each.close()


async def test_a_busy_gateway_lets_all_in_who_have_knocked(desk: Desk, knocking: list[socket.socket]) -> None:
    """Each turn of its loop may be long, so there must not be one for every client."""
    await desk.open()
    address = (desk.server.host, desk.server.port)
    for _ in range(KNOCKING):
        knocking.append(socket.create_connection(address))
        knocking[-1].sendall(handshake())

    turns = 0
    while len(desk.guests) < KNOCKING:
        turns += 1
        assert turns < KNOCKING / 4
        await asyncio.sleep(0)


async def test_who_finds_no_room_is_let_in_later(
    desk: Desk, knocking: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "PAUSE_SECONDS", 0.05)
    await desk.open()
    knocking.append(socket.create_connection((desk.server.host, desk.server.port)))
    knocking[-1].sendall(handshake())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = os.dup(0)
    os.close(room)

    with capture_logs() as logs:
        resource.setrlimit(resource.RLIMIT_NOFILE, (room, hard))
        try:
            await eventually(lambda: not logs)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert logs[0]["event"] == "Nobody can be let in for the moment."
    assert not desk.guests

    await eventually(lambda: not desk.guests)


async def test_nobody_is_let_in_after_the_end(desk: Desk, knocking: list[socket.socket]) -> None:
    await desk.open()
    address = (desk.server.host, desk.server.port)
    knocking.append(socket.create_connection(address))

    desk.server.stop()

    with pytest.raises(ConnectionRefusedError):
        knocking.append(socket.create_connection(address))
