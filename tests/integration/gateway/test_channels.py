"""Who is let into a signaling channel of Kinesis Video Streams; rooms is played by the test."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, urlsplit

import msgspec
import pytest
import websockets
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from nats.aio.msg import Msg
from support.gate import Client, Gate

from parley.gateway.channels import QUESTION, STRICT_VIEWERS
from parley.protocol import requests as ask
from parley.protocol.channels import ChannelFound, ChannelSought
from parley.protocol.commands import Asked, Opened

ARN = "arn:aws:kinesisvideo:eu-west-1:123456789012:channel/demo/1700000000000"
ANA, BOB = ("AKIDANA", "ana's secret"), ("AKIDBOB", "bob's secret")
YAML = f"""
apps:
  shop: {{profile: kvs, strict: true, accessKeys: {{{ANA[0]}: "{ANA[1]}"}}}}
  other: {{profile: kvs, accessKeys: {{{BOB[0]}: "{BOB[1]}"}}}}
"""


class Rooms:
    """What rooms knows: one channel, of the app `shop`."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.asked: list[ChannelSought] = []
        self.viewers = 0

    async def answer(self, msg: Msg) -> None:
        sought = msgspec.json.decode(msg.data, type=ChannelSought)
        self.asked.append(sought)
        known = sought.app in {"shop", "kvs"} and sought.arn == ARN
        await msg.respond(msgspec.json.encode(ChannelFound(60, self.viewers) if known else None))


@pytest.fixture
async def rooms(nats_url: str, tmp_path: Path) -> AsyncIterator[Rooms]:
    file = tmp_path / "parley.yaml"
    file.write_text(YAML)
    async with Gate(nats_url, mode="production", token_secret="s" * 40, apps=str(file), origins=("*",)) as gate:
        rooms = Rooms(gate)
        await gate.bus.client.subscribe(QUESTION, cb=rooms.answer)
        await gate.bus.client.flush()
        yield rooms


def signed(
    gate: Gate, key: tuple[str, str] = ANA, *, path: str = "/", ago: int = 0, host: str = "", **query: str
) -> str:
    """Return the path that a client with this key asks for, signed so many seconds ago for 299 of them."""
    said = {"X-Amz-ChannelARN": ARN} | {name.replace("_", "-"): value for name, value in query.items()}
    pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in said.items())
    request = AWSRequest(method="GET", url=f"https://{host or gate.server.address}{path}?{pairs}")
    then = datetime.now(UTC) - timedelta(seconds=ago)
    with patch("botocore.auth.get_current_datetime", lambda **_: then.replace(tzinfo=None)):
        SigV4QueryAuth(Credentials(*key), "kinesisvideo", "eu-west-1", expires=299).add_auth(request)
    parts = urlsplit(request.url)
    return f"{parts.path}?{parts.query}"


async def refused(gate: Gate, path: str, **options: Any) -> tuple[int, str | None]:
    with pytest.raises(websockets.InvalidStatus) as refusal:
        await gate.socket(path, **options)
    response = refusal.value.response
    return response.status_code, response.headers.get("x-amzn-ErrorType")


async def test_a_signed_client_is_let_in_and_takes_its_address(rooms: Rooms) -> None:
    gate = rooms.gate

    await gate.socket(signed(gate, X_Amz_ClientId="viewer-1", mood="fine"))
    await gate.socket(signed(gate, path="/any/path"))

    opened = await gate.logged(Opened, 2)
    assert {(each.app, each.dialect, each.profile.user_id, each.subject) for each in opened} == {
        ("shop", "kvs", "viewer-1", None),
        ("shop", "kvs", None, None),
    }
    assert [each.profile.metadata for each in opened if each.profile.user_id] == [{"mood": "fine"}]
    asked = [each.request for each in await gate.logged(Asked, 4)]
    registered = {(request.box, request.name) for request in asked if isinstance(request, ask.Register)}
    assert registered == {(ARN, "viewer-1"), (ARN, "")}
    assert [request.room for request in asked if isinstance(request, ask.Join)] == [ARN, ARN]
    assert {(sought.app, sought.viewer) for sought in rooms.asked} == {("shop", "viewer-1"), ("shop", None)}


async def test_a_signature_that_is_not_good_is_a_403(rooms: Rooms) -> None:
    gate = rooms.gate
    good = signed(gate)

    for bad in (
        signed(gate, (ANA[0], "another")),
        signed(gate, ("AKIDNOBODY", "x")),
        good + "0",
        good.replace("demo", "other"),
        good + "&X-Amz-ClientId=viewer-1",
        signed(gate, ago=299 + 400),
        signed(gate, ago=-400),
        f"/?X-Amz-ChannelARN={quote(ARN)}",
    ):
        assert await refused(gate, bad) == (403, "AccessDeniedException")
    assert rooms.asked == []  # a stranger does not get to know which channels there are


