"""A gateway from socket to log and back, on a real NATS."""

import asyncio
import contextlib

import nats.js.errors
import pytest
import websockets
from msgspec import Raw
from support.eventually import eventually
from support.gate import Gate
from support.sockets import Raw as RawClient

from parley.protocol import subjects
from parley.protocol.commands import Asked, Closed, Opened, PresenceSet
from parley.protocol.requests import Join, Relay, Send
from parley.protocol.says import Close, Message


async def test_a_client_is_welcomed_once_the_log_knows_of_it(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        client = await gate.client("/any/path?deviceId=d1&conversationId=c1&token=&n=5&colour=r%20d")

        (opened,) = await gate.commands(Opened)
        assert client.welcome["app"] == "default"
        assert client.welcome["resumed"] is False
        assert client.welcome["heartbeatSeconds"] == 25
        assert opened.connection == client.id
        assert opened.profile.device_id == "d1"
        assert opened.profile.metadata == {"deviceId": "d1", "conversationId": "c1", "colour": "r d"}
        assert client.id.endswith("=")


async def test_what_a_client_asks_is_in_the_log_as_it_said_it(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        client = await gate.client("/?userId=ana")
        await client.say('{"action":"join","room":"räum>.*\\n😀","ref":"1"}')
        await client.say('{"action":"send","room":"r","data":{"a": 1.50}}')

        asked = await gate.logged(Asked, 2)
        join, send = sorted(asked, key=lambda command: type(command.request).__name__)

        assert join.request == Join(ref="1", room="räum>.*\n😀")
        assert join.profile.user_id == "ana"
        assert isinstance(send.request, Send)
        assert bytes(send.request.data) == b'{"a": 1.50}'


async def test_an_owner_speaks_to_each_dialect_in_its_words(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        ana, bob = await gate.client(), await gate.workshop()
        opened = await gate.logged(Opened, 2)
        other = next(command.connection for command in opened if command.connection != ana.id)

        await gate.tell(Message(room="r", from_="x", data=Raw(b'"hi"')), ana.id, other, "AAAAAAAAAAAAAAA=")

        heard = await ana.hear()
        assert heard.pop("n") >= 4096
        assert heard == {"type": "message", "room": "r", "from": "x", "data": "hi"}
        assert await asyncio.wait_for(bob.socket.recv(), 30) == "hi"


async def test_pong_says_how_far_deliveries_have_come(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        client = await gate.client()
        await client.say({"action": "ping"})
        before = (await client.hear())["n"]
        await gate.tell(Message(room="r", from_="x", data=Raw(b"1")), client.id)
        n = (await client.hear())["n"]
        await client.say({"action": "ping"})

        assert before < n == (await client.hear())["n"]


@pytest.mark.parametrize("code", [1000, 1001])
async def test_a_client_that_says_goodbye_is_gone_at_once(nats_url: str, code: int) -> None:
    async with Gate(nats_url) as gate:
        client = await gate.client()

        await client.socket.close(code)

        (closed,) = await gate.logged(Closed)
        assert (closed.connection, closed.reason, closed.code) == (client.id, "disconnected", code)


async def test_a_client_that_breaks_off_has_its_grace(nats_url: str) -> None:
    async with Gate(nats_url, grace_seconds=0.6) as gate:
        client = await gate.client()
        client.socket.transport.abort()
        await eventually(lambda: gate.server._heartbeat._count > 0)
        assert await gate.commands(Closed) == []

        (closed,) = await gate.logged(Closed)

        assert (closed.connection, closed.reason, closed.code) == (client.id, "expired", 1006)


async def test_a_dialect_that_cannot_resume_has_none(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        client = await gate.workshop()
        client.socket.transport.abort()

        (closed,) = await gate.logged(Closed)

        assert (closed.reason, closed.code) == ("disconnected", 1006)


async def test_who_is_replaced_is_closed_and_gone_at_once(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        client = await gate.client()

        await gate.tell(Close(session=1, code=4503, reason="replaced"), client.id)

        assert await client.code() == 4503
        (closed,) = await gate.logged(Closed)
        assert (closed.reason, closed.code) == ("replaced", 4503)


async def test_every_touched_partition_hears_of_the_end(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        client = await gate.client()
        for room in range(40):
            await client.say({"action": "join", "room": f"r{room}"})
        await client.say({"action": "presence", "availability": "busy"})
        await client.socket.close()

        assert len(await gate.logged(Closed, 16)) == len(await gate.logged(PresenceSet, 16)) == 16


async def test_ten_thousand_frames_at_once_are_all_in_the_log_in_order(nats_url: str) -> None:
    async with Gate(nats_url, frames_burst=20_000) as gate:
        flooder, other = await gate.workshop(), await gate.client()
        for number in range(10_000):
            await flooder.say(f'{{"action":"sendMsgToRoom","roomId":"r","message":{number}}}')
        await other.say({"action": "ping", "ref": "x"})

        assert (await other.hear())["ref"] == "x"
        asked = await gate.logged(Asked, 10_000)
        assert [command.request for command in asked] == [Relay(room="r", text=str(n)) for n in range(10_000)]


async def test_malformed_frames_are_answered_and_end_nothing(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        ana, bob = await gate.client(), await gate.workshop()
        for frame in ("", "{", "[]", "1", '{"action":1}', '{"action":"join"}', "[" * 100_000, '{"ref":"\\ud800"}'):
            await ana.say(frame)
            await bob.say(frame)

        assert {(await ana.hear())["type"] for _ in range(8)} == {"error"}
        assert {(await bob.hear())["message"] for _ in range(8)} == {"Forbidden"}
        await ana.say({"action": "ping", "ref": "still here"})
        assert (await ana.hear())["ref"] == "still here"


# limits: protocols.md section 0


async def test_a_message_above_128_kib_is_too_big(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        client = await gate.client()
        text = "x" * (131_072 - len('{"action":"send","room":"r","data":""}'))
        await client.say(f'{{"action":"send","room":"r","data":"{text}"}}')
        assert await gate.logged(Asked)

        await client.say(f'{{"action":"send","room":"r","data":"{text}x"}}')

        assert await client.code() == 1009


async def test_a_room_s_name_has_1_to_1024_bytes(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        client = await gate.client()
        for room in ("", "x" * 1025, "ä" * 513):
            await client.say({"action": "join", "room": room, "ref": "1"})
            assert (await client.hear())["code"] == "bad_request"

        await client.say({"action": "join", "room": "ä" * 512})

        assert await gate.logged(Asked)


async def test_metadata_has_4_kib(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        client = await gate.client(f"/?a={'x' * 4000}")
        await client.say({"action": "presence", "metadata": {"b": "x" * 200}, "ref": "1"})
        assert (await client.hear())["code"] == "too_large"

        with pytest.raises(websockets.InvalidStatus) as refused:
            await gate.workshop(f"/?a={'x' * 4200}")

        assert refused.value.response.status_code == 400


async def test_a_hundred_rooms_are_enough(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        client = await gate.client()
        for room in range(101):
            await client.say({"action": "join", "room": f"r{room}", "ref": str(room)})

        answer = await client.hear()

        assert (answer["ref"], answer["code"]) == ("100", "not_allowed")


async def test_above_the_rate_frames_are_refused_and_a_lasting_flood_ends_it(nats_url: str) -> None:
    async with Gate(nats_url, frames_per_second=50, frames_burst=100, flood_seconds=0.5) as gate:
        client = await gate.client()
        answers = []
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                for _ in range(10):
                    await client.say({"action": "ping"})
                answers += [await client.hear() for _ in range(10)]

        assert await client.code() == 4029
        refused = [answer for answer in answers if answer["type"] == "error"]
        assert refused[0]["code"] == "rate_limited"
        assert refused[0]["retryAfterMs"]
        assert 100 <= len(answers) - len(refused) < 300


async def test_who_does_not_read_is_closed_and_others_hear_all(nats_url: str) -> None:
    async with Gate(nats_url, max_outbound_bytes=200_000) as gate:
        raw = await RawClient.connect(gate.server.port)
        await raw.upgrade(Sec_WebSocket_Protocol="parley.v1")
        other = await gate.client()
        opened = await gate.logged(Opened, 2)
        slow = next(command.connection for command in opened if command.connection != other.id)

        for _ in range(120):
            await gate.tell(Message(room="r", from_="x", data=Raw(b'"%b"' % (b"x" * 100_000))), slow, other.id)
            await other.hear()

        assert await asyncio.wait_for(raw.close_code(), 30) == 4008
        raw.hang_up()


# the gateway's own life


async def test_the_lease_lasts_as_long_as_the_gateway(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        bucket = await gate.bus.js.key_value(subjects.LEASES)
        first = (await bucket.get(gate.name)).revision

        async def renewed() -> bool:
            return (await bucket.get(gate.name)).revision == first

        await eventually(renewed)

    async with Gate(nats_url) as later:
        later.name = "another"
        bucket = await later.bus.js.key_value(subjects.LEASES)
        assert await bucket.get("gate")


async def test_a_stopping_gateway_sends_clients_elsewhere_and_tells_the_log_of_those_who_cannot_go(
    nats_url: str,
) -> None:
    gate = Gate(nats_url, drain_seconds=0.3)
    await gate.__aenter__()
    client, page = await gate.client(), await gate.workshop()
    await gate.logged(Opened, 2)

    await gate._exits.aclose()

    goodbye = await client.hear()
    assert (goodbye["type"], goodbye["deadlineMs"]) == ("goAway", 300)
    assert 0 <= goodbye["reconnectAfterMs"] < 300
    assert (await client.code(), await page.code()) == (1012, 1012)
    async with Gate(nats_url) as later:
        assert [(end.reason, end.connection != client.id) for end in await later.commands(Closed)] == [
            ("disconnected", True)
        ]
        bucket = await later.bus.js.key_value(subjects.LEASES)
        await bucket.delete("gate")
        with pytest.raises(nats.js.errors.KeyNotFoundError):
            await bucket.get("gate")
