"""What PeerJS's clients ask over HTTP (protocols.md 7.1): Parley and PeerJS's own server answer alike."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest
from support.instance import Instance
from support.reference import Reference

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
ABOUT = (
    '{"name":"PeerJS Server","description":"A server side element to broker connections between PeerJS clients.",'
    '"website":"https://peerjs.com/"}'
)
ORIGIN = {"Origin": "https://page.example"}
PREFLIGHT = {**ORIGIN, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-more"}
ALLOWED = {"access-control-allow-origin": "https://page.example"}


class Exchange(NamedTuple):
    """A request, below the path of the app, and what it is answered."""

    method: str
    target: str
    says: dict[str, str]
    status: int
    body: str
    headers: dict[str, str]


EXCHANGES = [
    Exchange("GET", "peerjs/id?ts=1&version=1.5.5", {}, 200, UUID, {"content-type": "text/html; charset=utf-8"}),
    Exchange("GET", "peerjs/id", ORIGIN, 200, UUID, ALLOWED),
    Exchange("GET", "peerjs/id/", {"Origin": "null"}, 200, UUID, {"access-control-allow-origin": "null"}),
    Exchange("GET", "any%20key/id", {}, 200, UUID, {}),
    Exchange("HEAD", "peerjs/id", ORIGIN, 200, "", {"content-length": "36"}),
    Exchange("OPTIONS", "peerjs/id", PREFLIGHT, 204, "", {**ALLOWED, "access-control-allow-headers": "x-more"}),
    Exchange("GET", "peerjs/peers", ORIGIN, 401, "Unauthorized", {**ALLOWED, "content-length": "12"}),
    Exchange("GET", "", ORIGIN, 200, re.escape(ABOUT), {**ALLOWED, "content-type": "application/json; charset=utf-8"}),
    Exchange("POST", "peerjs/id", ORIGIN, 404, ".*", {}),
]  # fmt: skip
each = pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: f"{exchange.method} {exchange.target}")


async def check(url: str, exchange: Exchange) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.request(exchange.method, url + exchange.target, headers=exchange.says)

    assert answer.status_code == exchange.status
    assert re.fullmatch(exchange.body, answer.text, re.DOTALL)
    assert dict(answer.headers).items() >= exchange.headers.items()
    assert ("access-control-allow-origin" in answer.headers) <= ("Origin" in exchange.says)


@pytest.fixture(scope="module")
def reference() -> Iterator[Reference]:
    found = Reference("peerjs")
    yield found
    found.stop()


@each
async def test_parley(parley: Instance, exchange: Exchange) -> None:
    await check(f"{parley.url}/peerjs/", exchange)


@pytest.mark.conformance
@each
async def test_the_reference(reference: Reference, exchange: Exchange) -> None:
    await check(f"{await reference.url()}/", exchange)
