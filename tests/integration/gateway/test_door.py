"""From the first byte to the answer of the handshake."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import websockets
from support.eventually import eventually
from support.sockets import CLOSE, PONG, TEXT, Desk, Notes, handshake
from support.sockets import frame as a_frame

from parley.gateway.door import Accept, Refuse
from parley.gateway.head import Request


async def test_a_browser_is_told_that_this_is_no_web_page(desk: Desk) -> None:
    raw = await (await desk.open()).raw()

    raw.write(b"GET / HTTP/1.1\r\nHost: gateway\r\nAccept: text/html\r\n\r\n")
    answer = await raw.reader.read()

    assert answer.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert b"WebSocket client" in answer


async def test_a_refusal_reaches_the_client_before_the_upgrade(desk: Desk) -> None:
    async def decide(_: Request) -> Refuse:
        return Refuse(403, "Not you.")

    await desk.open(decide)

    with pytest.raises(websockets.InvalidStatus) as refused:
        await desk.connect()

    assert refused.value.response.status_code == 403
    assert refused.value.response.body == b'{"message":"Not you."}\n'


async def test_the_chosen_subprotocol_is_answered(desk: Desk) -> None:
    async def decide(_: Request) -> Accept:
        return Accept(Notes(), "parley.v1")

    await desk.open(decide)

    assert (await desk.connect(subprotocols=["other", "parley.v1"])).subprotocol == "parley.v1"


async def test_no_extension_is_negotiated(desk: Desk) -> None:
    raw = await (await desk.open()).raw()

    answer = await raw.upgrade(Sec_WebSocket_Extensions="permessage-deflate")

    assert b"101" in answer.splitlines()[0]
    assert b"extensions" not in answer.lower()


async def test_a_decision_that_fails_refuses_one_client_only(desk: Desk) -> None:
    async def decide(request: Request) -> Accept:
        if request.path == "/bad":
            raise RuntimeError("A decision with a bug")
        return Accept(Notes())

    await desk.open(decide)
    raw = await desk.raw()
    raw.write(handshake("/bad"))

    assert (await raw.reader.read()).startswith(b"HTTP/1.1 500 ")
    assert await desk.connect()


async def test_a_head_that_comes_byte_by_byte_is_understood(desk: Desk) -> None:
    raw = await (await desk.open()).raw()

    for byte in handshake():
        raw.write(bytes([byte]))
        await raw.writer.drain()

    assert b"101" in await raw.reader.readuntil(b"\r\n\r\n")


async def test_what_was_said_too_early_is_heard_after_the_handshake(desk: Desk) -> None:
    raw = await (await desk.open()).raw()

    raw.write(handshake() + a_frame(TEXT, b"early") + a_frame(TEXT, b"x" * 5000))
    await raw.reader.readuntil(b"\r\n\r\n")

    await eventually(lambda: desk.guests[0].texts != ["early", "x" * 5000])


async def test_nothing_is_read_before_the_listener_says_so(desk: Desk) -> None:
    class Busy(Notes):
        def connected(self, socket: object) -> None:
            self.socket = socket  # type: ignore[assignment] # the same, and not started

    busy = Busy()

    async def decide(_: Request) -> Accept:
        return Accept(busy)

    client = await (await desk.open(decide)).connect()
    await client.send("wait")
    await asyncio.wait_for(_still(lambda: busy.texts == []), 1)

    assert busy.socket is not None
    busy.socket.start()

    await eventually(lambda: busy.texts != ["wait"])


async def _still(fact: Callable[[], bool]) -> None:
    for _ in range(20):
        await asyncio.sleep(0)
        assert fact()


async def test_an_endless_head_is_refused(desk: Desk) -> None:
    raw = await (await desk.open(head_bytes=2000)).raw()

    raw.write(handshake(X_Long="x" * 3000))

    assert (await raw.reader.read()).startswith(b"HTTP/1.1 431 ")


async def test_a_head_that_does_not_end_is_refused_in_time(desk: Desk) -> None:
    raw = await (await desk.open(handshake_seconds=0.1)).raw()

    raw.write(b"GET / HTTP/1.1\r\n")

    assert (await raw.reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_a_decision_that_takes_too_long_is_given_up(desk: Desk) -> None:
    async def decide(_: Request) -> Accept:
        await asyncio.Event().wait()
        raise AssertionError

    raw = await (await desk.open(decide, decision_seconds=0.1)).raw()

    raw.write(handshake())

    assert (await raw.reader.read()).startswith(b"HTTP/1.1 503 ")


async def test_a_stopped_server_lets_nobody_in_and_keeps_who_is_there(desk: Desk) -> None:
    client = await (await desk.open()).connect()
    half_way = await desk.raw()
    half_way.write(b"GET / HTTP/1.1\r\n")
    await half_way.writer.drain()

    desk.server.stop()

    with pytest.raises(OSError):  # noqa: PT011 - refused or reset, by when it arrives
        await desk.raw()
    await client.send("still here")
    await eventually(lambda: desk.guests[0].texts != ["still here"])
    pong: Awaitable[float] = await client.ping()
    await pong


async def test_opcodes_are_those_of_the_rfc() -> None:
    assert (TEXT, CLOSE, PONG) == (1, 8, 10)