async def test_a_clock_may_be_five_minutes_off(rooms: Rooms) -> None:
    await rooms.gate.socket(signed(rooms.gate, ago=299 + 200))
    await rooms.gate.socket(signed(rooms.gate, ago=-200))


async def test_a_signature_is_for_the_host_that_the_client_asked(rooms: Rooms) -> None:
    """Somebody else's server that is handed one cannot use it here; what a front door forwards is another thing."""
    gate = rooms.gate
    good = signed(gate)
    elsewhere = signed(gate, host="signaling.example")

    assert await refused(gate, elsewhere) == (403, "AccessDeniedException")
    await gate.socket(good)
    await gate.socket(elsewhere, additional_headers={"X-Forwarded-Host": "signaling.example"})


async def test_another_apps_channel_is_not_there(rooms: Rooms) -> None:
    assert await refused(rooms.gate, signed(rooms.gate, BOB)) == (404, "ResourceNotFoundException")
    assert [sought.app for sought in rooms.asked] == ["other"]


async def test_a_client_id_that_is_none_is_a_400(rooms: Rooms) -> None:
    for client in ("", "a b", "AWS_x", "x" * 257, "é"):
        answer = await refused(rooms.gate, signed(rooms.gate, X_Amz_ClientId=client))
        assert answer == (400, "InvalidArgumentException")
    await rooms.gate.socket(signed(rooms.gate, X_Amz_ClientId="x" * 256))


async def test_a_strict_app_has_ten_viewers_a_channel(rooms: Rooms) -> None:
    gate = rooms.gate
    rooms.viewers = STRICT_VIEWERS

    answer = await refused(gate, signed(gate, X_Amz_ClientId="viewer-11"))

    assert answer == (400, "ClientLimitExceededException")
    await gate.socket(signed(gate))  # it is no viewer


async def test_a_strict_apps_channel_lets_three_in_a_second(rooms: Rooms) -> None:
    gate = rooms.gate

    async def knock(n: int) -> tuple[int, str | None]:
        try:
            await gate.socket(signed(gate, X_Amz_ClientId=f"viewer-{n}"))
        except websockets.InvalidStatus as refusal:
            return refusal.response.status_code, refusal.response.headers.get("x-amzn-ErrorType")
        return 101, None

    answers = await asyncio.gather(*map(knock, range(20)))

    assert set(answers) == {(101, None), (400, "ClientLimitExceededException")}
    await gate.socket(signed(gate))  # a master is counted for itself


@pytest.mark.parametrize(("action", "pace"), [("SDP_OFFER", 5), ("SDP_ANSWER", 5), ("ICE_CANDIDATE", 20)])
async def test_a_strict_apps_client_sends_no_more_than_on_aws(rooms: Rooms, action: str, pace: int) -> None:
    gate = rooms.gate
    client = Client(await gate.socket(signed(gate)))
    count = 4 * pace  # many more than a second's worth, in much less

    for n in range(count):
        said = {"action": action, "messagePayload": "e30=", "recipientClientId": "v", "correlationId": f"c-{n}"}
        await client.say(said)

    refused = (await client.hear())["statusResponse"]
    assert refused["errorType"] == "ClientLimitExceededException"
    assert int(refused["correlationId"].removeprefix("c-")) >= pace


async def test_without_an_answer_of_rooms_clients_are_told_to_come_again(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        assert await refused(gate, f"/?X-Amz-ChannelARN={quote(ARN)}") == (503, None)


async def test_in_development_mode_no_signature_is_looked_at(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        rooms = Rooms(gate)
        await gate.bus.client.subscribe(QUESTION, cb=rooms.answer)
        await gate.bus.client.flush()

        await gate.socket(f"/?X-Amz-ChannelARN={quote(ARN)}")
        await gate.socket(signed(gate, ("ANY", "key")) + "0")

        assert [sought.app for sought in rooms.asked] == ["kvs", "kvs"]


async def test_a_gateway_that_ends_tells_its_clients_and_closes_who_stays(nats_url: str) -> None:
    gate = Gate(nats_url, drain_seconds=0.3)
    async with gate:
        rooms = Rooms(gate)
        await gate.bus.client.subscribe(QUESTION, cb=rooms.answer)
        await gate.bus.client.flush()
        client = Client(await gate.socket(f"/?X-Amz-ChannelARN={quote(ARN)}"))
        await gate.logged(Asked, 2)
        stays = client.socket
        gate._clients.pop_all()  # it does not listen to what it is told

    assert await client.hear() == {"messageType": "GO_AWAY"}
    assert await client.code() == 1012
    await stays.close()
