"""What RFC 6455 and the limits ask of an open socket."""

import asyncio
import contextlib
from typing import Any

import pytest
import websockets
from support.eventually import eventually
from support.sockets import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Desk, Raw

Sent = tuple[int, bytes, dict[str, Any]]


async def guest(desk: Desk, **limits: Any) -> Raw:
    raw = await (await desk.open(**limits)).raw()
    await raw.upgrade()
    return raw


async def test_text_arrives_whole_from_fragments_with_a_ping_between(desk: Desk) -> None:
    raw = await guest(desk)

    raw.frame(TEXT, "ä".encode()[:1], fin=False)
    raw.frame(PING, b"alive?")
    raw.frame(CONTINUATION, "ä".encode()[1:], fin=False)
    raw.frame(CONTINUATION, b"!")

    assert await raw.read_frame() == (PONG, b"alive?")
    await eventually(lambda: desk.guests[0].texts != ["ä!"])


@pytest.mark.parametrize(
    ("code", "frames"),
    [
        (1003, [(BINARY, b"\x00", {})]),
        (1007, [(TEXT, b"\xff", {})]),
        (1007, [(TEXT, b"\xed\xa0\x80", {})]),
        (1007, [(TEXT, b"\xc3", {"fin": False}), (CONTINUATION, b"x", {})]),
        (1009, [(TEXT, b"x" * 1001, {})]),
        (1009, [(TEXT, b"x" * 600, {"fin": False}), (CONTINUATION, b"x" * 600, {})]),
        (1009, [(TEXT, b"", {"fin": False}), *[(CONTINUATION, b"", {"fin": False})] * 100]),
        (1002, [(TEXT, b"x", {"masked": False})]),
        (1002, [(TEXT, b"x", {"rsv": 4})]),
        (1002, [(TEXT, b"x", {"rsv": 1})]),
        (1002, [(3, b"x", {})]),
        (1002, [(PING, b"x" * 126, {})]),
        (1002, [(PING, b"x", {"fin": False})]),
        (1002, [(CONTINUATION, b"x", {})]),
        (1002, [(TEXT, b"x", {"fin": False}), (TEXT, b"y", {})]),
        (1002, [(CLOSE, b"x", {})]),
        (1002, [(CLOSE, (1005).to_bytes(2), {})]),
        (1002, [(CLOSE, (1006).to_bytes(2), {})]),
        (1002, [(CLOSE, (0).to_bytes(2), {})]),
        (1002, [(CLOSE, (5000).to_bytes(2), {})]),
        (1007, [(CLOSE, (1000).to_bytes(2) + b"\xff", {})]),
    ],
)
async def test_a_violation_is_closed_with_its_code(
    desk: Desk, code: int, frames: list[tuple[int, bytes, dict[str, Any]]]
) -> None:
    raw = await guest(desk, message_bytes=1000)

    for opcode, payload, bits in frames:
        raw.frame(opcode, payload, **bits)

    assert await raw.close_code() == code
    await eventually(lambda: [end[0] for end in desk.guests[0].ends] != [code])
    assert desk.guests[0].texts == []


async def test_the_close_frame_is_not_overtaken_by_a_reset(desk: Desk) -> None:
    """A client in the middle of an oversize message still learns why."""
    client = await (await desk.open()).connect()

    with contextlib.suppress(websockets.ConnectionClosed):
        await client.send("x" * 3_000_000)
    await client.wait_closed()

    assert client.close_code == 1009


async def test_a_message_of_exactly_the_limit_passes(desk: Desk) -> None:
    client = await (await desk.open()).connect()

    await client.send("x" * 131_072)

    await eventually(lambda: [len(text) for text in desk.guests[0].texts] != [131_072])


async def test_the_client_says_goodbye_with_code_and_reason(desk: Desk) -> None:
    client = await (await desk.open()).connect()

    await client.close(4321, "Tschüß")

    await eventually(lambda: desk.guests[0].ends != [(4321, "Tschüß")])
    assert client.close_code == 4321


async def test_a_goodbye_without_a_code_is_1005(desk: Desk) -> None:
    raw = await guest(desk)

    raw.frame(CLOSE)

    assert await raw.close_code() == 1000
    assert await raw.reader.read() == b""
    assert desk.guests[0].ends == [(1005, "")]


async def test_a_broken_connection_is_1006(desk: Desk) -> None:
    raw = await guest(desk)

    raw.hang_up()

    await eventually(lambda: desk.guests[0].ends != [(1006, "")])


