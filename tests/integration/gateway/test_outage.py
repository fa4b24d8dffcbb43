"""What clients notice when NATS is away."""

import pytest
import websockets
from support.eventually import eventually
from support.gate import Client, Gate

from parley.cli.embedded import Server
from parley.protocol.commands import Asked, Opened


async def until_refused(client: Client) -> None:
    """Send until the gateway takes nothing more for the log."""

    async def refused() -> str | None:
        await client.say({"action": "send", "room": "r", "data": 2})
        await client.say({"action": "ping"})
        while (answer := await client.hear())["type"] != "pong":
            if answer.get("code") == "degraded":
                assert answer["retryAfterMs"] > 0
                return None
        return "still taken"

    await eventually(refused)


async def test_what_is_sent_meanwhile_is_in_the_log_once_and_in_order(nats_server: Server) -> None:
    async with Gate(nats_server.url) as gate:
        client = await gate.client()
        await nats_server.kill()
        for number in range(100):
            await client.say({"action": "send", "room": "r", "data": number})
        await nats_server.start()

        asked = await gate.logged(Asked, 100)

        assert [bytes(command.request.data) for command in asked] == [b"%d" % number for number in range(100)]


async def test_clients_are_refused_once_too_much_waits_and_told_when_it_is_over(nats_server: Server) -> None:
    async with Gate(nats_server.url, buffer_seconds=1) as gate:
        client = await gate.client()
        await nats_server.kill()
        await client.say({"action": "send", "room": "r", "data": 1})
        await until_refused(client)
        assert "nats" in await gate.probes.missing()

        async def says(kind: str) -> bool:
            heard = (await client.hear())["type"]
            return bool(heard != kind)

        await eventually(lambda: says("degraded"))
        await nats_server.start()
        await eventually(lambda: says("restored"))

        await client.say({"action": "send", "room": "r", "data": 3})

        async def stored() -> bool:
            return bytes((await gate.commands(Asked))[-1].request.data) != b"3"

        await eventually(stored)
        await eventually(gate.unready)


async def test_nobody_new_comes_in_while_the_log_takes_nothing(nats_server: Server) -> None:
    async with Gate(nats_server.url, buffer_seconds=0.5) as gate:
        client = await gate.client()
        await nats_server.kill()
        await client.say({"action": "send", "room": "r", "data": 1})
        await until_refused(client)

        turned_away = Client(await gate.socket(subprotocols=["parley.v1"]))

        assert (await turned_away.hear())["code"] == "degraded"
        assert await turned_away.code() == 1012
        with pytest.raises(websockets.InvalidStatus) as refused:
            await gate.workshop()
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "2"
        await nats_server.start()
        assert len(await gate.logged(Opened)) == 1
