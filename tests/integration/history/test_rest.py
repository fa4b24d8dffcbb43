"""What was said and which calls took place, over REST."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from support.history import Replica
from support.said import NOON, Room, publish

from parley.history.api import history_api
from parley.kit.bus import Bus
from parley.kit.tokens import Tokens, mint

SECRET = "a secret of at least thirty-two characters"
MESSAGES = "/v1/rooms/r1/messages"


@pytest.fixture
async def told(history: Replica, bus: Bus) -> Replica:
    """Give a history of twenty messages in two epochs: ten each, positions 2 to 11, NOON + 1 to NOON + 21."""
    first, second = Room(), Room(epoch="e2", now=NOON + 11)
    said = []
    for room in (first, second):
        said.append(room.created())
        room.position = 1
        said += [room.says(f"{room.epoch} number {number}", user=("ana", "bob")[number % 2]) for number in range(10)]
    await publish(bus, *said)
    await history.has("messages", 20)
    await history.has("epochs", 2)
    return history


def texts(page: Any) -> list[str]:
    return [message["text"] for message in page["items"]]


async def every_page(history: Replica, path: str, **query: Any) -> list[Any]:
    """Return the items of all pages."""
    items: list[Any] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await history.get(path, **query, **cursor)
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = {"cursor": page["next"]}


ALL = [f"e1 number {number}" for number in range(10)] + [f"e2 number {number}" for number in range(10)]


async def test_a_message_is_said_as_on_the_socket(told: Replica) -> None:
    page = await told.get(MESSAGES, limit=1)

    assert page["items"] == [
        {
            "room": "r1",
            "epoch": "e2",
            "position": 11,
            "id": "m11",
            "from": "c-bob",
            "userId": "bob",
            "text": "e2 number 9",
            "data": None,
            "time": "2025-06-15T15:06:40.021Z",
        }
    ]


async def test_pages_in_either_direction_hold_everything_once(told: Replica) -> None:
    for limit in (1, 3, 19, 20, 21):
        newest = await every_page(told, MESSAGES, limit=limit, order="newest")
        oldest = await every_page(told, MESSAGES, limit=limit, order="oldest")

        assert [message["text"] for message in oldest] == ALL
        assert newest == oldest[::-1]


async def test_what_is_said_meanwhile_does_not_move_a_page(told: Replica, bus: Bus) -> None:
    first = await told.get(MESSAGES, limit=5)
    later = Room(epoch="e3", now=NOON + 100)
    await publish(bus, later.says("meanwhile"))
    await told.has("messages", 21)

    second = await told.get(MESSAGES, limit=5, cursor=first["next"])

    assert texts(first) + texts(second) == ALL[::-1][:10]


POSITIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({"after": 4, "epoch": "e1"}, ALL[3:]),
    ({"after": 11, "epoch": "e1"}, ALL[10:]),
    ({"after": 0, "epoch": "e1"}, ALL),
    ({"after": 9}, ALL[18:]),
    ({"before": 4, "epoch": "e1"}, ALL[:2][::-1]),
    ({"before": 3, "epoch": "e2"}, ALL[:11][::-1]),
    ({"after": 10, "before": 4, "epoch": "e1"}, []),
    ({"after": 4, "before": 6, "epoch": "e1"}, [ALL[3]]),
    ({"after": 9, "order": "newest"}, ALL[18:][::-1]),
]


async def test_a_position_divides_before_from_after(told: Replica) -> None:
    for query, expected in POSITIONS:
        assert texts(await told.get(MESSAGES, **query)) == expected, query


async def test_a_client_can_ask_for_what_followed_an_epoch_without_chat(history: Replica, bus: Bus) -> None:
    silent, next_one = Room(epoch="e1"), Room(epoch="e2", now=NOON + 10)
    await publish(bus, silent.created(), next_one.created(), next_one.says("hi"))
    await history.has("messages", 1)
    await history.has("epochs", 2)

    assert texts(await history.get(MESSAGES, after=3, epoch="e1")) == ["hi"]
    assert texts(await history.get(MESSAGES, before=3, epoch="e1")) == []


async def test_messages_are_filtered_by_sender_and_time(told: Replica) -> None:
    of_bob = await told.get(MESSAGES, sender="bob", limit=3)
    of_connection = await told.get(MESSAGES, sender="c-ana", order="oldest", limit=2)
    span: dict[str, Any] = {"from": "2025-06-15T15:06:40.003Z", "to": "2025-06-15T16:06:40.005+01:00"}
    in_time = await told.get(MESSAGES, order="oldest", **span)

    assert texts(of_bob) == ["e2 number 9", "e2 number 7", "e2 number 5"]
    assert texts(of_connection) == ["e1 number 0", "e1 number 2"]
    assert texts(in_time) == ["e1 number 2", "e1 number 3"]


async def test_text_is_searched_by_words_and_by_parts(history: Replica, bus: Bus) -> None:
    room = Room()
    said = [
        "The quick brown fox",
        "a brown quick dog",
        "Überraschung am Montag",
        "会議は明日です",
        "100% sure_thing",
        "sure thing",
        "back\\slash",
    ]
    await publish(bus, *(room.says(text) for text in said))
    await history.has("messages", len(said))

    async def found(q: str) -> list[str]:
        return texts(await history.get(MESSAGES, q=q, order="oldest"))

    assert await found("quick BROWN") == said[:2]
    assert await found('"quick brown"') == said[:1]
    assert await found("quick -fox") == said[1:2]
    assert await found("fox or dog") == said[:2]
    assert await found("raschung") == said[2:3]
    assert await found("明日") == said[3:4]
    assert await found("0%") == said[4:5]
    assert await found("e_t") == said[4:5]
    assert await found("k\\s") == said[6:]
    assert await found("'; drop table history.messages; --") == []
    assert await found("!!!") == []


async def test_messages_of_all_rooms_are_the_newest_first_and_in_pages(
    history: Replica, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of them were said in the same millisecond."""
    said = []
    for number in range(12):
        room = Room(f"room-{number % 3}", epoch=f"e{number}", now=NOON + number // 2)
        said.append(room.says(f"number {number}", user=("ana", "bob")[number % 2], data=b'{"a": 1}'))
    await publish(bus, *said, Room(app="other").says("theirs"))
    await history.has("messages", 13)

    everything = await every_page(history, "/v1/messages", limit=500)
    assert [message["time"] for message in everything] == sorted((m["time"] for m in everything), reverse=True)
    assert len({message["text"] for message in everything}) == 12
    for limit in (1, 5, 12):
        assert await every_page(history, "/v1/messages", limit=limit) == everything
    [of_room] = [message for message in everything if message["text"] == "number 4"]
    assert [of_room] == (await history.get("/v1/rooms/room-1/messages", q='"number 4"'))["items"]

    monkeypatch.setattr("parley.history.messages.LOOK", 5)
    for query, expected in FOUND:
        found = await every_page(history, "/v1/messages", limit=2, **query)
        assert sorted(message["text"] for message in found) == sorted(expected), query
    beginning = await history.get("/v1/messages", q="number 0", limit=2)
    assert (beginning["items"], beginning["next"] is None) == ([], False), "it says how far it looked"


FOUND: list[tuple[dict[str, Any], list[str]]] = [
    ({"q": "number 1"}, ["number 1", "number 10", "number 11"]),
    ({"q": "number 0"}, ["number 0"]),
    ({"q": "nothing"}, []),
    ({"sender": "ana", "q": "number"}, [f"number {number}" for number in range(0, 12, 2)]),
    ({"sender": "c-bob", "to": "2025-06-15T15:06:40.001Z"}, ["number 1"]),
    ({"from": "2025-06-15T15:06:40.005Z"}, ["number 10", "number 11"]),
]


async def test_names_of_rooms_may_be_anything(history: Replica, bus: Bus) -> None:
    names = ["a/b", "a b", ">", "*", "a\nb", "😀", "a%2Fb", "..", "'", "x" * 1024]
    for name in names:
        await publish(bus, Room(name).says(f"in {name[:9]}"))
    await history.has("messages", len(names))

    for name in names:
        assert texts(await history.get(f"/v1/rooms/{_encoded(name)}/messages")) == [f"in {name[:9]}"]


def _encoded(name: str) -> str:
    return "".join(f"%{byte:02X}" for byte in name.encode())


OUT_OF_RANGE: list[tuple[str, dict[str, Any]]] = [
    (MESSAGES, {"limit": 0}),
    (MESSAGES, {"limit": 501}),
    (MESSAGES, {"limit": "many"}),
    (MESSAGES, {"after": -1}),
    (MESSAGES, {"before": 2**63}),
    (MESSAGES, {"before": "x"}),
    (MESSAGES, {"cursor": "nonsense"}),
    (MESSAGES, {"cursor": "WyJuZXdlc3QiLDFlMzAsImUiLDFd"}),  # a time beyond all calendars
    (MESSAGES, {"order": "sideways"}),
    (MESSAGES, {"sender": ""}),
    (MESSAGES, {"sender": "x" * 1025}),
    (MESSAGES, {"q": ""}),
    (MESSAGES, {"q": "x" * 257}),
    (MESSAGES, {"from": "yesterday"}),
    (MESSAGES, {"from": "2026-01-01T00:00:00"}),
    (MESSAGES, {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}),
    ("/v1/rooms/" + "x" * 1025 + "/messages", {}),
    ("/v1/rooms/a%00b/messages", {}),
    ("/v1/rooms/%FF/messages", {}),
    ("/v1/calls", {"limit": 0}),
    ("/v1/calls", {"state": "over"}),
    ("/v1/calls", {"cursor": "WzEsMl0"}),
    ("/v1/calls", {"to": "2026-13-01T00:00:00Z"}),
    ("/v1/calls", {"user": ""}),
    ("/v1/calls", {"user": "a\0b"}),
    ("/v1/calls", {"q": ""}),
    ("/v1/calls", {"q": "x" * 257}),
    ("/v1/calls", {"q": "a\0b"}),
    ("/v1/calls", {"room": "a\0b"}),
    ("/v1/calls/count", {"q": "a\0b"}),
    ("/v1/calls/count", {"limit": 5}),
    ("/v1/calls/count", {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}),
    ("/v1/calls/call-0/quality", {"cursor": "WzEsMl0"}),
    ("/v1/calls/call-0/quality", {"limit": 501}),
    ("/v1/calls/a%00b", {}),
    ("/v1/calls/a%00b/quality", {}),
    ("/v1/messages", {"q": "a\0b"}),
    ("/v1/messages", {"sender": "a\0b"}),
    ("/v1/messages", {"sender": ""}),
    ("/v1/messages", {"order": "oldest"}),
    ("/v1/messages", {"cursor": "WyJuZXdlc3QiLDEsImUiLDFd"}),
    ("/v1/messages", {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}),
    (MESSAGES, {"q": "a\0b"}),
    (MESSAGES, {"sender": "a\0b"}),
]


async def test_a_query_out_of_range_is_a_bad_request(history: Replica) -> None:
    for path, query in OUT_OF_RANGE:
        problem = await history.get(path, status=400, **query)

        assert problem["code"] == "bad_request", (path, query)
        assert len(problem["message"]) > 10


async def test_a_cursor_of_the_other_order_is_refused(told: Replica) -> None:
    page = await told.get(MESSAGES, limit=1, order="newest")

    assert (await told.get(MESSAGES, 400, cursor=page["next"], order="oldest"))["code"] == "bad_request"


async def test_an_epoch_that_never_was_is_not_found(told: Replica) -> None:
    assert (await told.get(MESSAGES, 404, after=1, epoch="e9"))["code"] == "not_found"


async def test_a_room_nobody_spoke_in_is_empty(history: Replica) -> None:
    assert await history.get("/v1/rooms/nobody/messages") == {"items": [], "next": None}
    assert await history.get("/v1/rooms/nobody/messages", after=3) == {"items": [], "next": None}


@pytest.fixture
async def called(history: Replica, bus: Bus) -> Replica:
    """Give a history of five calls; one lasts."""
    said = []
    for number in range(5):
        room = Room(f"room-{number % 2}", now=NOON + 1000 * number)
        said.append(room.calls(f"call-{number}", "ana", "bob"))
        if number < 4:
            room.now += 500
            reason = "expired" if number else "left"
            said.append(room.hangs_up(f"call-{number}", "ana", "bob", "cid", began=NOON + 1000 * number, reason=reason))  # type: ignore[arg-type] # mypy takes it for any text
    await publish(bus, *said)
    await history.has("calls", 5)
    await history.acknowledged()
    return history


def ids(page: Any) -> list[str]:
    return [call["id"] for call in page["items"]]


async def test_a_call_tells_who_took_part_how_long_it_lasted_and_how_it_ended(called: Replica) -> None:
    call = await called.get("/v1/calls/call-0")

    assert {**call, "participants": len(call["participants"])} == {
        "id": "call-0",
        "room": "room-0",
        "epoch": "e1",
        "state": "ended",
        "startedAt": "2025-06-15T15:06:40.000Z",
        "endedAt": "2025-06-15T15:06:40.501Z",
        "durationMs": 501,
        "reason": "left",
        "traceId": None,
        "traceUrl": None,
        "setupMs": None,
        "firstAnswerMs": None,
        "firstMediaMs": None,
        "ownTraceId": None,
        "ownTraceUrl": None,
        "steps": [],
        "participants": 3,
    }
    assert call["participants"][0] == {
        "connectionId": "c-ana",
        "userId": "ana",
        "joinedAt": "2025-06-15T15:06:40.000Z",
        "leftAt": "2025-06-15T15:06:40.501Z",
    }


async def test_a_call_that_lasts_has_no_end(called: Replica) -> None:
    call = await called.get("/v1/calls/call-4")

    assert (call["state"], call["endedAt"], call["durationMs"], call["reason"]) == ("active", None, None, None)
    assert [who["leftAt"] for who in call["participants"]] == [None, None]


async def test_calls_are_listed_the_latest_first_and_in_pages(called: Replica) -> None:
    found = await every_page(called, "/v1/calls", limit=2)

    assert [call["id"] for call in found] == ["call-4", "call-3", "call-2", "call-1", "call-0"]


CALLS: list[tuple[dict[str, Any], list[str]]] = [
    ({"room": "room-1"}, ["call-3", "call-1"]),
    ({"user": "cid"}, ["call-3", "call-2", "call-1", "call-0"]),
    ({"user": "c-bob", "room": "room-0"}, ["call-4", "call-2", "call-0"]),
    ({"user": "nobody"}, []),
    ({"state": "active"}, ["call-4"]),
    ({"state": "ended", "limit": 1}, ["call-3"]),
    ({"from": "2025-06-15T15:06:42.000Z"}, ["call-4", "call-3", "call-2"]),
    ({"from": "2025-06-15T15:06:41.000Z", "to": "2025-06-15T15:06:42.000Z"}, ["call-1"]),
    ({"q": "M-1"}, ["call-3", "call-1"]),
    ({"q": "CID"}, ["call-3", "call-2", "call-1", "call-0"]),
    ({"q": "c-b", "state": "active"}, ["call-4"]),
    ({"q": "c_b"}, []),
    ({"q": "%"}, []),
]


async def test_calls_are_filtered(called: Replica) -> None:
    for query, expected in CALLS:
        assert ids(await called.get("/v1/calls", **query)) == expected, query
        if "limit" not in query:
            assert await called.get("/v1/calls/count", **query) == {"count": len(expected)}, query


async def test_a_call_that_never_was_is_not_found(called: Replica) -> None:
    assert (await called.get("/v1/calls/nothing", 404))["code"] == "not_found"
    assert (await called.get("/v1/calls/call-0", 404, app="other"))["code"] == "not_found"


@pytest.fixture
async def guarded(called: Replica) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the same history in production, where a token is needed."""
    app = history_api(called.db, Tokens(secret=SECRET), development=False)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://history") as client:
        yield client


def bearer(**grants: Any) -> dict[str, str]:
    return {"Authorization": "Bearer " + mint(SECRET, expires_at=4_000_000_000, **grants)}


READER = bearer(rooms={"room-0": ["history"]})
MEMBER = bearer(rooms={"room-0": ["join", "send"]})
ROOM_ADMIN = bearer(rooms={"room-*": ["admin"]})
ADMIN = bearer(grants=["admin"])
STRANGER = bearer(app="other", grants=["admin"])


GRANTS: list[tuple[str, dict[str, str], int]] = [
    ("/v1/rooms/room-0/messages", {}, 401),
    ("/v1/rooms/room-0/messages", MEMBER, 403),
    ("/v1/rooms/room-0/messages", READER, 200),
    ("/v1/rooms/room-1/messages", READER, 403),
    ("/v1/rooms/room-1/messages", ROOM_ADMIN, 200),
    ("/v1/rooms/room-1/messages", ADMIN, 200),
    ("/v1/calls", {}, 401),
    ("/v1/calls", READER, 403),
    ("/v1/calls", ADMIN, 200),
    ("/v1/calls?room=room-0", READER, 200),
    ("/v1/calls?room=room-0", MEMBER, 403),
    ("/v1/calls/call-0", READER, 200),
    ("/v1/calls/call-1", READER, 404),
    ("/v1/calls/call-0", STRANGER, 404),
    ("/v1/calls/call-0/quality", {}, 401),
    ("/v1/calls/call-0/quality", READER, 200),
    ("/v1/calls/call-0/quality", MEMBER, 404),
    ("/v1/calls/call-1/quality", READER, 404),
    ("/v1/calls/call-1/quality", ROOM_ADMIN, 200),
    ("/v1/calls/call-0/quality", STRANGER, 404),
    ("/v1/calls/count", READER, 403),
    ("/v1/calls/count?room=room-0", READER, 200),
    *(
        (path, headers, status)
        for path in ("/v1/messages", "/v1/analytics/calls", "/v1/analytics/activity", "/v1/calls/count")
        for headers, status in (({}, 401), (READER, 403), (ROOM_ADMIN, 403), (ADMIN, 200), (STRANGER, 200))
    ),
]


async def test_a_grant_is_needed(guarded: httpx.AsyncClient) -> None:
    for path, headers, status in GRANTS:
        answer = await guarded.get(path, headers=headers)

        assert answer.status_code == status, (path, answer.text)


async def test_another_app_learns_nothing(guarded: httpx.AsyncClient) -> None:
    assert (await guarded.get("/v1/calls", headers=STRANGER)).json() == {"items": [], "next": None}
    assert (await guarded.get("/v1/messages", headers=STRANGER)).json() == {"items": [], "next": None}
    assert (await guarded.get("/v1/calls/count", headers=STRANGER)).json() == {"count": 0}
    span = "step=hour&from=2025-06-15T15:00:00Z&to=2025-06-15T16:00:00Z"
    for what, counter in (("calls", "calls"), ("activity", "callsStarted")):
        url = f"/v1/analytics/{what}?{span}"
        [theirs] = (await guarded.get(url, headers=STRANGER)).json()["items"]
        [ours] = (await guarded.get(url, headers=ADMIN)).json()["items"]
        assert (theirs[counter], ours[counter]) == (0, 5)


async def test_the_documentation_describes_the_page_of_messages(history: Replica) -> None:
    described = await history.get("/openapi.json")

    answer = described["paths"]["/v1/rooms/{room}/messages"]["get"]["responses"]["200"]
    item = answer["content"]["application/json"]["schema"]["properties"]["items"]["items"]
    assert set(item["properties"]) >= {"room", "epoch", "position", "id", "from", "userId", "text", "data", "time"}
