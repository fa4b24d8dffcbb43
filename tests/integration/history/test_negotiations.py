"""How a call came about: its negotiation steps, its setup time, its trace, and what its members report of it."""

import itertools
from typing import Any

import httpx
from support.history import Replica
from support.said import NOON, Room, publish

from parley.history import records, store
from parley.history.api import history_api
from parley.history.store import Learned
from parley.kit.bus import Bus, Message
from parley.kit.tokens import Tokens
from parley.protocol.requests import PeerQuality

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ANA, BOB, CID, EVE = (f"{name:-<13}=" for name in ("ana", "bob", "cid", "eve"))
"""Whose connections have ids as a report must have them."""
KEPT, UNKEPT = (f"00-{TRACE}-00f067aa0ba902b7-{flags}" for flags in ("01", "00"))


def steps(call: Any) -> list[tuple[str, str, str | None]]:
    return [(step["type"], step["from"].removeprefix("c-"), step["to"] and step["to"][2:]) for step in call["steps"]]


async def test_a_call_tells_how_it_was_negotiated(history: Replica, bus: Bus) -> None:
    """In its room by those who took part, directly only between them, from a minute before on."""
    room, other = Room(now=NOON - 61_000), Room("r2", now=NOON - 900)
    said = [room.offers("ana", "bob")]  # too early
    said += [other.offers("ana", "bob"), other.offers("ana", "eve", direct=True)]  # elsewhere, and to somebody else
    room.now = NOON - 700
    said += [room.offers("ana", "bob", direct=True), room.fails("ana", "bob"), room.offers("bob", None)]
    said += [room.offers("eve", "zoe")]
    room.now = NOON
    said += [room.answers("ana", "bob"), room.calls("call", "ana", "bob", traceparent=KEPT)]
    room.now = NOON + 2000
    said += [room.offers("cid", "ana")]
    room.now = NOON + 4000
    said += [room.hangs_up("call", "ana", "bob", "cid", began=NOON + 1), room.offers("ana", "bob")]
    await publish(bus, *said)
    await history.acknowledged()

    call = await history.get("/v1/calls/call")

    assert steps(call) == [
        ("offered", "ana", "bob"),
        ("failed", "ana", "bob"),
        ("offered", "bob", None),
        ("answered", "ana", "bob"),
        ("offered", "cid", "ana"),
    ]
    assert (call["steps"][0]["time"], call["setupMs"], call["firstAnswerMs"]) == ("2025-06-15T15:06:39.300Z", 701, 700)
    assert (call["traceId"], call["traceUrl"]) == (TRACE, None)
    [listed] = (await history.get("/v1/calls"))["items"]
    assert listed == {name: value for name, value in call.items() if name not in ("steps", "traceUrl", "ownTraceUrl")}


async def test_who_comes_to_a_call_that_lasts_is_in_it_once_media_is_reported(history: Replica) -> None:
    """The one it reports about may be anybody."""
    room = Room()
    said = [room.calls("call", ANA, BOB), room.offers(CID, ANA, direct=True), room.offers(CID, EVE, direct=True)]
    for message in said:
        await written(history, message)
    before = await history.get("/v1/calls/call")
    paths = [path(f"c-{who}", first_media_ms=90.0) for who in (ANA, EVE)]
    await written(history, room.reports(CID, "call", *paths))

    assert before["steps"] == []
    assert [step["to"] for step in (await history.get("/v1/calls/call"))["steps"]] == [f"c-{ANA}"]


async def test_a_trace_that_was_not_kept_is_none_and_one_that_was_has_an_address(history: Replica, bus: Bus) -> None:
    for id_, traceparent in (("kept", KEPT), ("not", UNKEPT)):
        room = Room(id_)
        said = [room.offers("a", "b", traceparent=traceparent), room.calls(id_, "a", "b", traceparent=traceparent)]
        await publish(bus, *said)
    await history.acknowledged()
    app = history_api(
        history.db,
        Tokens(development=True),
        development=True,
        trace_url="https://traces.example.org/{traceId}?app=parley",
    )

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://history") as rest:
        calls = [(await rest.get(f"/v1/calls/{id_}")).json() for id_ in ("kept", "not")]

    url = f"https://traces.example.org/{TRACE}?app=parley"
    assert [call["traceUrl"] for call in calls] == [url, None]
    told = [(step["traceId"], step["traceUrl"]) for call in calls for step in call["steps"]]
    assert told == [(TRACE, url), (None, None)]


async def test_the_offers_of_the_call_before_are_not_those_of_the_next(history: Replica, bus: Bus) -> None:
    room = Room()
    said = [room.offers("ana", "bob"), room.answers("bob", "ana"), room.calls("one", "ana", "bob")]
    said += [room.hangs_up("one", "ana", "bob", began=NOON + 2)]
    room.now += 5000
    said += [room.offers("ana", "bob"), room.answers("bob", "ana"), room.calls("two", "ana", "bob")]
    await publish(bus, *said)
    await history.acknowledged()

    calls = [await history.get(f"/v1/calls/{id_}") for id_ in ("one", "two")]

    assert [(call["setupMs"], len(call["steps"])) for call in calls] == [(2, 2), (2, 2)]


