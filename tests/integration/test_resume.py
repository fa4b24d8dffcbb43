"""
Clients come back to their connection, on any gateway, and have missed nothing (protocols.md section 0).

What else needs two gateways and nothing of its own is here, too: a trace that leads from one to the other.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from time import monotonic
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from support.eventually import eventually
from support.instance import IMPATIENT, Instance
from support.otlp import OtlpReceiver, ReceivedSpan
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from parley.client.events import events

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

GRACE_SECONDS = 10


class Client:
    """A client of parley.v1 that remembers what it needs to come back."""

    def __init__(self) -> None:
        self.welcome: dict[str, Any] = {}
        self.frames: list[dict[str, Any]] = []
        self.n = 0
        self._socket: ClientConnection

    @property
    def id(self) -> str:
        return str(self.welcome["connectionId"])

    async def connect(self, gateway: str, query: str = "") -> "Client":
        self._socket = await connect(f"ws://{gateway}/{query}", subprotocols=["parley.v1"], proxy=None)  # type: ignore[list-item] # a NewType of str
        self.welcome = await self._hear()
        return self

    async def resume(self, gateway: str) -> dict[str, Any]:
        await self.connect(gateway, f"?resume={self.welcome['resumeToken']}&n={self.n}")
        return self.welcome

    def vanish(self) -> None:
        """Fall silent, as a client does whose network is gone."""
        self._socket.transport.abort()

    async def say(self, **frame: Any) -> None:
        await self._socket.send(json.dumps(frame))

    async def ask(self, **frame: Any) -> dict[str, Any]:
        """Ask, and return the answer; what comes before it is kept."""
        await self.say(**frame)
        return await self.until(lambda heard: heard.get("ref") == frame["ref"])

    async def until(self, wanted: Any) -> dict[str, Any]:
        while True:
            heard = await self._hear()
            if wanted(heard):
                return heard

    async def closed(self) -> int | None:
        await asyncio.wait_for(self._socket.wait_closed(), 30)
        return self._socket.close_code

    async def _hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(await asyncio.wait_for(self._socket.recv(), 30))
        self.n = max(self.n, heard.get("n", 0))
        self.frames.append(heard)
        return heard


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def two(tmp_path_factory: pytest.TempPathFactory, traces: OtlpReceiver) -> AsyncIterator[Instance]:
    """Give a Parley with two gateways, of which those requests are traced whose client says so."""
    folder = tmp_path_factory.mktemp("two") / "data"
    instance = Instance(
        folder,
        up=IMPATIENT,
        IMPATIENT_SECONDS=str(GRACE_SECONDS),
        OTEL_EXPORTER_OTLP_ENDPOINT=traces.endpoint,
        OTEL_BSP_SCHEDULE_DELAY="200",
        OTEL_TRACES_SAMPLER="parentbased_traceidratio",
        OTEL_TRACES_SAMPLER_ARG="0",
    )
    await instance.start("--scale", "gateway=2")
    yield instance
    await instance.stop()


@pytest.fixture
def gateways(two: Instance) -> list[str]:
    return [two.part("gateway", replica)["address"] for replica in (0, 1)]


@pytest.fixture
def room() -> str:
    return uuid4().hex


async def both(gateways: list[str], room: str) -> tuple[Client, Client]:
    """Let ana, on the first gateway, and bob, on the second, join a room."""
    ana, bob = await Client().connect(gateways[0]), await Client().connect(gateways[1])
    for client in (ana, bob):
        await client.ask(action="join", room=room, ref="join")
    return ana, bob


async def chats(client: Client, count: int) -> list[str]:
    """Wait until *client* has heard so many chats; return their texts."""
    while len(found := [frame["text"] for frame in client.frames if frame["type"] == "chat"]) < count:
        await client.until(lambda heard: heard["type"] == "chat")
    return found


def name_of(gateway: dict[str, Any]) -> str:
    """Return a gateway's name on the bus."""
    return str(httpx.get(f"http://{gateway['http']}/v1/internal/connections", timeout=10).json()["gateway"])