async def test_what_comes_after_our_close_frame_is_ignored(desk: Desk) -> None:
    raw = await guest(desk)
    socket = desk.guests[0].socket
    assert socket is not None

    socket.close(4503, "replaced")
    raw.frame(TEXT, b"too late")
    raw.frame(PING)
    raw.frame(CLOSE, (4503).to_bytes(2))
    socket.send(b"nor do we say more")

    assert await raw.read_frame() == (CLOSE, (4503).to_bytes(2) + b"replaced")
    assert await raw.reader.read() == b""
    assert desk.guests[0].texts == []
    assert desk.guests[0].ends == [(4503, "replaced")]


async def test_who_does_not_answer_a_goodbye_is_cut_off(desk: Desk) -> None:
    raw = await guest(desk, close_seconds=0.1, heartbeat_seconds=0.5)
    socket = desk.guests[0].socket
    assert socket is not None

    socket.close(1012)
    await raw.read_frame()

    assert await asyncio.wait_for(raw.reader.read(), 30) == b""
    assert desk.guests[0].ends == [(1012, "")]


async def test_who_does_not_hang_up_is_cut_off(desk: Desk) -> None:
    raw = await guest(desk, close_seconds=0.1, heartbeat_seconds=0.5)

    raw.frame(CLOSE, (1000).to_bytes(2))
    await raw.close_code()
    assert await raw.reader.read() == b""

    async def refused() -> str | None:
        try:
            raw.write(b"x" * 100_000)
            await raw.writer.drain()
        except ConnectionError:
            return None
        return "the connection still takes what is written"

    await eventually(refused)


async def test_silence_is_pinged_and_closed_after_two(desk: Desk) -> None:
    raw = await guest(desk, heartbeat_seconds=0.1)

    frames = [await raw.read_frame() for _ in range(3)]

    assert [opcode for opcode, _ in frames] == [PING, PING, CLOSE]
    assert int.from_bytes(frames[2][1][:2]) == 4009


@pytest.mark.parametrize("opcode", [PONG, PING, TEXT])
async def test_any_frame_is_a_sign_of_life(desk: Desk, opcode: int) -> None:
    raw = await guest(desk, heartbeat_seconds=0.1)

    pings = 0
    while pings < 6:
        if (await raw.read_frame())[0] == PING:
            pings += 1
            raw.frame(opcode, b"x")

    assert desk.guests[0].ends == []


async def test_a_slow_reader_is_closed_and_others_are_not(desk: Desk) -> None:
    raw = await guest(desk, outbound_bytes=100_000)
    other = await desk.connect()
    slow, quick = desk.guests[0].socket, desk.guests[1].socket
    assert slow is not None
    assert quick is not None

    for _ in range(2000):
        slow.send(b"x" * 10_000)
        if desk.guests[0].ends:
            break
    quick.send(b"hello")

    assert desk.guests[0].ends[0][0] == 4008
    assert await other.recv() == "hello"
    assert await asyncio.wait_for(raw.close_code(), 30) == 4008


async def test_a_slow_reader_that_never_reads_is_dropped(desk: Desk) -> None:
    await guest(desk, outbound_bytes=100_000, close_seconds=0.1, heartbeat_seconds=0.5)
    slow = desk.guests[0].socket
    assert slow is not None

    while not desk.guests[0].ends:
        slow.send(b"x" * 10_000)

    await eventually(lambda: slow._transport is not None)


async def test_pongs_that_nobody_reads_are_bounded_too(desk: Desk) -> None:
    raw = await guest(desk, outbound_bytes=100_000)

    with contextlib.suppress(ConnectionError):
        for _ in range(1000):
            for _ in range(1000):
                raw.frame(PING, b"x" * 125)
            await raw.writer.drain()
            if desk.guests[0].ends:
                break

    assert desk.guests[0].ends[0][0] == 4008


async def test_a_listener_with_a_bug_ends_its_own_connection_only(desk: Desk) -> None:
    client = await (await desk.open()).connect()
    other = await desk.connect()

    await client.send("break")
    await client.wait_closed()
    await other.send("fine")

    assert client.close_code == 1011
    await eventually(lambda: desk.guests[1].texts != ["fine"])


async def test_ten_thousand_frames_at_once_arrive_in_order(desk: Desk) -> None:
    raw = await guest(desk)

    for number in range(10_000):
        raw.frame(TEXT, b"%d" % number)
    await raw.writer.drain()

    await eventually(lambda: len(desk.guests[0].texts) != 10_000)
    assert desk.guests[0].texts == [str(number) for number in range(10_000)]


async def test_a_long_reason_is_shortened_to_what_a_close_frame_holds(desk: Desk) -> None:
    client = await (await desk.open()).connect()
    socket = desk.guests[0].socket
    assert socket is not None

    socket.close(4500, "ä" * 100)
    await client.wait_closed()

    assert client.close_reason == "ä" * 61
