"""Parley in production mode: a stranger gets nothing, a token what it grants, and another app's ids mean nothing."""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote

import jwt
import pytest
import pytest_asyncio
from support.eventually import eventually
from support.guests import Guest, Guests, guests
from support.instance import REAL, Instance
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

pytestmark = pytest.mark.timeout(120)

SECRET = "the secret of a test, 32 bytes long, or longer"
APP = "acme"
EVERYTHING = ["join", "send", "history", "admin"]

Mint = Callable[..., str]


def token(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """Return a token that is good but for what the test says."""
    good = {"app": APP, "sub": "ana", "exp": time.time() + 600, "rooms": {"*": EVERYTHING}, "direct": True}
    return jwt.encode({**good, **claims}, secret, algorithm=algorithm)


def unsigned(algorithm: str = "none") -> str:
    parts = ({"alg": algorithm, "typ": "JWT"}, {"app": APP, "sub": "ana", "exp": time.time() + 600, "admin": True})
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def tampered() -> str:
    head, _, signature = token().split(".")
    return ".".join([head, unsigned().split(".")[1], signature])


REFUSED: dict[str, tuple[Callable[[], str], str]] = {
    "none at all": (lambda: "", "unauthorized"),
    "rubbish": (lambda: "rubbish", "unauthorized"),
    "expired": (lambda: token(exp=time.time() - 1), "token_expired"),
    "forged": (lambda: token("another secret, but long enough for HS256"), "unauthorized"),
    "tampered with": (tampered, "unauthorized"),
    "alg none": (unsigned, "unauthorized"),
    "alg nOnE": (lambda: unsigned("nOnE"), "unauthorized"),
    "HS512 with the secret": (lambda: token(SECRET * 2, "HS512"), "unauthorized"),
    "not yet": (lambda: token(nbf=time.time() + 600), "unauthorized"),
    "for ever": (lambda: token(exp=1e300), "unauthorized"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def production(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Instance]:
    """Give a Parley that asks for tokens, and looks once a second whether they hold."""
    instance = Instance(
        tmp_path_factory.mktemp("production") / "data",
        up=REAL,
        PARLEY_MODE="production",
        PARLEY_TOKEN_SECRET=SECRET,
        GATEWAY_HEARTBEAT_SECONDS="1",
        GATEWAY_ROOM_CAPACITY="3",
    )
    await instance.start()
    yield instance
    await instance.stop()


@pytest.fixture(scope="module")
def url(production: Instance) -> str:
    return production.url


@pytest.fixture
async def world(url: str) -> AsyncIterator[Guests]:
    async with guests(url) as world:
        world.app = APP
        yield world


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


@pytest.mark.parametrize(("make", "code"), REFUSED.values(), ids=REFUSED)
async def test_a_token_that_is_none_opens_nothing(world: Guests, make: Callable[[], str], code: str) -> None:
    bad = make()
    for subprotocols, headers, query in (
        ([f"bearer.{bad}"] if bad else [], {}, {}),
        ([], bearer(bad), {}),
        ([], {}, {"token": bad} if bad else {}),
    ):
        offered = [Subprotocol(name) for name in ("parley.v1", *subprotocols)]
        guest = await world._connect("/", query, subprotocols=offered, additional_headers=headers)
        assert json.loads(await guest.hears_text())["code"] == code
        assert await guest.close_code() == (4501 if code == "token_expired" else 4500)

    with pytest.raises(InvalidStatus) as refused:
        await world.workshop(token=bad)
    assert refused.value.response.status_code == 401
    for path in ("/v1/connections", "/v1/rooms", "/v1/rooms/r", "/v1/rooms/r/messages", "/v1/calls", "/v1/ice-servers"):
        answer = await world.rest.get(path, headers=bearer(bad))
        assert (answer.status_code, answer.json()["code"]) == (401, code), path


async def test_a_token_for_another_app_is_refused(world: Guests) -> None:
    other = token(app="other")

    with pytest.raises(AssertionError, match="unauthorized"):
        await world.parley(token=other)
    with pytest.raises(InvalidStatus) as refused:
        await world.workshop(token=other)
    assert refused.value.response.status_code == 401
    answer = await world.ask("GET", "/v1/rooms", headers=bearer(other))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


async def test_a_token_of_the_command_opens_what_it_was_asked_for(world: Guests, production: Instance) -> None:
    minted = production.parley("token", "--sub", "ana", "--app", APP, "--room", "team-*=join").stdout.strip()

    guest = await world.parley(token=minted, userId="somebody else")

    joined = await guest.asks("join", room="team-1")
    assert joined["type"] == "ok"
    assert (await guest.asks("join", room="other"))["code"] == "not_allowed"
    assert (await guest.asks("send", room="team-1", data=1))["code"] == "not_allowed"
    assert (await guest.asks("signal", to=guest.id, data=1))["code"] == "not_allowed"
    assert (await guest.asks("presence", metadata={"a": 1}))["code"] == "not_allowed"
    watcher = await world.parley(token=token(sub="bob"))
    (member,) = (await watcher.asks("join", room="team-1"))["members"]
    assert member["userId"] == "ana"
    for path in ("/v1/rooms", "/v1/rooms/other", "/v1/rooms/team-1/messages", "/v1/calls", "/v1/connections"):
        assert (await world.ask("GET", path, headers=bearer(minted))).status_code == 403, path

    async def hidden() -> bool:
        return (await world.ask("GET", "/v1/rooms/team-1", headers=bearer(minted))).status_code != 200

    await eventually(hidden)


async def test_a_token_that_expires_ends_its_connection_and_a_fresh_one_goes_on(world: Guests) -> None:
    ana = await world.parley(token=token(exp=time.time() + 2))
    bob = await world.parley(token=token(exp=time.time() + 2))

    renewed = await bob.asks("token", token=token())

    assert renewed["type"] == "ok"
    assert await ana.close_code() == 4501
    assert (await bob.asks("join", room="r"))["type"] == "ok"


@pytest.mark.parametrize("fresh", [{"sub": "bob"}, {"app": "other"}, {"exp": 1}])
async def test_a_fresh_token_is_of_the_same_person_and_app(world: Guests, fresh: dict[str, Any]) -> None:
    guest = await world.parley(token=token())

    answer = await guest.asks("token", token=token(**fresh))

    assert answer["code"] in {"unauthorized", "token_expired"}
    assert (await guest.asks("join", room="r"))["type"] == "ok"


async def test_a_room_takes_as_many_as_the_installation_says(world: Guests) -> None:
    members = [await world.parley(token=token(sub=f"m{number}")) for number in range(4)]

    answers = [await member.asks("join", room="small") for member in members]

    assert [answer.get("code") for answer in answers] == [None, None, None, "room_full"]
    await members[0].asks("leave", room="small")
    assert (await members[3].asks("join", room="small"))["type"] == "ok"


async def test_ids_of_one_app_mean_nothing_in_another(world: Guests) -> None:
    """Everything that an app's own backend may do, another app's backend tries with the same ids."""
    ana = await world.parley(token=token(), deviceId="phone")
    bob = await world.parley(token=token(sub="bob"))
    for guest in (ana, bob):
        await guest.asks("join", room="r")
    chat = await ana.asks("chat", room="r", id="m1", text="secret")
    await ana.asks("signal", to=bob.id, data={"description": {"type": "offer", "sdp": "v=0"}})
    await bob.asks("signal", to=ana.id, data={"description": {"type": "answer", "sdp": "v=0"}})
    call = await its_call(world)
    stranger_token = token(app="other", sub="ana", admin=True, broadcast=True)
    async with guests(str(world.rest.base_url)) as elsewhere:
        elsewhere.app = "other"
        stranger = await elsewhere.parley(token=stranger_token, deviceId="phone")

        assert (await stranger.asks("signal", to=ana.id, data="boo"))["code"] == "not_found"
        back = await stranger.asks("join", room="r", since={"epoch": "", "position": 0})
        assert (back["members"], back["missed"]) == ([], [])
        assert (await stranger.asks("chat", room="r", id="m1", text="boo"))["position"] == 2

        one = quote(ana.id)
        for method, path, body in (
            ("GET", f"/v1/connections/{one}", None),
            ("POST", f"/v1/connections/{one}/messages", {"data": "boo"}),
            ("DELETE", f"/v1/connections/{one}", None),
            ("DELETE", f"/v1/rooms/r/members/{one}", None),
            ("GET", f"/v1/calls/{call}", None),
        ):
            answer = await elsewhere.ask(method, path, headers=bearer(stranger_token), json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
        for path in ("/v1/connections", "/v1/rooms", "/v1/rooms/r", "/v1/rooms/r/messages", "/v1/calls"):
            answer = await elsewhere.ask("GET", path, headers=bearer(stranger_token))
            assert answer.status_code == 200 or answer.json()["code"] == "not_found", answer.text
            assert not any(secret in answer.text for secret in (ana.id, bob.id, "secret", call))

    await nothing_was_heard(ana, after=chat["position"])
    await nothing_was_heard(bob, after=chat["position"])


async def its_call(world: Guests) -> str:
    """Return the id of the call that is on, once it is known."""
    found: list[dict[str, Any]] = []

    async def none() -> str | None:
        nonlocal found
        answer = await world.ask("GET", "/v1/calls", headers=bearer(token(admin=True)))
        found = answer.json()["items"]
        return None if found else answer.text

    await eventually(none)
    return str(found[0]["id"])


async def nothing_was_heard(guest: Guest, *, after: int) -> None:
    """Look through all that a guest was sent so far: nobody has left, and nobody said boo."""
    await guest.says({"action": "send", "room": "r", "data": 1, "ref": "last"})
    while True:
        frame = json.loads(await guest.hears_text())
        if frame.get("ref") == "last":
            return
        assert frame["type"] != "member.left"
        assert frame.get("position", 0) <= after or frame["type"] != "chat"
        assert "boo" not in json.dumps(frame)