@pytest.mark.parametrize("where", [0, 1])
async def test_who_vanished_comes_back_and_has_missed_nothing(gateways: list[str], room: str, where: int) -> None:
    ana, bob = await both(gateways, room)
    id_ = ana.id
    ana.vanish()
    for number in range(5):
        await bob.ask(action="chat", room=room, id=f"m{number}", text=f"t{number}", ref=f"c{number}")
        await bob.ask(action="signal", to=id_, data={"number": number}, ref=f"s{number}")

    welcome = await ana.resume(gateways[where])

    assert (welcome["resumed"], welcome["connectionId"]) == (True, id_)
    assert await chats(ana, 5) == [f"t{number}" for number in range(5)]
    await bob.ask(action="chat", room=room, id="last", text="last", ref="last")
    assert (await chats(ana, 6))[-1] == "last"
    assert [frame["data"]["number"] for frame in ana.frames if frame["type"] == "signal"] == list(range(5))
    told = [frame["n"] for frame in ana.frames if "n" in frame]
    assert told == sorted(set(told))


async def test_rooms_count_after_a_resume_as_before(gateways: list[str], room: str) -> None:
    ana = await Client().connect(gateways[0])
    for number in range(100):
        await ana.ask(action="join", room=f"{room}{number}", ref=f"{number}")
    ana.vanish()
    await ana.resume(gateways[1])

    assert (await ana.ask(action="join", room=room, ref="one too many"))["code"] == "not_allowed"
    assert (await ana.ask(action="join", room=f"{room}7", ref="again"))["type"] == "ok"
    await ana.ask(action="leave", room=f"{room}7", ref="leave")
    assert (await ana.ask(action="join", room=room, ref="instead"))["type"] == "ok"


async def test_the_others_see_no_leave_and_join(gateways: list[str], room: str) -> None:
    ana, bob = await both(gateways, room)
    before = len(bob.frames)
    ana.vanish()
    await ana.resume(gateways[1])

    await ana.ask(action="send", room=room, data="still here", ref="1")
    await bob.until(lambda heard: heard.get("data") == "still here")

    assert [frame["type"] for frame in bob.frames[before:]] == ["message"]


async def test_what_was_answered_is_not_processed_again(gateways: list[str], room: str) -> None:
    """A client repeats what was not answered; none is processed twice, each is answered once."""
    ana, bob = await both(gateways, room)
    known = ana.n
    for number in range(10):
        await ana.say(action="send", room=room, data=number, ref=f"r{number}")
    await bob.until(lambda heard: heard.get("data") == 4)
    ana.vanish()
    ana.n = known

    await ana.resume(gateways[1])
    for number in range(10):
        await ana.say(action="send", room=room, data=number, ref=f"r{number}")
    await ana.ask(action="send", room=room, data="end", ref="end")
    await bob.until(lambda heard: heard.get("data") == "end")

    assert [frame["data"] for frame in bob.frames if frame["type"] == "message"] == [*range(10), "end"]
    answers = [frame["ref"] for frame in ana.frames if str(frame.get("ref")).startswith("r")]
    assert answers == [f"r{number}" for number in range(10)]


async def test_each_report_is_one_event_also_when_it_is_repeated(two: Instance, gateways: list[str], room: str) -> None:
    """Of the call that lasts when it comes; sequences have no gaps, and no other member hears of any."""
    ana, bob = await both(gateways, room)
    await ana.ask(action="report", room=room, peers=[peer(bob.id, 0)], ref="r0")
    await ana.say(action="signal", to=bob.id, data={"description": {"type": "offer", "sdp": "v=0"}})
    await bob.until(lambda heard: heard["type"] == "signal")
    await bob.say(action="signal", to=ana.id, data={"description": {"type": "answer", "sdp": "v=0"}})
    await ana.until(lambda heard: heard.get("availability") == "inCall")
    known = ana.n
    for number in range(1, 11):
        await ana.say(action="report", room=room, peers=[peer(bob.id, number)], ref=f"r{number}")
    await ana.until(lambda heard: heard.get("ref") == "r5")
    ana.vanish()
    ana.n = known
    before = len(ana.frames)

    await ana.resume(gateways[1])
    for number in range(1, 11):
        await ana.say(action="report", room=room, peers=[peer(bob.id, number)], ref=f"r{number}")
    await ana.ask(action="report", room=room, peers=[peer(bob.id, 11)], ref="r11")
    await bob.ask(action="send", room=room, data="end", ref="end")

    answers = [(frame["type"], frame["ref"]) for frame in ana.frames[before:] if "ref" in frame]
    assert answers == [("ok", f"r{number}") for number in range(1, 12)]
    assert not [frame for frame in bob.frames if "bytesSent" in str(frame)]
    (started, *reports), counted = await told_of(room, two.status()["nats"], 12)
    assert [(report["peers"][0]["bytesSent"], report["callId"]) for report in reports] == [
        (0, None),
        *((number, started["callId"]) for number in range(1, 12)),
    ]
    assert reports[-1] == {
        "app": "default",
        "room": room,
        "epoch": started["epoch"],
        "callId": started["callId"],
        "connectionId": ana.id,
        "userId": None,
        "peers": [peer(bob.id, 11)],
    }
    assert counted == list(range(1, len(counted) + 1))


