"""PeerJS's and y-webrtc's apps of parley.yaml, in production: at any path, with their own keys, tokens in the URL."""

import json
import re
import time
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio
from support.instance import REAL, Instance
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from parley.kit import tokens

SECRET = "the secret of a test, 32 bytes long, or longer"
YAML = """
apps:
  default: {profile: peerjs}
  calls: {profile: peerjs, key: ours, paths: [/my/calls]}
  docs: {profile: y-webrtc, paths: [/docs/signaling]}
"""
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

pytestmark = pytest.mark.timeout(120)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def declared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Give the front door of an instance with these apps."""
    folder = tmp_path_factory.mktemp("declared")
    (folder / "parley.yaml").write_text(YAML)
    instance = Instance(
        folder / "data",
        up=REAL,
        PARLEY_MODE="production",
        PARLEY_TOKEN_SECRET=SECRET,
        PARLEY_APPS=str(folder / "parley.yaml"),
    )
    await instance.start()
    yield instance.url
    await instance.stop()


async def come(url: str, path: str, **query: str) -> ClientConnection:
    return await connect(f"{url.replace('http', 'ws', 1)}{path}?{urlencode(query)}", proxy=None)


async def says(socket: ClientConnection, **frame: object) -> None:
    await socket.send(json.dumps(frame))


def token(app: str = "docs", topics: str = "team-*") -> str:
    expires = time.time() + 600
    return tokens.mint(SECRET, expires_at=expires, subject="ana", app=app, grants=[], rooms={topics: ["join", "send"]})


@pytest.mark.parametrize("bad", ["", "rubbish", token(app="calls")])
async def test_documents_are_nobody_s_without_a_token(declared: str, bad: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await come(declared, "/docs/signaling", token=bad)

    assert refused.value.response.status_code == 401


async def test_a_token_in_the_signaling_url_says_which_documents(declared: str) -> None:
    async with await come(declared, "/docs/signaling", token=token()) as socket:
        await says(socket, type="subscribe", topics=["secret"])
        await says(socket, type="subscribe", topics=["team-a"])
        await says(socket, type="publish", topic="secret", data=1)
        await says(socket, type="publish", topic="team-a", data=2)

        heard = json.loads(await socket.recv())

    assert heard == {"type": "publish", "topic": "team-a", "data": 2, "clients": 1}


@pytest.mark.parametrize(("path", "key"), [("/", "peerjs"), ("/my/calls/", "ours")])
async def test_a_peer_finds_its_app_wherever_it_is(declared: str, path: str, key: str) -> None:
    """As the client does it: `path` is what its options say, and a slash at its end."""
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{declared}{path}{key}/id", params={"ts": "1", "version": "1.5.5"})
    assert UUID.fullmatch(answer.text)

    async with await come(declared, f"{path}peerjs", key=key, id=answer.text, token="t", version="1.5.5") as peer:
        assert json.loads(await peer.recv()) == {"type": "OPEN"}


async def test_peers_of_two_apps_do_not_know_each_other(declared: str) -> None:
    async with (
        await come(declared, "/peerjs", key="peerjs", id="same", token="t") as one,
        await come(declared, "/my/calls/peerjs", key="ours", id="same", token="u") as other,
    ):
        assert json.loads(await one.recv()) == json.loads(await other.recv()) == {"type": "OPEN"}

        await says(other, type="OFFER", dst="same")

        assert json.loads(await other.recv()) == {"type": "OFFER", "src": "same", "dst": "same"}


async def test_each_app_has_its_own_key(declared: str) -> None:
    async with await come(declared, "/my/calls/peerjs", key="peerjs", id="a", token="t") as peer:
        assert json.loads(await peer.recv()) == {"type": "ERROR", "payload": {"msg": "Invalid key provided"}}
