"""The management API with owners on paper: who may ask, how one may ask, and how refusals are called."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx
import jwt
import msgspec
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from nats.aio.msg import Msg
from support.aws import KEY, SDKS, SECRET, Sdk, call, javascript_v2
from support.eventually import eventually

from parley.cli.embedded import Server
from parley.gateway import management as m
from parley.gateway import quotas as q
from parley.gateway.origins import Origins
from parley.gateway.quotas import Quotas
from parley.gateway.sites import dispatch
from parley.gateway.websocket import Limits
from parley.kit.ask import asking
from parley.kit.bus import Bus, nats_bus
from parley.kit.flow import Rate
from parley.kit.http import http
from parley.kit.tokens import Tokens
from parley.protocol import subjects
from parley.protocol.apps import App, Apps
from parley.protocol.commands import AnyCommand, Batch, PostToConnection
from parley.protocol.ids import connection_id

PARTITIONS = 4


def id_of(number: int) -> str:
    """Return an id whose text has all that ids can have: letters, - and _, and the = at its end."""
    return connection_id(2, b"\xfb\xff\xbf\xfb\xff\xbf\xfb\xff" + bytes([number]))


ANA, GONE, BUSY, SILENT = (id_of(number) for number in range(4))

TOKEN_SECRET = "a secret that is long enough for HS256"
BANK_KEY, BANK_SECRET = "AKIDBANK", "another secret"
APPS = Apps(
    {
        "shop": App(paths=("/shop",), access_keys={KEY: SECRET}),
        "bank": App(paths=("/bank",), access_keys={BANK_KEY: BANK_SECRET}),
        "open": App(paths=("/open",)),
        "small": App(paths=("/small",), strict=True),
    }
)


@pytest.fixture
async def bus(nats_url: str) -> AsyncIterator[Bus]:
    async with nats_bus(nats_url, "test") as bus:
        yield bus


@pytest.fixture
async def heard(bus: Bus) -> list[AnyCommand]:
    """Answer as owners do, and give what they were asked."""
    heard: list[AnyCommand] = []
    answers = {
        GONE: {"code": "gone", "message": "It is over."},
        BUSY: {"code": "rate_limited", "message": "Not so fast."},
    }

    async def reduce(msg: Msg) -> None:
        for event in msgspec.json.decode(msg.data, type=Batch).events:
            command: Any = event.data
            heard.append(command)
            if command.connection != SILENT:
                await bus.say(command.reply, msgspec.json.encode(answers.get(command.connection, {"ok": True})))

    await bus.client.subscribe(subjects.ALL_INGRESS, cb=reduce)
    await bus.client.flush()
    return heard


@asynccontextmanager
async def served(bus: Bus, *, development: bool, now: Callable[[], float] = time.time) -> AsyncIterator[str]:
    tokens = Tokens(secret=TOKEN_SECRET, development=development)
    origins = Origins((), development=development)
    async with asking(bus, "gateway", PARTITIONS, patience=0.5) as ask:
        quotas = Quotas(APPS, Limits(), now)
        site = m.management(bus, ask, tokens, APPS, origins, quotas, development=development, now=now)
        async with http(dispatch(site), "127.0.0.1", 0) as address:
            yield f"http://{address}"


@pytest.fixture
async def production(bus: Bus) -> AsyncIterator[str]:
    async with served(bus, development=False) as url:
        yield url


@pytest.fixture
async def development(bus: Bus) -> AsyncIterator[str]:
    async with served(bus, development=True) as url:
        yield url


def token(**claims: Any) -> str:
    return jwt.encode({"app": "open", "exp": time.time() + 600, "admin": True, **claims}, TOKEN_SECRET, "HS256")


def bearer(**claims: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {token(**claims)}"}


def signed(url: str, body: bytes = b"", key: str = KEY, secret: str = SECRET, **headers: str) -> dict[str, str]:
    """Return the headers that boto3 would send with a POST."""
    request = AWSRequest(method="POST", url=url, data=body, headers=headers)
    SigV4Auth(Credentials(key, secret), "execute-api", "eu-central-1").add_auth(request)
    return dict(request.headers.items())


async def post(url: str, body: bytes = b"hi", headers: Mapping[str, str] | None = None) -> httpx.Response:
    async with httpx.AsyncClient(timeout=10) as client:
        return await client.post(url, content=body, headers=headers)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.headers["x-amzn-errortype"]


FORBIDDEN = (403, "ForbiddenException")
UNSIGNED = (403, "MissingAuthenticationTokenException")


SPELLINGS = [
    "/@connections/{}", "/@connections/{}/", "/%40connections/{}", "/prod/@connections/{}", "/prod/%40connections/{}/",
    "/prod//@connections/{}", "/open/@connections/{}", "/open/prod/@connections/{}", "/open/prod/%40connections/{}",
]  # fmt: skip


async def test_a_path_may_be_spelt_as_sdks_and_people_do(development: str, heard: list[AnyCommand]) -> None:
    for spelling in SPELLINGS:
        for id_ in (ANA, ANA.replace("=", "%3D"), ANA.replace("=", "%3d")):
            answer = await post(development + spelling.format(id_))

            assert (answer.status_code, answer.content) == (200, b""), spelling
            command = heard.pop()
            assert isinstance(command, PostToConnection)
            assert (command.app, command.connection) == ("open" if "open" in spelling else "default", ANA)


async def test_the_query_names_an_app_where_the_path_does_not(development: str, heard: list[AnyCommand]) -> None:
    await post(f"{development}/prod/@connections/{ANA}?app=chosen")
    await post(f"{development}/open/@connections/{ANA}?app=chosen")

    assert [command.app for command in heard] == ["chosen", "open"]


async def test_another_path_is_nothing(development: str) -> None:
    for path in ("/", "/@connections", "/@connections/", "/@connections/a/b", "/connections/a"):
        answer = await post(development + path)

        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path


JUNK = ["nonsense", "..%2F", "%00", "%ff", "%F0%9F%8E%A5", "a%2Fb%2Bc%40d%20e", "A" * 4000, quote("é="),
        connection_id(PARTITIONS, b"123456789")]  # fmt: skip


async def test_what_is_no_id_of_this_installation_is_gone(development: str) -> None:
    async with httpx.AsyncClient() as client:
        for id_ in JUNK:
            for method in m.METHODS:
                answer = await client.request(method, f"{development}/prod/@connections/{id_}")

                assert (*refusal(answer), answer.content) == (410, "GoneException", b""), id_


async def test_another_method_is_refused(development: str) -> None:
    async with httpx.AsyncClient() as client:
        for method in ("PUT", "PATCH", "OPTIONS"):
            answer = await client.request(method, f"{development}/prod/@connections/{ANA}")

            assert refusal(answer) == (405, "MethodNotAllowedException")
            assert answer.headers["allow"] == "GET, POST, DELETE"


async def test_what_is_posted_is_text_to_the_letter(development: str, heard: list[AnyCommand]) -> None:
    texts = ["hi", '{"a": 1.0}', "\0\u2028\x7f", "🎉\n", " ", "é" * 65_536, "x" * 131_072, '"\\' * 60_000]
    for text in texts:
        answer = await post(f"{development}/prod/@connections/{ANA}", text.encode())

        assert answer.status_code == 200

    assert [json.loads(command.data) for command in heard if isinstance(command, PostToConnection)] == texts


async def test_text_that_has_to_be_escaped_beyond_measure_is_too_large(
    development: str, heard: list[AnyCommand]
) -> None:
    answer = await post(f"{development}/prod/@connections/{ANA}", b"\0" * 131_072)

    assert refusal(answer) == (413, "PayloadTooLargeException")


async def test_a_post_may_be_empty(development: str, heard: list[AnyCommand]) -> None:
    assert (await post(f"{development}/prod/@connections/{ANA}", b"")).status_code == 200
    (command,) = heard
    assert isinstance(command, PostToConnection)
    assert command.data == '""'


async def test_bytes_that_are_no_text_are_refused_in_a_sentence(development: str, heard: list[AnyCommand]) -> None:
    for body in (b"\xff", b"\xed\xa0\x80", b"ok \xc3"):
        answer = await post(f"{development}/prod/@connections/{ANA}", body)

        assert refusal(answer) == (400, "BadRequestException")
        assert "UTF-8" in answer.json()["message"]
    assert heard == []


async def test_a_body_that_grows_too_large_on_its_way_is_refused(development: str, heard: list[AnyCommand]) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(129):
            yield b"x" * 1024

    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{development}/prod/@connections/{ANA}", content=chunks())

    assert refusal(answer) == (413, "PayloadTooLargeException")
    assert heard == []


async def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(development: str) -> None:
    status = await first_line(development, b"Content-Length: 10000000000")

    assert status.split(b" ")[1] == b"413"


async def test_a_body_that_does_not_come_is_not_waited_for(development: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(m, "BODY_SECONDS", 0.1)

    status = await first_line(development, b"Content-Length: 10")

    assert status.split(b" ")[1] == b"408"


async def first_line(url: str, header: bytes) -> bytes:
    """Return how a POST of which nothing but the head is sent is answered."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(b"POST /prod/@connections/%b HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % (ANA.encode(), header))
        async with asyncio.timeout(30):
            return await reader.readline()
    finally:
        writer.close()