def peer(connection: str, sent: int) -> dict[str, Any]:
    """Return what a report says of a peer."""
    return {
        "connectionId": connection,
        "state": "connected",
        "bytesSent": sent,
        "bytesReceived": 2,
        "packetsReceived": 1,
        "packetsLost": 0,
        "jitterMs": 1.5,
        "roundTripMs": None,
        "localCandidate": "host",
        "remoteCandidate": None,
        "setupMs": 210.0,
        "firstMediaMs": None,
    }


async def told_of(room: str, nats: str, wanted: int) -> tuple[list[dict[str, Any]], list[int]]:
    """Return how a room's call started and then its reports, once so many have come, and all its sequences."""
    started, reports, counted = [], [], []
    async with asyncio.timeout(60), aclosing(events(nats, "default", since=timedelta(hours=1))) as reading:
        async for event in reading:
            if event.subject != room:
                continue
            counted.append(event.sequence or 0)
            if event.type == "call.started":
                started.append(event.data)
            if event.type == "call.quality":
                reports.append(event.data)
            if len(reports) == wanted:
                break
    return started + reports, counted


async def test_the_later_of_two_who_use_a_token_has_the_connection(gateways: list[str], room: str) -> None:
    ana, _ = await both(gateways, room)
    thief = Client()
    thief.welcome, thief.n = ana.welcome, ana.n

    welcome = await thief.resume(gateways[1])

    assert (welcome["resumed"], welcome["connectionId"]) == (True, ana.id)
    assert await ana.closed() == 4503
    assert (await thief.ask(action="send", room=room, data=1, ref="1"))["type"] == "ok"


async def test_an_attempt_that_was_given_up_takes_nothing_from_a_later_one(
    two: Instance, gateways: list[str], room: str
) -> None:
    """A gateway hears only after a while of a client that is elsewhere by then, and whose old socket still stands."""
    ana, bob = await both(list(reversed(gateways)), room)
    pid = two.part("gateway", 0)["pid"]
    ana.vanish()
    query = f"?resume={ana.welcome['resumeToken']}&n={ana.n}"
    os.kill(pid, signal.SIGSTOP)
    try:
        given_up = asyncio.create_task(Client().connect(gateways[0], f"{query}&attempt=1"))
        await ana.connect(gateways[1], f"{query}&attempt=2")
    finally:
        os.kill(pid, signal.SIGCONT)

    with pytest.raises(ConnectionClosed) as closed:
        await given_up

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4503
    assert ana.welcome["resumed"]
    assert (await ana.ask(action="send", room=room, data="still here", ref="1"))["type"] == "ok"
    await bob.until(lambda heard: heard.get("data") == "still here")


async def test_who_said_goodbye_cannot_come_back(gateways: list[str], room: str) -> None:
    ana, bob = await both(gateways, room)
    id_ = ana.id
    await ana._socket.close()
    await bob.until(lambda heard: heard["type"] == "member.left")

    welcome = await ana.resume(gateways[0])

    assert not welcome["resumed"]
    assert welcome["connectionId"] != id_


async def test_a_forged_token_begins_anew(gateways: list[str]) -> None:
    ana = await Client().connect(gateways[0], "?resume=forged&n=1")

    assert ana.welcome["resumed"] is False


async def test_a_chain_of_gateways_loses_nothing(gateways: list[str], room: str) -> None:
    """Whoever is thrown out again before having caught up still gets all of it."""
    ana, bob = await both(gateways, room)
    known = ana.n
    for number in range(6):
        ana.vanish()
        await bob.ask(action="chat", room=room, id=f"m{number}", text=f"t{number}", ref=f"c{number}")
        await ana.resume(gateways[number % 2])
        ana.n = known

    assert await chats(ana, 6)
    texts = [frame["text"] for frame in ana.frames if frame["type"] == "chat"]
    assert texts[-6:] == [f"t{number}" for number in range(6)]


