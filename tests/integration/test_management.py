"""The management API at the front door of a real Parley: what backends do to connections, and what clients see."""

import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import jwt
import msgspec
import pytest
import pytest_asyncio
from support.aws import KEY, SDKS, SECRET, Sdk, call
from support.eventually import eventually
from support.guests import Guest, Guests, guests
from support.instance import REAL, Instance

from parley.protocol.ids import connection_id, home_of

pytestmark = pytest.mark.timeout(120)

MUCH = 256 * 1024
"""Of whoever sends more than this in vain the front door hangs up after its answer, which a client may then miss."""

TOKEN_SECRET = "the secret of a test, 32 bytes long, or longer"


@pytest.fixture
async def world(url: str) -> AsyncIterator[Guests]:
    """Give guests of the app that an endpoint without a query is about."""
    async with guests(url) as world:
        world.app = "default"
        yield world


async def apigw(world: Guests, **query: str) -> Guest:
    """Connect as a client of API Gateway, and find out the connection's id."""
    guest = await world.workshop(**query)
    await guest.says("{}")
    guest.id = (await guest.hears(message="Forbidden"))["connectionId"]
    return guest


async def ask(world: Guests, method: str, guest: Guest, body: str | bytes = b"") -> httpx.Response:
    return await world.rest.request(method, f"/prod/@connections/{quote(guest.id)}", content=body)


async def described(world: Guests, guest: Guest) -> dict[str, Any]:
    answer = await ask(world, "GET", guest)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("sdk", SDKS)
async def test_a_program_for_api_gateway_posts_looks_and_closes(sdk: Sdk, world: Guests, url: str) -> None:
    ana, bob = await apigw(world), await world.parley()
    before = datetime.now(UTC)
    text = '{"price": 1.0, "name": "é🎉"}'

    ours = [call("post", f"{url}/prod", bob.id, text), call("get", url, bob.id), call("delete", url, bob.id)]
    theirs = [call(what, f"{url}/prod/", ana.id, text) for what in ("post", "get", "delete", "get", "post", "delete")]
    seen = await sdk([*theirs, *ours])

    posted, shown, deleted, *gone = seen[:6]
    assert (posted["status"], shown["status"], deleted["status"]) == (200, 200, 204)
    assert [(each["error"]["name"], each["error"]["status"]) for each in gone] == [("GoneException", 410)] * 3
    assert [each["status"] for each in seen[6:]] == [200, 200, 204]
    assert await ana.hears_text() == text
    assert await ana.close_code() == 1000
    assert (await bob.hears(type="message")).items() >= {"data": text}.items()
    assert await bob.close_code() == 4504
    for one in (shown["ok"], seen[7]["ok"]):
        assert set(one) == {"ConnectedAt", "Identity", "LastActiveAt"}
        assert one["Identity"]["SourceIp"] == "127.0.0.1"
        assert "websockets" in one["Identity"]["UserAgent"]
        connected, active = (_moment(one[name]) for name in ("ConnectedAt", "LastActiveAt"))
        assert connected <= active
    assert _moment(shown["ok"]["LastActiveAt"]) >= before


def _moment(said: datetime | str) -> datetime:
    return datetime.fromisoformat(said) if isinstance(said, str) else said


