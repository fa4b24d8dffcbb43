"""What a real Parley logs of a call, of bad clients and of wrong requests: who came and went, and nothing they said."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import jwt
import msgspec
import pytest
from support.eventually import eventually
from support.guests import Guest, Guests, guests
from support.instance import Instance
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

pytestmark = pytest.mark.timeout(90)

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "logs.md").read_text()
OURS = ("gateway", "presence", "rooms", "history")


class Marks:
    """Texts that must not be seen, each with a name; all are new in each run."""

    def __init__(self) -> None:
        self._run = secrets.token_hex(5)
        self.seen_nowhere: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        return self.seen_nowhere.setdefault(name, f"{name}-{self._run}")

    def keep(self, name: str, text: str) -> str:
        self.seen_nowhere[name] = text
        return text


def logs(parley: Instance) -> Iterator[tuple[str, str]]:
    """Give what each process has logged, the front door, PostgreSQL and NATS among them."""
    for path in sorted((parley.folder / "logs").glob("*.log")):
        yield path.stem, path.read_text(errors="replace")


def lines(parley: Instance) -> list[dict[str, Any]]:
    """Return the lines of our own processes."""
    texts = [text for name, text in logs(parley) if name.startswith(OURS)]
    return [msgspec.json.decode(line) for text in texts for line in text.splitlines() if line.startswith("{")]


@pytest.fixture
async def direct(parley: Instance, world: Guests) -> AsyncIterator[Guests]:
    """Give guests who come to the gateway past the front door, as proxies of others do."""
    async with guests(f"http://{parley.part('gateway')['address']}") as direct:
        direct.app = world.app
        yield direct


@pytest.fixture
def marks(parley: Instance, world: Guests) -> Marks:
    """Give marks, among them the secrets of the instance and a good token."""
    marks = Marks()
    for path in parley.folder.rglob("*"):
        if path.suffix in (".secret", ".password"):
            marks.keep(path.name, path.read_text().strip())
    claims = {"sub": marks["user"], "app": world.app, "exp": int(time.time()) + 600, "jti": marks["jti"]}
    grants = {"rooms": {"*": ["join", "send", "history"]}, "direct": True, "presence": True, "metadata": True}
    marks.keep("token", jwt.encode(claims | grants, marks.seen_nowhere["token.secret"], algorithm="HS256"))
    return marks


async def come(direct: Guests, marks: Marks, offered: list[str], **query: str) -> Guest:
    address = marks.keep("address", f"2001:db8::{secrets.randbelow(0xFFFE) + 1:x}:{secrets.randbelow(0xFFFE) + 1:x}")
    guest = await direct._connect(
        "/",
        {"displayName": marks["display name"], **query},
        subprotocols=[Subprotocol(name) for name in offered],
        additional_headers={"X-Forwarded-For": address, "User-Agent": marks["agent"]},
    )
    guest.id = json.loads(await guest.hears_text())["connectionId"]
    return guest


async def call(ana: Guest, bob: Guest, marks: Marks) -> None:
    """Negotiate, chat, change what others know, and say what cannot be read."""
    for guest in (ana, bob):
        assert (await guest.asks("join", room="kitchen", metadata={"mood": marks["member"]}))["type"] == "ok"
    sdp = f"v=0\r\na=ice-ufrag:{marks['ufrag']}\r\na=ice-pwd:{marks['ice password']}\r\na={marks['sdp']}\r\n"
    candidate = f"candidate:1 1 udp 1 {marks['candidate']} 9 typ host"
    for one, other, kind in ((ana, bob, "offer"), (bob, ana, "answer")):
        await one.asks("signal", to=other.id, data={"description": {"type": kind, "sdp": sdp}})
        await one.asks("signal", to=other.id, data={"candidate": {"candidate": candidate, "sdpMid": "0"}})
    assert (await ana.asks("chat", room="kitchen", id=marks["chat id"], text=marks["text"]))["type"] == "ok"
    assert (await ana.asks("send", room="kitchen", data={"a": marks["data"]}))["type"] == "ok"
    assert (await ana.asks("presence", metadata={"mood": marks["mood"]}))["type"] == "ok"
    for bad in (
        "{" + marks["broken"],
        json.dumps({"action": marks["action"]}),
        json.dumps({"action": "send", "room": {"a": marks["room's type"]}, "data": 1}),
        json.dumps({"action": "presence", "availability": marks["choice"]}),
        json.dumps({"action": "signal", "to": marks["nobody"], "data": 1}),
        json.dumps({"action": "token", "token": marks["fresh token"]}),
        json.dumps({"action": "report", "room": "kitchen", "peers": [{"state": marks["state"]}]}),
    ):
        await ana.says(bad)
        await ana.hears(type="error")


async def come_in_vain(world: Guests, marks: Marks) -> None:
    """Knock with bad tokens, at wrong places, and break the protocol."""
    head, body, _ = marks.seen_nowhere["token"].split(".")
    forged = marks.keep("forged token", f"{head}.{body}.{marks['signature']}")
    for query, offered in (({}, ["parley.v1", f"bearer.{forged}"]), ({"token": forged}, ["parley.v1"])):
        refused = await world._connect("/", query, subprotocols=[Subprotocol(name) for name in offered])
        assert json.loads(await refused.hears_text())["code"] == "unauthorized"
    for path, query in (
        ("/production", {"token": forged}),
        (f"/{marks['stage']}/{marks['path']}", {}),
        ("/", {"X-Amz-ChannelARN": marks["arn"], "X-Amz-Signature": marks["aws signature"]}),
        ("/peerjs", {"key": "peerjs", "id": marks["a peer's id"], "token": forged}),
    ):
        with suppress(InvalidStatus, ConnectionClosed):
            await (await world._connect(path, query)).hears_text()
    rough = await world._connect("/", {}, subprotocols=[Subprotocol("parley.v1")])
    await rough.says(marks["binary"].encode())
    await rough.close_code()


async def ask_in_vain(world: Guests, marks: Marks) -> None:
    """Ask REST what is wrong in any way."""
    secret = {"Authorization": f"Bearer {marks.seen_nowhere['forged token']}"}
    signed = {"Authorization": f"AWS4-HMAC-SHA256 Credential={marks['key']}/20260101/eu/x/aws4_request"}
    said = f'{{"data": "{marks["posted"]}'.encode()
    for method, path, options in (
        ("GET", "/v1/rooms/kitchen/messages", {"headers": secret}),
        ("GET", "/v1/rooms/kitchen/messages", {"query": {"before": marks["parameter"]}}),
        ("POST", "/v1/rooms/kitchen/messages", {"content": said}),
        ("GET", f"/v1/calls/{marks['call']}", {}),
        ("POST", "/prod/@connections/nobody", {"content": marks["management"], "headers": signed}),
        ("POST", "/createSignalingChannel", {"json": {"ChannelName": {"a": marks["channel"]}}, "headers": signed}),
        ("GET", f"/peerjs/{marks['peer key']}/id", {"query": {"token": marks.seen_nowhere["forged token"]}}),
    ):
        answer = await world.ask(method, path, **options)
        assert answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR, (path, answer.text)


async def test_logs_tell_who_came_and_went_and_nothing_of_what_was_said(
    parley: Instance, world: Guests, direct: Guests, marks: Marks
) -> None:
    """At `debug`, through refusals and errors; a line as a connection opens, one as it closes, none for a frame."""
    ana = await come(direct, marks, ["parley.v1", f"bearer.{marks.seen_nowhere['token']}"])
    bob = await come(direct, marks, ["parley.v1"], userId=marks["named user"], deviceId=marks["device"])
    await call(ana, bob, marks)
    await asyncio.gather(come_in_vain(world, marks), ask_in_vain(world, marks))
    await ana.socket.close(1001, marks["goodbye"])
    await bob.socket.close()

    def unfinished() -> str | None:
        ended = [line["connection"] for line in lines(parley) if line["event"] == "closed"]
        return None if {ana.id, bob.id} <= set(ended) else "not closed yet"

    await eventually(unfinished)
    said = lines(parley)
    about_ana = [line for line in said if line.get("connection") == ana.id and line["level"] != "debug"]
    assert [line["event"] for line in about_ana] == ["opened", "closed"]
    opened, closed = about_ana
    common = {"app": world.app, "dialect": "parley.v1", "session": opened["session"], "level": "info"}
    assert opened.items() >= common.items()
    assert closed.items() >= (common | {"code": 1001, "reason": "The client closed it."}).items()
    assert closed["frames_in"] == 13
    assert closed["frames_out"] > 13
    assert 0 < closed["seconds"] < 90
    assert len(marks.seen_nowhere) > 40
    for process, text in logs(parley):
        assert [name for name, mark in marks.seen_nowhere.items() if mark in text] == [], process
    explained = {
        "event",
        *(name for row in PAGE.splitlines() if row.startswith("| `") for name in row.split("`")[1::2]),
    }
    assert {field for line in said for field in line} <= explained


async def test_the_end_of_a_connection_says_whose_it_was(parley: Instance, world: Guests) -> None:
    binary = await world.parley()
    await binary.says(b"not text")
    await binary.close_code()
    broken = await world.parley()
    broken.socket.transport.abort()
    ids = {binary.id, broken.id}

    async def ends() -> dict[str, dict[str, Any]]:
        return {line["connection"]: line for line in lines(parley) if line["event"] == "closed"}

    async def unfinished() -> str | None:
        return None if ids <= (await ends()).keys() else "not closed yet"

    await eventually(unfinished)
    told = await ends()
    assert (told[binary.id]["code"], told[binary.id]["reason"]) == (1003, "Send text frames.")
    assert (told[broken.id]["code"], told[broken.id]["reason"]) == (1006, "The connection broke.")


async def test_a_connection_that_comes_back_has_a_line_for_each_of_its_sockets(parley: Instance, world: Guests) -> None:
    guest = await world.parley()
    guest.socket.transport.abort()
    again = await world.parley(resume=guest.resume, n="0")
    assert again.id == guest.id
    await again.socket.close()

    def told() -> list[dict[str, Any]]:
        return [line for line in lines(parley) if line.get("connection") == guest.id and line["level"] == "info"]

    await eventually(lambda: None if len(told()) == 4 else f"not yet: {told()}")
    by_session = {(line["session"], line["event"]) for line in told()}
    (first, second) = sorted({session for session, _ in by_session})
    assert by_session == {(first, "opened"), (first, "closed"), (second, "resumed"), (second, "closed")}