async def test_a_gateway_that_slept_for_half_the_grace_goes_on_under_another_name(
    two: Instance, gateways: list[str], room: str
) -> None:
    """Owners count it as lost. It sends its clients away while they can still come back as who they are."""
    ana, bob = await both(gateways, room)
    before = len(bob.frames)
    gateway = two.part("gateway", 0)
    name = name_of(gateway)

    os.kill(gateway["pid"], signal.SIGSTOP)
    stopped = monotonic()
    await eventually(lambda: "it sleeps" if monotonic() - stopped <= GRACE_SECONDS / 2 + 1 else None, within=60)
    await bob.ask(action="chat", room=room, id="m", text="t", ref="c")
    os.kill(gateway["pid"], signal.SIGCONT)

    with pytest.raises(ConnectionClosed) as closed:
        await ana.until(lambda _: False)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    welcome = await ana.resume(gateways[1])
    assert welcome["resumed"]
    assert await chats(ana, 1) == ["t"]
    assert not [frame for frame in bob.frames[before:] if frame["type"].startswith("member")]

    def another() -> str | None:
        again = two.part("gateway", 0)
        return None if again["ready"] and name_of(again) != name else "the gateway has its old name"

    await eventually(another)


async def test_members_survive_the_loss_of_their_gateway(two: Instance, gateways: list[str], room: str) -> None:
    """Clients of a killed gateway resume elsewhere and have missed nothing; nobody else notices."""
    ana, bob = await both(gateways, room)
    before = len(bob.frames)
    pid = two.part("gateway", 0)["pid"]

    os.kill(pid, signal.SIGKILL)
    for number in range(3):
        await bob.ask(action="chat", room=room, id=f"m{number}", text=f"t{number}", ref=f"c{number}")
    welcome = await ana.resume(gateways[1])

    assert welcome["resumed"]
    assert await chats(ana, 3) == ["t0", "t1", "t2"]
    assert not [frame for frame in bob.frames[before:] if frame["type"].startswith("member")]

    def away() -> str | None:
        part = two.part("gateway", 0)
        return None if part["ready"] and part["pid"] != pid else "the gateway is not back"

    await eventually(away)


async def test_one_trace_leads_from_a_clients_offer_to_the_other_gateways_socket(
    two: Instance, gateways: list[str], traces: OtlpReceiver, room: str
) -> None:
    """Through all that it passes; and the metric of the way names it."""
    ana, bob = await both(gateways, room)
    trace, own = uuid4().hex, uuid4().hex[:16]
    offer = {"description": {"type": "offer", "sdp": "v=0"}}

    await ana.ask(action="signal", to=bob.id, data=offer, ref="offer", traceparent=f"00-{trace}-{own}-01")
    await ana.ask(action="signal", to=bob.id, data={}, ref="other", traceparent="hostile")
    await bob.until(lambda heard: heard["type"] == "signal")

    def spans(service: str, name: str, route: str) -> list[ReceivedSpan]:
        return [
            span
            for span in traces.traces.get(trace, [])
            if (span.service, span.name, span.attributes.get("parley.route")) == (service, name, route)
        ]

    def found() -> list[list[ReceivedSpan]]:
        return [
            spans("parley-gateway", "send parley.in.{partition}.{class}", "signal"),
            spans("parley-rooms", "process parley.in.{partition}.{class}", "signal"),
            spans("parley-gateway", "process parley.out.{gateway}", "signal"),
        ]

    await eventually(lambda: None if all(found()) else f"not all of it: {found()}")
    ((sent,), (reduced,), (told,)) = found()
    assert (sent.parent_id, reduced.parent_id, told.parent_id) == (own, sent.span_id, reduced.span_id)
    assert (sent.attributes["parley.connection.id"], told.attributes["parley.connection.id"]) == (ana.id, bob.id)
    assert sent.instance != told.instance
    assert 0 <= told.attributes["parley.since_frame_ms"] < 60_000

    async with httpx.AsyncClient(headers={"Accept": "application/openmetrics-text"}) as http:
        metrics = (await http.get(f"http://{two.part('gateway', 1)['http']}/metrics")).text
    named = [line for line in metrics.splitlines() if f'trace_id="{trace}"' in line]
    assert [line.partition("{")[0] for line in named] == ["parley_gateway_delivery_seconds_bucket"]
