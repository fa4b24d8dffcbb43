"""Keys that an issuer serves: fetched when they are needed, and kept while the issuer is away."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from jwt.algorithms import OKPAlgorithm

from parley.kit.tokens import Tokens
from parley.protocol.codes import Refusal

KEY = ed25519.Ed25519PrivateKey.generate()


class Issuer:
    """An HTTP server that answers everything with one body."""

    def __init__(self) -> None:
        self.body = b""
        self.asked = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        writer.write(b"HTTP/1.0 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(self.body), self.body))
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    issuer.body = json.dumps({"keys": [OKPAlgorithm.to_jwk(KEY.public_key(), as_dict=True) | {"kid": "k"}]}).encode()
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    issuer.url = f"http://{host}:{port}/jwks.json"
    yield issuer
    server.close()
    await server.wait_closed()


def token() -> str:
    claims = {"sub": "ana", "exp": time.time() + 60}
    return jwt.encode(claims, KEY, "EdDSA", {"kid": "k"})


async def code(asked: Callable[[], Awaitable[object]]) -> str:
    with pytest.raises(Refusal) as refusal:
        await asked()
    return refusal.value.code


async def test_keys_are_fetched_once_for_many_who_ask_at_once(issuer: Issuer) -> None:
    tokens = Tokens(jwks=issuer.url)

    identities = await asyncio.gather(*(tokens.identify(token()) for _ in range(20)))

    assert {identity.subject for identity in identities} == {"ana"}
    assert issuer.asked == 1


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"keys": 1}', b'{"keys": ' + b"[" * 100_000, b" " * (2 << 20)]
)
async def test_an_issuer_that_talks_nonsense_is_waited_for(issuer: Issuer, body: bytes) -> None:
    issuer.body = body
    tokens = Tokens(jwks=issuer.url)

    assert await code(lambda: tokens.identify(token())) == "degraded"
    assert "cannot be read" in str(await tokens.missing())


async def test_an_issuer_that_is_away_is_waited_for() -> None:
    tokens = Tokens(jwks="http://127.0.0.1:9/jwks.json")

    assert await code(lambda: tokens.identify(token())) == "degraded"
