"""wscat, unmodified, as the articles about API Gateway use it."""

from uuid import uuid4

import pytest
from support.instance import Instance
from support.wscat import wscat

pytestmark = pytest.mark.timeout(120)

CONNECTED = r"Connected \(press CTRL\+C to quit\)"


@pytest.fixture
def url(parley: Instance) -> str:
    return parley.url.replace("http", "ws", 1)


@pytest.mark.parametrize("path", ["/workshop", "/workshop/production", "/production", "/"])
async def test_the_workshop_s_check(url: str, path: str) -> None:
    room = uuid4().hex
    join = f'{{"action":"joinRoom","roomId":"{room}"}}'
    async with wscat("-c", url + path) as ana, wscat("-c", url + path) as bob:
        await ana.prints(CONNECTED)
        ana.types(join)
        ana.types('{"action":"ready?"}')
        await ana.prints(r'< {"message":"Forbidden","connectionId":".*=","requestId":".*"}')
        await bob.prints(CONNECTED)
        bob.types(join)
        await ana.prints(r'< {"type":"newParticipant","participantConnectionId":".*="}')

        ana.types(f'{{"action":"sendMsgToRoom","roomId":"{room}","message":"hello world!"}}')
        await bob.prints("< hello world!")
        bob.types(f'{{"action":"sendMsgToRoom","roomId":"{room}","message":"hello yourself"}}')
        await ana.prints("< hello yourself")

        assert "< " not in ana.printed + bob.printed


async def test_a_refused_handshake_shows_its_status(url: str) -> None:
    async with wscat("-c", f"{url}/yown") as ana:
        await ana.prints("error: Unexpected server response: 500")
    async with wscat("-c", f"{url}/no/such/app") as ana:
        await ana.prints("error: Unexpected server response: 404")


async def test_pings_are_answered_and_closes_returned(url: str) -> None:
    async with wscat("--slash", "--show-ping-pong", "-c", f"{url}/workshop/production") as ana:
        await ana.prints(CONNECTED)
        ana.types("/ping are-you-there")
        await ana.prints(r'< Received pong \(data: "are-you-there"\)')
        ana.types("/close 1000 bye")
        await ana.prints(r'Disconnected \(code: 1000, reason: ".*"\)')