async def test_what_is_shown_is_written_as_api_gateway_writes_it(world: Guests) -> None:
    ana = await apigw(world)

    answer = await ask(world, "GET", ana)

    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["connectedAt", "identity", "lastActiveAt"]
    assert list(answer.json()["identity"]) == ["sourceIp", "userAgent"]
    for name in ("connectedAt", "lastActiveAt"):
        datetime.strptime(answer.json()[name], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


async def test_a_connection_is_active_when_it_says_something_or_is_posted_to(world: Guests) -> None:
    ana = await apigw(world)
    first = await described(world, ana)

    await ana.says("{}")
    await ana.hears_text()
    second = await described(world, ana)
    await ask(world, "POST", ana, "hello")
    await ana.hears_text()
    third = await described(world, ana)
    fourth = await described(world, ana)

    assert first["lastActiveAt"] < second["lastActiveAt"] < third["lastActiveAt"] == fourth["lastActiveAt"]
    assert len({each["connectedAt"] for each in (first, second, third)}) == 1


async def test_posts_arrive_in_order_and_behind_what_was_said_before(world: Guests) -> None:
    ana = await apigw(world)
    for number in range(20):
        assert (await ask(world, "POST", ana, f"{number}")).status_code == 200

    assert [await ana.hears_text() for _ in range(20)] == [f"{number}" for number in range(20)]


async def test_who_is_deleted_has_left_its_rooms(world: Guests) -> None:
    ana, bob = await world.parley(), await world.parley()
    for guest in (ana, bob):
        await guest.asks("join", room="deleted")

    assert (await ask(world, "DELETE", ana)).status_code == 204

    left = await bob.hears(type="member.left")
    assert (left["connectionId"], left["reason"]) == (ana.id, "removed")


async def test_who_is_away_for_a_moment_gets_it_when_it_is_back(world: Guests) -> None:
    ana = await world.parley()
    await ana.asks("ping")
    before = await described(world, ana)
    ana.socket.transport.abort()

    assert (await ask(world, "POST", ana, "you missed this")).status_code == 200
    assert (await described(world, ana))["lastActiveAt"] >= before["lastActiveAt"]

    back = await world.parley(resume=ana.resume, n="0")
    assert back.id == ana.id
    assert (await back.hears(type="message"))["data"] == "you missed this"
    assert (await described(world, back))["connectedAt"] == before["connectedAt"]


async def test_ids_that_are_nobodys_are_gone_and_nobody_notices(world: Guests, url: str) -> None:
    async with guests(url) as elsewhere:  # its app has a name of its own
        ana = await apigw(elsewhere)
        unborn = Guest(ana.socket)
        unborn.id = connection_id(home_of(ana.id, 16) or 0, b"unopened!")
        for nobody in (ana, unborn):
            for method in ("POST", "GET", "DELETE"):
                answer = await ask(world, method, nobody, "boo")
                assert (answer.status_code, answer.content) == (410, b"")
                assert answer.headers["x-amzn-errortype"] == "GoneException"

        own = await elsewhere.ask("POST", f"/prod/@connections/{quote(ana.id)}", content="from its own app")
        assert own.status_code == 200
        assert await ana.hears_text() == "from its own app"


async def test_a_post_that_breaks_off_says_nothing(world: Guests, url: str) -> None:
    ana = await apigw(world)
    head = f"POST /prod/@connections/{quote(ana.id)} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nfirst half"
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as broken:
        broken.sendall(head.encode())

    await ask(world, "POST", ana, "whole")

    assert await ana.hears_text() == "whole"


@pytest.mark.parametrize("size", [131_073, 250_000, 50 << 20])
async def test_a_body_that_is_too_large_is_refused_however_large(world: Guests, size: int) -> None:
    ana = await apigw(world)

    with suppress(httpx.TransportError) if size > MUCH else nullcontext():
        answer = await ask(world, "POST", ana, b"x" * size)
        assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (413, "PayloadTooLargeException")

    assert (await ask(world, "POST", ana, "x" * 131_072)).status_code == 200
    assert await ana.hears_text() == "x" * 131_072


# with keys, and with two gateways


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def production(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Instance]:
    """Give a Parley in production, with two gateways, whose app `shop` has an access key."""
    folder = tmp_path_factory.mktemp("management")
    declared = folder / "parley.yaml"
    declared.write_bytes(msgspec.yaml.encode({"apps": {"shop": {"paths": ["/shop"], "accessKeys": {KEY: SECRET}}}}))
    instance = Instance(
        folder / "data",
        up=REAL,
        PARLEY_MODE="production",
        PARLEY_TOKEN_SECRET=TOKEN_SECRET,
        PARLEY_APPS=str(declared),
    )
    await instance.start("--scale", "gateway=2")
    yield instance
    await instance.stop()


def token(**claims: Any) -> str:
    good = {"app": "shop", "exp": time.time() + 600, "rooms": {"*": ["join", "send"]}}
    return jwt.encode({**good, **claims}, TOKEN_SECRET, "HS256")


@pytest.mark.parametrize("sdk", SDKS)
async def test_signatures_of_programs_hold_through_the_front_door_at_any_gateway(
    sdk: Sdk, production: Instance
) -> None:
    url = production.url
    async with guests(url) as world:
        world.app = "shop"
        crowd = [await apigw(world, token=token()) for _ in range(4)]  # some at each gateway
        endpoint = f"{url}/shop/production"

        seen = await sdk(
            [
                each
                for guest in crowd
                for each in (call("post", endpoint, guest.id, "hi"), call("get", endpoint, guest.id))
            ]
        )
        forged = await sdk([call("post", endpoint, crowd[0].id, "forged")], secret="wrong")
        deleted = await sdk([call("delete", endpoint, guest.id) for guest in crowd])

        assert [each.get("status") for each in seen] == [200] * 8, seen
        assert forged[0]["error"]["name"] == "ForbiddenException"
        assert [each["status"] for each in deleted] == [204] * 4
        for guest in crowd:
            assert await guest.hears_text() == "hi"
            assert await guest.close_code() == 1000
        for shown in (each["ok"] for each in seen[1::2]):
            assert _moment(shown["LastActiveAt"]) > _moment(shown["ConnectedAt"])


async def test_in_production_a_stranger_gets_nothing(production: Instance) -> None:
    async with guests(production.url) as world:
        world.app = "shop"
        ana = await apigw(world, token=token())
        path = f"/shop/@connections/{quote(ana.id)}"
        other = path.removeprefix("/shop")
        for where, headers, name in (
            (path, {}, "MissingAuthenticationTokenException"),
            (other, {}, "MissingAuthenticationTokenException"),
            (path, bearer(token()), "ForbiddenException"),
            (path, bearer(token(app="other", admin=True)), "ForbiddenException"),
        ):
            for method in ("POST", "GET", "DELETE"):
                answer = await world.rest.request(method, where, headers=headers)
                assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (403, name), where
        answer = await world.rest.post(other, headers=bearer(token(app="other", admin=True)), content="boo")
        assert answer.status_code == 410

        granted = await world.rest.post(path, headers=bearer(token(admin=True)), content="from the backend")
        assert granted.status_code == 200
        assert await ana.hears_text() == "from the backend"


async def test_a_connection_whose_gateway_was_killed_is_known_until_its_grace_is_over(production: Instance) -> None:
    async with guests(production.url) as world:
        world.app = "shop"
        ana = await world.parley(token=token())
        await ana.asks("ping")
        for replica in range(2):
            os.kill(production.part("gateway", replica)["pid"], signal.SIGKILL)
        await ana.close_code()
        await eventually(lambda: None if production.part("gateway")["ready"] else "no gateway is back yet")

        headers = bearer(token(admin=True))
        answer = await world.rest.get(f"/shop/@connections/{quote(ana.id)}", headers=headers)

        assert answer.status_code == 200
        assert answer.json()["lastActiveAt"] == answer.json()["connectedAt"]
        assert answer.json()["identity"]["sourceIp"] == "127.0.0.1"
    await production.ready()


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