async def test_without_nats_it_says_so(development: str, nats_server: Server, bus: Bus) -> None:
    await nats_server.kill()
    await eventually(lambda: None if bus.check() else "the bus has not noticed yet")

    answer = await post(f"{development}/prod/@connections/{ANA}")

    assert refusal(answer) == (503, "ServiceUnavailableException")


async def test_an_owner_that_is_silent_is_a_matter_of_time(development: str, heard: list[AnyCommand]) -> None:
    answer = await post(f"{development}/prod/@connections/{SILENT}")

    assert refusal(answer) == (503, "ServiceUnavailableException")
    assert answer.headers["retry-after"] == "2"


async def test_a_strict_app_is_held_to_a_quota(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(q, "REQUESTS", Rate(per_second=1, burst=3))
    clock = [1000.0]
    async with served(bus, development=True, now=lambda: clock[0]) as url, httpx.AsyncClient() as client:
        for _ in range(3):
            assert (await client.get(f"{url}/small/@connections/none")).status_code == 410
        one_more = await client.get(f"{url}/small/@connections/none")
        assert refusal(one_more) == (429, "LimitExceededException")
        assert (await client.get(f"{url}/open/@connections/none")).status_code == 410

        clock[0] += 1
        assert (await client.get(f"{url}/small/@connections/none")).status_code == 410


# who may ask


async def test_in_development_an_app_without_keys_takes_any(development: str, heard: list[AnyCommand]) -> None:
    url = f"{development}/open/@connections/{ANA}"
    headers: list[dict[str, str]] = [{}, signed(url, b"hi", "any", "thing"), {"authorization": "AWS4-HMAC-SHA256 junk"}]
    for each in headers:
        assert (await post(url, headers=each)).status_code == 200


async def test_in_development_pages_of_other_machines_may_not_ask(development: str, heard: list[AnyCommand]) -> None:
    url = f"{development}/open/@connections/{ANA}"

    assert refusal(await post(url, headers={"origin": "https://evil.example"})) == FORBIDDEN
    assert (await post(url, headers={"origin": "http://localhost:3000"})).status_code == 200
    assert len(heard) == 1


@pytest.mark.parametrize("development", [False, True])
async def test_an_app_with_keys_checks_signatures_in_every_mode(
    bus: Bus, heard: list[AnyCommand], development: bool
) -> None:
    async with served(bus, development=development) as base:
        await only_what_is_signed(f"{base}/shop/prod/@connections/{quote(ANA)}", heard)


async def only_what_is_signed(url: str, heard: list[AnyCommand]) -> None:
    assert (await post(url, headers=signed(url, b"hi"))).status_code == 200
    assert (await post(url, headers=bearer(app="shop"))).status_code == 200
    assert [command.app for command in heard] == ["shop", "shop"]

    unsigned = await post(url)
    assert refusal(unsigned) == UNSIGNED
    assert unsigned.json() == {"message": "Missing Authentication Token"}
    for headers in (
        signed(url, b"another body"),
        signed(url, b"hi", secret="wrong"),
        signed(url, b"hi", key="AKIDNOBODY"),
        signed(url, b"hi", BANK_KEY, BANK_SECRET),
        signed(url.replace("/shop/", "/open/"), b"hi"),
        signed(url.replace("127.0.0.1", "parley.example"), b"hi"),
        {**signed(url, b"hi"), "x-amz-date": "20200101T000000Z"},
        {"authorization": "AWS4-HMAC-SHA256 junk"},
    ):
        refused = await post(url, headers={**headers, "host": url.split("/")[2]})
        assert refusal(refused) == FORBIDDEN
        assert refused.json() == {"message": "Forbidden"}
    assert len(heard) == 2


async def test_a_signature_does_not_hold_for_long(bus: Bus, heard: list[AnyCommand]) -> None:
    async with served(bus, development=False, now=lambda: time.time() + 301) as base:
        url = f"{base}/shop/@connections/{ANA}"

        assert refusal(await post(url, headers=signed(url, b"hi"))) == FORBIDDEN
    assert heard == []


async def test_a_body_is_signed_with_its_hash_in_a_header_too(production: str, heard: list[AnyCommand]) -> None:
    """SDKs for JavaScript say the hash; it has to be the hash of what came."""
    url = f"{production}/shop/@connections/{ANA}"
    hashed = {"X-Amz-Content-SHA256": hashlib.sha256(b"hi").hexdigest()}

    assert (await post(url, headers=signed(url, b"hi", **hashed))).status_code == 200
    assert refusal(await post(url, b"ho", headers=signed(url, b"hi", **hashed))) == FORBIDDEN


async def test_a_key_tells_whose_connections_are_meant(production: str, heard: list[AnyCommand]) -> None:
    """SDKs drop the query of an endpoint; keys are of one app each."""
    url = f"{production}/prod/@connections/{ANA}"

    assert (await post(url, headers=signed(url, b"hi"))).status_code == 200
    assert (await post(url, headers=signed(url, b"hi", BANK_KEY, BANK_SECRET))).status_code == 200
    assert refusal(await post(url, headers=signed(url, b"hi", BANK_KEY))) == FORBIDDEN
    assert [command.app for command in heard] == ["shop", "bank"]


async def test_the_host_that_a_proxy_was_asked_for_may_be_the_signed_one(
    production: str, heard: list[AnyCommand]
) -> None:
    outside = f"https://parley.example/shop/@connections/{ANA}"
    headers = signed(outside, b"hi") | {"x-forwarded-host": "parley.example"}

    assert (await post(f"{production}/shop/@connections/{ANA}", headers=headers)).status_code == 200


async def test_in_production_an_app_without_keys_takes_tokens_of_backends_alone(
    production: str, heard: list[AnyCommand]
) -> None:
    url = f"{production}/open/@connections/{ANA}"

    assert (await post(url, headers=bearer())).status_code == 200
    assert (await post(f"{production}/@connections/{ANA}", headers=bearer(app="elsewhere"))).status_code == 200
    assert refusal(await post(url)) == UNSIGNED
    for headers in (
        signed(url, b"hi"),
        bearer(admin=False),
        bearer(app="shop"),
        bearer(exp=time.time() - 1),
        {"authorization": "Bearer rubbish"},
        {"authorization": "Basic YTpi"},
    ):
        answer = await post(url, headers=headers)
        assert refusal(answer) == FORBIDDEN
        assert answer.json()["message"].endswith(".")
    assert [command.app for command in heard] == ["open", "elsewhere"]


# what programs see, by protocols.md 1.8


@pytest.mark.parametrize("sdk", SDKS)
async def test_every_refusal_is_what_programs_expect(sdk: Sdk, production: str, heard: list[AnyCommand]) -> None:
    shop = f"{production}/shop/prod"
    calls = [
        call("post", shop, ANA, "hello"),
        call("delete", shop, ANA),
        call("get", shop, GONE),
        call("post", shop, GONE, "x"),
        call("delete", shop, GONE),
        call("post", shop, "other/installation", "x"),
        call("get", shop, BUSY),
        call("post", shop, ANA, "x" * 131_073),
    ]

    posted, deleted, *refused = await sdk(calls)

    assert "ok" in posted, posted
    assert (posted["status"], deleted["status"]) == (200, 204)
    errors = [each["error"] for each in refused]
    assert [(error["name"], error["status"]) for error in errors] == [
        *[("GoneException", 410)] * 4,
        ("LimitExceededException", 429),
        ("PayloadTooLargeException", 413),
    ]
    assert all(error.get("typed", True) for error in errors)
    assert errors[4]["message"] == "Not so fast."
    assert "131,072 bytes" in errors[5]["message"]
    if sdk is javascript_v2:
        assert errors[0]["message"] == "410", "the body is empty, and programs look for this"


@pytest.mark.parametrize("sdk", SDKS)
async def test_a_wrong_signature_is_what_programs_expect(sdk: Sdk, production: str, heard: list[AnyCommand]) -> None:
    (seen,) = await sdk([call("post", f"{production}/shop", ANA, "x")], secret="wrong")

    error = seen["error"]
    assert (error["name"], error["status"], error["message"]) == ("ForbiddenException", 403, "Forbidden")
    assert error.get("typed", True)


@pytest.mark.parametrize("sdk", SDKS)
async def test_an_endpoint_may_be_written_with_and_without_a_stage_or_a_slash(
    sdk: Sdk, production: str, heard: list[AnyCommand]
) -> None:
    paths = ["", "/", "/prod", "/prod/", "/shop/", "/shop/prod/"]

    seen = await sdk([call("post", f"{production}{path}", ANA, "hello") for path in paths])

    assert [each.get("status") for each in seen] == [200] * len(paths), seen
    assert [command.app for command in heard] == ["shop"] * len(paths)
