"""Routes of an app's own: what is behind them is asked over NATS and over HTTP, and answers for the app."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import websockets
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from nats.aio.msg import Msg
from support.eventually import eventually
from support.function import function
from support.gate import Gate
from support.otlp import OtlpReceiver
from support.sockets import CLOSE, PING, PONG, Raw, handshake

from parley.gateway import quotas, stay
from parley.gateway.integrations import ERROR_HEADER, MAX_ANSWER_BYTES
from parley.kit.flow import Rate
from parley.kit.telemetry import telemetry
from parley.protocol import says, subjects
from parley.protocol.codes import CloseCode
from parley.protocol.commands import Closed, Opened

Handler = Callable[[dict[str, Any]], Any]

APP = """
apps:
  shop:
    paths: [/shop]
    routes: {routes}
    authorizer: {authorizer}
    strict: {strict}
    stageVariables: {{table: orders}}
    accessKeys: {keys}
    {more}
"""


class Raised(Exception):  # noqa: N818 - what a handler does
    """A handler's own error."""


class Functions:
    """Handlers behind the routes of the app `shop`, as `parley function` runs them."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.events: list[dict[str, Any]] = []

    async def serve(self, route: str, handler: Handler, subject: str | None = None) -> None:
        async def answer(msg: Msg) -> None:
            event = json.loads(msg.data)
            self.events.append(event)
            try:
                result = handler(event)
                result = await result if isinstance(result, Awaitable) else result
            except Raised as error:
                said = json.dumps({"errorMessage": str(error), "errorType": "Raised"}).encode()
                await self._gate.bus.client.publish(msg.reply, said, headers={ERROR_HEADER: "Unhandled"})
            else:
                await msg.respond(json.dumps(result).encode())

        async def spawn(msg: Msg) -> None:
            task = asyncio.create_task(answer(msg))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._tasks: set[asyncio.Task[None]] = set()
        await self._gate.bus.client.subscribe(subject or subjects.route("shop", route), cb=spawn)
        await self._gate.bus.client.flush()


def raises(message: str) -> Handler:
    def handler(_: dict[str, Any]) -> None:
        raise Raised(message)

    return handler


@pytest.fixture
def shop(
    nats_url: str, tmp_path: Path
) -> Callable[..., contextlib.AbstractAsyncContextManager[tuple[Gate, Functions]]]:
    @contextlib.asynccontextmanager
    async def made(
        routes: dict[str, Any] | None = None,
        authorizer: Any = "NONE",
        keys: Any = None,
        *,
        more: str = "",
        strict: bool = False,
        **settings: Any,
    ) -> AsyncIterator[tuple[Gate, Functions]]:
        file = tmp_path / "parley.yaml"
        declared = (
            {key: {"nats": True} for key in ("$connect", "$disconnect", "$default")} if routes is None else routes
        )
        file.write_text(
            APP.format(
                routes=json.dumps(declared),
                authorizer=json.dumps(authorizer),
                keys=json.dumps(keys or {}),
                strict=json.dumps(strict),
                more=more,
            )
        )
        async with Gate(nats_url, apps=str(file), **settings) as gate:
            yield gate, Functions(gate)

    return made


@pytest.fixture
async def guest() -> AsyncIterator[Callable[[Gate], Awaitable[Raw]]]:
    """Give what knocks at a gateway, and stays after it."""
    knocked: list[Raw] = []

    async def knock(gate: Gate) -> Raw:
        knocked.append(await Raw.connect(gate.server.port))
        return knocked[-1]

    yield knock
    for raw in knocked:
        raw.hang_up()


async def refused(gate: Gate, path: str, **options: Any) -> int:
    with pytest.raises(websockets.InvalidStatus) as refusal:
        await gate.socket(path, **options)
    return refusal.value.response.status_code


async def test_a_client_s_whole_life_is_told_as_api_gateway_tells_it(shop):
    async with shop() as (gate, functions):
        for route in ("$connect", "$default", "$disconnect"):
            await functions.serve(route, lambda _: {"statusCode": 200})
        client = await gate.workshop("/shop/prod?room=1", user_agent_header="UA")
        await client.say('{"type":"subscribe"}')
        await eventually(lambda: None if len(functions.events) == 2 else functions.events)
        await client.socket.close(1001, "bye")
        await eventually(lambda: None if len(functions.events) == 3 else functions.events)

    connect, message, disconnect = functions.events
    about = [event["requestContext"] for event in functions.events]
    assert [one["eventType"] for one in about] == ["CONNECT", "MESSAGE", "DISCONNECT"]
    assert [one["routeKey"] for one in about] == ["$connect", "$default", "$disconnect"]
    assert len({one["connectionId"] for one in about}) == len({one["connectedAt"] for one in about}) == 1
    assert len({one["requestId"] for one in about}) == 3
    assert {(one["stage"], one["apiId"], one["domainName"]) for one in about} == {("prod", "shop", gate.server.address)}
    assert {one["identity"]["userAgent"] for one in about} == {"UA"}
    assert connect["queryStringParameters"] == {"room": "1"}
    assert connect["headers"]["Sec-WebSocket-Version"] == "13"
    assert message["body"] == '{"type":"subscribe"}'
    assert (about[2]["disconnectStatusCode"], about[2]["disconnectReason"]) == (1001, "bye")
    assert {event["stageVariables"]["table"] for event in (connect, message, disconnect)} == {"orders"}


@pytest.mark.parametrize(("more", "domain"), [("", "evil.example"), ("domainName: ours.example", "ours.example")])
async def test_the_name_that_handlers_post_to_is_the_app_s_if_it_says_one(shop, more, domain):
    async with shop({"$connect": {"nats": True}}, more=more) as (gate, functions):
        await functions.serve("$connect", lambda _: {})
        host, port = gate.server.address.split(":")
        async with websockets.connect("ws://evil.example/shop", host=host, port=int(port), proxy=None):
            pass
        assert functions.events[0]["requestContext"]["domainName"] == domain


@pytest.mark.parametrize(
    ("handler", "status"),
    [
        (lambda _: {"statusCode": 401, "body": "secret"}, 401),
        (lambda _: {"statusCode": 500}, 500),
        (lambda _: {"statusCode": 599}, 599),
        (lambda _: {"Data": 1, "statusCode": 200}, 502),
        (raises("boom"), 502),
        (lambda _: asyncio.sleep(30), 502),
    ],
    ids=["401", "500", "599", "malformed", "raises", "too-late"],
)
async def test_connect_may_refuse_with_its_own_status(shop, handler, status):
    async with shop({"$connect": {"nats": True, "timeoutSeconds": 0.5}}) as (gate, functions):
        await functions.serve("$connect", handler)
        assert await refused(gate, "/shop") == status
        assert await gate.commands() == []


async def test_a_route_that_nobody_serves_fails_the_handshake(shop):
    async with shop({"$connect": {"nats": True}}) as (gate, _):
        assert await refused(gate, "/shop") == 502


@pytest.mark.parametrize("result", [{}, None, {"statusCode": 200}, {"statusCode": 204}])
async def test_connect_lets_in(shop, result):
    async with shop({"$connect": {"nats": True}}) as (gate, functions):
        await functions.serve("$connect", lambda _: result)
        await gate.workshop("/shop")


@pytest.mark.parametrize(("chosen", "agreed"), [("b", "b"), ("x", None), (None, None)])
async def test_connect_chooses_the_subprotocol(shop, chosen, agreed):
    headers = {"Sec-WebSocket-Protocol": chosen} if chosen else {}
    async with shop({"$connect": {"nats": True}}) as (gate, functions):
        await functions.serve("$connect", lambda _: {"statusCode": 200, "headers": headers})
        client = await gate.workshop("/shop", subprotocols=["a", "b"])
        assert client.socket.subprotocol == agreed
        assert functions.events[0]["headers"]["Sec-WebSocket-Protocol"] in ("a, b", "a,b")


class TestAnswers:
    async def test_only_a_route_response_reaches_the_client(self, shop):
        routes = {"loud": {"nats": True, "response": True}, "mute": {"nats": True}}
        async with shop(routes) as (gate, functions):
            await functions.serve("loud", lambda event: {"statusCode": 500, "body": f"heard {event['body']}"})
            await functions.serve("mute", lambda _: {"statusCode": 500, "body": "nobody hears"})
            client = await gate.workshop("/shop")
            await client.say('{"action":"mute"}')
            await client.say('{"action":"loud"}')
            assert await asyncio.wait_for(client.socket.recv(), 30) == 'heard {"action":"loud"}'

    @pytest.mark.parametrize(
        ("handler", "message"),
        [
            (raises("boom"), "Internal server error"),
            (lambda _: {"Data": 1, "statusCode": 200}, "Internal server error"),
            (lambda _: asyncio.sleep(30), "Endpoint request timed out"),
        ],
        ids=["raises", "malformed", "too-late"],
    )
    async def test_a_failure_is_an_error_frame(self, shop, handler, message):
        async with shop({"do": {"nats": True, "timeoutSeconds": 0.5}}) as (gate, functions):
            await functions.serve("do", handler)
            client = await gate.workshop("/shop")
            await client.say('{"action":"do"}')
            said = await client.hear()

        assert said["message"] == message
        assert said["connectionId"] == functions.events[0]["requestContext"]["connectionId"]
        assert said["requestId"] == functions.events[0]["requestContext"]["requestId"]
        assert set(said) == {"message", "connectionId", "requestId"}

    async def test_no_route_and_nobody_behind_one(self, shop):
        async with shop({"do": {"nats": True}}) as (gate, _):
            client = await gate.workshop("/shop")
            await client.say('{"action":"other"}')
            assert (await client.hear())["message"] == "Forbidden"
            await client.say('{"action":"do"}')
            assert (await client.hear())["message"] == "Internal server error"

    async def test_frames_of_one_client_go_one_after_another(self, shop):
        async def slow_first(event: dict[str, Any]) -> dict[str, Any]:
            if json.loads(event["body"])["n"] == 0:
                await asyncio.sleep(0.3)  # the others would overtake it
            return {"body": event["body"]}

        async with shop({"do": {"nats": True, "response": True}}) as (gate, functions):
            await functions.serve("do", slow_first)
            client = await gate.workshop("/shop")
            for n in range(20):
                await client.say({"action": "do", "n": n})
            assert [(await client.hear())["n"] for _ in range(20)] == list(range(20))

    async def test_a_subject_of_one_s_own(self, shop):
        async with shop({"do": {"nats": "shop.backend", "response": True}}) as (gate, functions):
            await functions.serve("do", lambda _: {"body": "from there"}, subject="shop.backend")
            client = await gate.workshop("/shop")
            await client.say({"action": "do"})
            assert await asyncio.wait_for(client.socket.recv(), 30) == "from there"


ALLOW = {
    "principalId": "ana",
    "policyDocument": {
        "Version": "2012-10-17",
        "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": "*"}],
    },
    "context": {"tier": 3, "beta": True},
}
DENY = {**ALLOW, "policyDocument": {"Statement": [{"Action": "*", "Effect": "Deny", "Resource": "*"}]}}


class TestAuthorizers:
    async def test_what_it_says_is_in_every_later_event(self, shop):
        routes = {key: {"nats": True} for key in ("$connect", "$default")}
        async with shop(routes, {"nats": True}) as (gate, functions):
            await functions.serve("$authorizer", lambda _: ALLOW)
            await functions.serve("$connect", lambda _: {})
            await functions.serve("$default", lambda _: {})
            client = await gate.workshop("/shop/prod?token=theirs")
            await client.say("x")
            await eventually(lambda: None if len(functions.events) == 3 else functions.events)

        asked, *later = functions.events
        assert asked["methodArn"].endswith(":shop/prod/$connect")
        assert asked["queryStringParameters"] == {"token": "theirs"}
        for event in later:
            context = event["requestContext"]["authorizer"]
            assert context == {"principalId": "ana", "tier": "3", "beta": "true"}

    @pytest.mark.parametrize(
        ("handler", "status"),
        [(lambda _: DENY, 403), (lambda _: {}, 403), (raises("Unauthorized"), 401), (raises("boom"), 500)],
        ids=["denies", "no-policy", "unauthorized", "raises"],
    )
    async def test_it_may_refuse(self, shop, handler, status):
        async with shop({}, {"nats": True}, mode="production", token_secret=32 * "s") as (gate, functions):
            await functions.serve("$authorizer", handler)
            assert await refused(gate, "/shop") == status

    async def test_without_its_identity_source_nobody_is_asked(self, shop):
        sources = ["route.request.header.Auth", "route.request.querystring.token"]
        async with shop({}, {"nats": True, "identitySources": sources}) as (gate, functions):
            await functions.serve("$authorizer", lambda _: ALLOW)
            assert await refused(gate, "/shop?token=x") == 401
            assert await refused(gate, "/shop", additional_headers={"Auth": "x"}) == 401
            assert functions.events == []
            await gate.workshop("/shop?token=x", additional_headers={"Auth": "x"})

    async def test_an_app_may_let_everybody_in(self, shop):
        async with shop({}, "NONE", mode="production", token_secret=32 * "s") as (gate, _):
            await gate.workshop("/shop")
            assert await refused(gate, "/") == 401

    @pytest.mark.parametrize("sign", [SigV4Auth, SigV4QueryAuth])
    async def test_a_signature_may_be_what_lets_in(self, shop, sign):
        keys = {"AKIAEXAMPLE": "secret"}
        async with shop({}, "AWS_IAM", keys, mode="production", token_secret=32 * "s") as (gate, _):
            for secret, status in (("secret", None), ("guess", 403)):
                request = AWSRequest("GET", f"http://{gate.server.address}/shop")
                sign(Credentials("AKIAEXAMPLE", secret), "execute-api", "us-east-1").add_auth(request)
                path = request.url.partition(gate.server.address)[2]
                options = {"additional_headers": dict(request.headers)}
                if status is None:
                    await gate.workshop(path, **options)
                else:
                    assert await refused(gate, path, **options) == status
            assert await refused(gate, "/shop") == 403


@pytest.fixture
def http_function() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An HTTP server that answers each event, and fails where the body says so."""
    events: list[dict[str, Any]] = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            events.append({**event, "traceparent": self.headers["traceparent"]})
            answer = b'{"statusCode":200,"body":"over http"}'
            if "much" in events[-1]["body"]:
                answer = b" " * (MAX_ANSWER_BYTES + 1)
            self.send_response(500 if "fail" in events[-1]["body"] else 200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/do", events
        server.shutdown()


async def test_http_integrations_are_posted_to(shop, http_function):
    url, events = http_function
    async with shop({"$default": {"http": url, "response": True}}) as (gate, _):
        client = await gate.workshop("/shop")
        await client.say({"action": "x"})
        assert await asyncio.wait_for(client.socket.recv(), 30) == "over http"
        await client.say({"action": "fail"})
        assert (await client.hear())["message"] == "Internal server error"
        await client.say({"action": "much"})
        assert (await client.hear())["message"] == "Internal server error"
    assert events[0]["requestContext"]["routeKey"] == "$default"


async def says_nothing(gate: Gate, raw: Raw) -> None:
    raw.frame(CLOSE)


async def says_a_code(gate: Gate, raw: Raw) -> None:
    raw.frame(CLOSE, (4321).to_bytes(2) + b"enough")


async def breaks(gate: Gate, raw: Raw) -> None:
    raw.hang_up()


async def is_deleted(gate: Gate, raw: Raw) -> None:
    (opened,) = await gate.logged(Opened)
    await gate.tell(says.Close(session=1, code=CloseCode.REMOVED, reason="removed"), opened.connection)
    assert await raw.read_frame() == (CLOSE, (1000).to_bytes(2) + b"Connection Closed Normally")


async def is_idle(gate: Gate, raw: Raw) -> None:
    while (seen := await raw.read_frame())[0] == PING:
        raw.frame(PONG)  # is no message
    assert seen == (CLOSE, (1001).to_bytes(2) + b"Going away")


async def leaves_when_told(raw: Raw) -> None:
    assert b" 101 " in await raw.upgrade("/shop")
    assert await raw.close_code() == 1012
    raw.hang_up()


class TestDisconnect:
    """What `$disconnect` and the log are told of a socket's end, by who ended it."""

    @pytest.mark.parametrize(
        ("ends", "code", "reason"),
        [
            (says_nothing, 1005, "Client-side close frame status not set"),
            (says_a_code, 4321, "enough"),
            (breaks, 1006, ""),
            (is_deleted, 1000, "Connection Closed Normally"),
            (is_idle, 1001, "Going away"),
        ],
    )
    async def test_both_are_told_what_the_socket_saw(self, shop, guest, monkeypatch, ends, code, reason):
        monkeypatch.setattr(stay, "IDLE_SECONDS", 0.5 if ends is is_idle else 600)
        beat = 0.2 if ends is is_idle else 25
        async with shop({"$disconnect": {"nats": True}}, strict=True, heartbeat_seconds=beat) as (gate, functions):
            await functions.serve("$disconnect", lambda _: {})
            raw = await guest(gate)
            assert b" 101 " in await raw.upgrade("/shop")
            await ends(gate, raw)
            await eventually(lambda: None if functions.events else "it has not been told")
            (closed,) = await gate.logged(Closed)
            raw.hang_up()

        (event,) = functions.events
        about = event["requestContext"]
        assert (about["disconnectStatusCode"], about["disconnectReason"], closed.code) == (code, reason, code)

    async def test_a_gateway_that_ends_tells_it_first(self, shop, guest):
        async def slow(_: dict[str, Any]) -> dict[str, Any]:
            await asyncio.sleep(0.2)  # the gateway has nothing else left to wait for
            answered.append(1)
            return {}

        answered: list[int] = []
        async with shop({"$disconnect": {"nats": True}}) as (gate, functions):
            await functions.serve("$disconnect", slow)
            leaving = [asyncio.create_task(leaves_when_told(await guest(gate))) for _ in range(20)]
            await gate.logged(Opened, 20)
        await asyncio.gather(*leaving)

        assert len(answered) == 20
        assert {event["requestContext"]["disconnectStatusCode"] for event in functions.events} == {1012}

    @pytest.mark.parametrize("ends", ["client", "gateway"])
    async def test_who_ends_while_connect_is_asked_is_told_of_as_well(self, shop, guest, ends):
        async def slow(_: dict[str, Any]) -> dict[str, Any]:
            await left.wait()
            return {}

        left = asyncio.Event()
        async with shop() as (gate, functions):
            await functions.serve("$connect", slow)
            await functions.serve("$disconnect", lambda _: {})
            raw = await guest(gate)
            raw.write(handshake("/shop"))
            await eventually(lambda: None if functions.events else "nobody is asked")
            if ends == "client":
                raw.hang_up()
                left.set()
                await eventually(lambda: None if len(functions.events) == 2 else "it has not been told")
        left.set()

        connect, gone = (event["requestContext"] for event in functions.events)
        assert (gone["eventType"], gone["disconnectStatusCode"]) == ("DISCONNECT", 1006)
        assert gone["connectionId"] == connect["connectionId"]


class TestTraces:
    """One trace has the client's frame, the gateway's call and what the call started."""

    async def test_over_nats_to_a_function(self, shop, nats_url, tmp_path, monkeypatch):
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        (tmp_path / "app.py").write_text("def handler(event, context):\n    return {}\n")
        with OtlpReceiver() as receiver:
            environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50"}
            async with (
                telemetry("gateway", receiver.endpoint),
                shop({"sendMsg": {"nats": True}}) as (gate, _),
                function(nats_url, tmp_path, "app:handler", "--app", "shop", environ=environ),
            ):
                client = await gate.workshop("/shop")
                for _ in range(2):
                    await client.say('{"action":"sendMsg"}')
                served = "process parley.route.{app}.{route}"
                await eventually(
                    lambda: None if len(receiver.named(served)) == len(receiver.named("frame")) == 2 else "too few", 30
                )

        frames = receiver.named("frame")
        for frame in frames:
            spans = {span.name: span for span in receiver.traces[frame.trace_id]}
            call, process = spans["invoke parley.route.{app}.{route}"], spans[served]
            assert (frame.parent_id, call.parent_id, process.parent_id) == ("", frame.span_id, call.span_id)
            assert (frame.kind, call.kind) == ("server", "client")
            assert (frame.service, process.service) == ("parley-gateway", "parley-function")
            assert frame.attributes == {"parley.app": "shop", "parley.route": "sendMsg"}
        assert len({frame.trace_id for frame in frames}) == 2

    async def test_over_http(self, shop, http_function, monkeypatch):
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        url, events = http_function
        secret = f"{url}?key=secret"
        with OtlpReceiver() as receiver:
            async with telemetry("gateway", receiver.endpoint), shop({"$default": {"http": secret}}) as (gate, _):
                client = await gate.workshop("/shop")
                await client.say("x")
                await eventually(lambda: None if receiver.named("frame") else "there is no span")

        (frame,) = receiver.named("frame")
        (call,) = receiver.named(f"invoke {url}")
        assert (call.trace_id, call.parent_id) == (frame.trace_id, frame.span_id)
        assert events[0]["traceparent"].split("-")[1:3] == [call.trace_id, call.span_id]


class TestStrict:
    """Quotas of API Gateway; idleness and age are in tests/unit/gateway/test_session.py, where time is given."""

    async def test_a_frame_and_a_message_have_their_sizes(self, shop):
        routes = {"$default": {"nats": True, "response": True}}
        async with shop(routes, strict=True) as (gate, functions):
            await functions.serve("$default", lambda event: {"body": f"{len(event['body']):,} bytes"})
            client = await gate.workshop("/shop")
            await client.say("x" * 32_768)
            assert await asyncio.wait_for(client.socket.recv(), 30) == "32,768 bytes"
            await client.socket.send(["x" * 32_768] * 4)
            assert await asyncio.wait_for(client.socket.recv(), 30) == "131,072 bytes"

            await client.say("x" * 32_769)
            assert await client.code() == 1009
            client = await gate.workshop("/shop")
            await client.socket.send(["x" * 32_768] * 4 + ["x"])
            assert await client.code() == 1009

    async def test_a_long_url_is_turned_away(self, shop):
        async with shop({}, strict=True) as (gate, _):
            start = f"wss://{gate.server.address}/shop?q="
            await gate.workshop(f"/shop?q={'x' * (4096 - len(start))}")
            assert await refused(gate, f"/shop?q={'x' * (4097 - len(start))}") == 414

    async def test_connects_above_the_rate_are_turned_away_before_anybody_is_asked(self, shop, monkeypatch):
        monkeypatch.setattr(quotas, "CONNECTS", Rate(per_second=0.001, burst=2))
        async with shop(strict=True) as (gate, functions):
            for route in ("$connect", "$disconnect"):
                await functions.serve(route, lambda _: {})
            await gate.workshop("/shop")
            await gate.workshop("/shop")
            assert await refused(gate, "/shop") == 429
            assert len(functions.events) == 2

            await gate.client("/shop")  # parley.v1 is nothing of API Gateway's

    async def test_others_are_held_to_none_of_it(self, shop):
        routes = {"$default": {"nats": True, "response": True}}
        async with shop(routes) as (gate, functions):
            await functions.serve("$default", lambda event: {"body": f"{len(event['body']):,} bytes"})
            client = await gate.workshop(f"/shop?q={'x' * 3000}&q={'y' * 3000}")
            await client.say("x" * 131_072)
            assert await asyncio.wait_for(client.socket.recv(), 30) == "131,072 bytes"