async def test_whatever_the_order_in_which_events_come_a_call_is_the_same(history: Replica) -> None:
    """Each in a batch of its own, as replicas may be given them."""
    ids = []
    learned = []
    for number, order in enumerate(itertools.permutations(range(4))):
        room = Room(f"room-{number}", now=NOON + number * 100_000)
        said = [room.offers(ANA, BOB), room.answers(BOB, ANA)]
        said += [room.calls(f"call-{number}", ANA, BOB, traceparent=KEPT)]
        said += [room.hangs_up(f"call-{number}", ANA, BOB, began=room.now - 1)]
        said = [said[at] for at in order]
        report = room.reports(ANA, f"call-{number}", path(f"c-{BOB}", first_media_ms=480.0))
        said.insert(number % 5, report)
        learned.append([await written(history, message) for message in (*said, *said)])
        ids.append(f"call-{number}")

    calls = [await history.get(f"/v1/calls/{id_}") for id_ in ids]

    told = [(call["setupMs"], call["traceId"], len(call["steps"]), call["durationMs"]) for call in calls]
    assert told == [(2, TRACE, 2, 1)] * 24
    assert [(call["firstAnswerMs"], call["firstMediaMs"]) for call in calls] == [(1, 480.0)] * 24
    for number, news in enumerate(learned):  # what is measured is measured once, and a call ends once
        waited = [waited for each in news for waited in each.waited]
        assert [one.answer_ms for one in waited if one.answer_ms is not None] == [1]
        assert [one.media_ms for one in waited if one.media_ms is not None] == [480.0]
        assert [call.id for each in news for call in each.ended] == [f"call-{number}"]


async def test_the_first_media_of_a_path_is_what_the_first_report_says(history: Replica) -> None:
    """Whichever comes first, and in one step of the chart and not in each that has a report."""
    first, second = Room(), Room(now=NOON + 60_000)
    reports = [
        room.reports("ana", "call", path(id_of("bob"), first_media_ms=float(room.now)))
        for room in (second, first, second)
    ]
    for report in reports:
        await written(history, report)

    span: dict[str, Any] = {"from": "2025-06-15T15:00:00Z", "to": "2025-06-15T16:00:00Z"}
    [step] = (await history.get("/v1/analytics/calls", **span))["items"]
    assert step["firstMediaMs"] == {"p50": float(NOON), "p95": float(NOON), "p99": float(NOON)}


async def test_media_counts_between_those_who_began_a_call(history: Replica) -> None:
    """Whoever came later had a path of its own to wait for."""
    room = Room()
    await written(history, room.calls("call", ANA, BOB))
    for who, waited in ((CID, 100.0), (BOB, 480.0), (BOB, 400.0)):
        await written(history, room.reports(ANA, "call", path(f"c-{who}", first_media_ms=waited)))
    await written(history, room.reports(BOB, "call", path(f"c-{ANA}", first_media_ms=450.0)))

    assert (await history.get("/v1/calls/call"))["firstMediaMs"] == 450.0


async def written(history: Replica, message: Message) -> Learned:
    """Write what history keeps of an event, in a transaction of its own, and return what was new."""
    async with history.db.begin() as connection:
        record = records.read(message.payload).record
        assert record is not None
        return await store.write(connection, [record])


def id_of(who: str) -> str:
    """Return a connection id as a report must have it."""
    return f"{who:.<15}=".replace(".", "-")


def path(peer: str, **known: Any) -> PeerQuality:
    counts = {"bytes_sent": 1, "bytes_received": 2, "packets_received": 3, "packets_lost": 4}
    return PeerQuality(**{"connection_id": peer, "state": "connected", **counts, **known})


async def test_a_call_has_what_its_members_report_of_it(history: Replica, bus: Bus) -> None:
    """Oldest first, in pages, each once, however often it comes; without a call it is nobody's."""
    room = Room()
    whole = path(id_of("bob"), jitter_ms=1.5, round_trip_ms=12.5, local_candidate="host", remote_candidate="relay")
    said = [
        room.calls("call", "ana", "bob"),
        room.reports("ana", "call", whole, path(id_of("cid"), first_media_ms=480.0)),
    ]
    said += [
        room.reports("bob", "call", path(id_of("ana"), state="failed")),
        room.reports("bob", None, path(id_of("ana"))),
    ]
    await publish(bus, *said)
    await publish(bus, *(Message(each.subject, each.payload, f"again-{each.id}") for each in said))
    await history.acknowledged()

    reports: list[Any] = []
    cursor: dict[str, Any] = {}
    while not reports or cursor["cursor"]:
        page = await history.get("/v1/calls/call/quality", limit=1, **cursor)
        reports += page["items"]
        cursor = {"cursor": page["next"]}

    assert [(each["connectionId"], each["peer"], each["state"]) for each in reports] == [
        ("c-ana", id_of("bob"), "connected"),
        ("c-ana", id_of("cid"), "connected"),
        ("c-bob", id_of("ana"), "failed"),
    ]
    assert reports[0] == {
        "time": "2025-06-15T15:06:40.001Z",
        "connectionId": "c-ana",
        "peer": id_of("bob"),
        "state": "connected",
        "bytesSent": 1,
        "bytesReceived": 2,
        "packetsReceived": 3,
        "packetsLost": 4,
        "jitterMs": 1.5,
        "roundTripMs": 12.5,
        "localCandidate": "host",
        "remoteCandidate": "relay",
        "setupMs": None,
        "firstMediaMs": None,
    }
    assert (await history.get("/v1/calls/nothing/quality", 404))["code"] == "not_found"
