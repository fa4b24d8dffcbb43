"""Events as they happen, over HTTP: a real NATS behind, a real socket before."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from support.eventually import eventually
from support.guests import guests
from support.instance import Instance
from support.said import NOON, Room, publish

from parley.cli.embedded import Server
from parley.history import stream
from parley.history.stream import Viewers, Wanted, streaming
from parley.kit import http as kit_http
from parley.kit.bus import Bus, nats_bus
from parley.kit.http import http
from parley.kit.probes import Probes
from parley.kit.rest import api
from parley.kit.tokens import Tokens, mint
from parley.protocol import subjects

SECRET = "a secret of at least thirty-two characters"
MOST = 3


class Viewer:
    """Somebody who reads a stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.last = ""
        """The last id that was said."""
        self._lines = answer.aiter_lines()

    async def says(self) -> tuple[str, Any]:
        """Return the next event, its name and its data; comments and mere ids are passed over."""
        name, data = "", ""
        async with asyncio.timeout(60):
            while True:
                line = await anext(self._lines)
                field, _, value = line.partition(": ")
                if field == "id":
                    self.last = value
                elif field == "event":
                    name = value
                elif field == "data":
                    data = value
                elif not line and data:
                    return name, json.loads(data)

    async def texts(self, count: int) -> list[str]:
        """Return what the next messages say; nothing else may come between."""
        return [(await self.says())[1]["data"]["text"] for _ in range(count)]


class Service:
    """What serves streams, without the rest of history."""

    def __init__(self, bus: Bus, url: str, viewers: Viewers) -> None:
        self.bus = bus
        self.url = url
        self.viewers = viewers

    @asynccontextmanager
    async def viewer(self, query: str = "", **headers: str) -> AsyncIterator[Viewer]:
        async with (
            httpx.AsyncClient(timeout=15) as client,
            client.stream("GET", f"{self.url}/v1/events?{query}", headers=headers) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                await answer.aread()
            yield Viewer(answer)

    async def consumers(self) -> int:
        info = await self.bus.js.stream_info(subjects.EVENTS)
        return info.state.consumer_count


@asynccontextmanager
async def serving(nats_url: str, tokens: Tokens) -> AsyncIterator[Service]:
    viewers, probes = Viewers(MOST), Probes()
    async with (
        http(probes, "127.0.0.1", 0, grace=1) as address,
        nats_bus(nats_url, "history") as bus,
        probes.mounted(streaming(api("events", tokens, development=False), bus, viewers)),
        viewers,
    ):
        yield Service(bus, f"http://{address}", viewers)


@pytest.fixture
async def service(nats_url: str) -> AsyncIterator[Service]:
    async with serving(nats_url, Tokens(development=True)) as service:
        yield service


async def test_events_are_told_as_they_happen_and_no_other_app_s(service: Service) -> None:
    room, other = Room(), Room(app="b")
    await publish(service.bus, room.says("before"))

    async with service.viewer() as viewer:
        await publish(service.bus, other.says("not ours"), room.says("two\nlines"))
        name, event = await viewer.says()

    assert viewer.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (name, event["type"], viewer.last) == ("message.posted", "message.posted", "3")
    assert (event["subject"], event["data"]["app"], event["data"]["text"]) == ("r1", "default", "two\nlines")


async def test_a_room_a_connection_a_call_and_a_type_select(service: Service) -> None:
    team, cafe = Room("team"), Room("café/1")
    await publish(
        service.bus,
        team.created(),
        team.says("hi", user="ana"),
        team.calls("call-1", "ana", "bob"),
        cafe.says("hello", user="bob"),
        team.hangs_up("call-1", "ana", "bob", began=NOON),
    )
    created, chat, started, ended = "room.created", "message.posted", "call.started", "call.ended"
    for query, names in {
        "": [created, chat, started, chat, ended],
        "room=team": [created, chat, started, ended],
        "room=caf%C3%A9%2F1": [chat],
        "connection=c-bob": [started, chat, ended],
        "connection=c-ana&room=team": [chat, started, ended],
        "call=call-1": [started, ended],
        "type=call.*": [started, ended],
        "type=call.*&type=call.ended&type=room.created&type=room.*&type=room.*": [created, started, ended],
        "type=call.ended&connection=c-bob": [ended],
    }.items():
        async with service.viewer(f"{query}&after=0") as viewer:
            assert [(await viewer.says())[0] for _ in names] == names, query
            assert viewer.last == ("4" if query.startswith("room=caf") else "5"), query


def test_types_that_contain_each_other_are_read_once() -> None:
    """NATS refuses a reader whose subjects overlap."""
    wanted = Wanted(app="a", types=["call.*", "call.ended", "call.*", "calling.off", "room.left", "a.b.*", "a.*", "a"])

    assert wanted.subjects == [
        "parley.events.a.a",
        "parley.events.a.a.>",
        "parley.events.a.call.>",
        "parley.events.a.calling.off",
        "parley.events.a.room.left",
    ]


async def test_it_begins_at_a_time_or_behind_an_event(service: Service) -> None:
    room = Room()
    await publish(service.bus, room.says("one"))
    stored = (await service.bus.js.get_msg(subjects.EVENTS, 1)).time
    assert stored is not None
    await eventually(lambda: time.time() - stored.timestamp() < 0.005)
    between = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment := time.time())) + f"{moment % 1:.6f}"[1:]
    await publish(service.bus, room.says("two"), room.says("three"))

    for query, headers, texts in [
        ("since=10m", {}, ["one", "two", "three"]),
        (f"since={between}Z", {}, ["two", "three"]),
        (f"since={between}%2B00:00", {}, ["two", "three"]),
        ("after=1&since=10m", {}, ["two", "three"]),
        ("after=1", {"Last-Event-ID": "2"}, ["three"]),
    ]:
        async with service.viewer(query, **headers) as viewer:
            assert await viewer.texts(len(texts)) == texts, query


async def test_a_query_that_cannot_be_meant_is_refused(service: Service) -> None:
    for query in ("since=yesterday", "since=10", "since=2026-01-01", "after=-1", "after=x", "type=.*", "type=>",
                  "type=call.*.*", "type=", "room=", "rooms=a", "type=a b", "after=99999999999999999"):  # fmt: skip
        async with service.viewer(query) as viewer:
            assert viewer.answer.status_code == 400, query
            assert viewer.answer.json()["code"] == "bad_request"
    async with service.viewer(**{"Last-Event-ID": "x"}) as viewer:
        assert viewer.answer.status_code == 400


async def test_nothing_is_lost_or_doubled_when_nats_is_killed(service: Service, nats_server: Server) -> None:
    room = Room()
    async with service.viewer("type=message.posted") as viewer, AsyncExitStack() as stack:
        await publish(service.bus, *(room.says(str(number)) for number in range(50)))
        assert await viewer.texts(20) == [str(number) for number in range(20)]
        late = await stack.enter_async_context(service.viewer("after=0"))

        await nats_server.kill()
        assert await viewer.texts(30) == [str(number) for number in range(20, 50)]
        assert (await viewer.says())[0] == "degraded"
        heard = [await late.says()]
        while heard[-1][0] != "degraded":
            heard.append(await late.says())
        await nats_server.start()
        await publish(service.bus, *(room.says(str(number)) for number in range(50, 60)))

        assert (await viewer.says())[0] == "restored"
        assert await viewer.texts(10) == [str(number) for number in range(50, 60)]
        assert viewer.last == "60"
        heard += [await late.says() for _ in range(62 - len(heard))]
        assert [event["data"]["text"] for name, event in heard if "." in name] == [str(number) for number in range(60)]
        assert [name for name, _ in heard if "." not in name] == ["degraded", "restored"]


async def test_where_nats_was_wiped_it_goes_on_with_what_happens_since(service: Service, nats_url: str) -> None:
    room = Room()
    await publish(service.bus, room.says("long ago"), room.says("before"))
    async with service.viewer() as viewer:
        await publish(service.bus, room.says("the end"))
        assert await viewer.texts(1) == ["the end"]

        await service.bus.js.delete_stream(subjects.EVENTS)
        async with nats_bus(nats_url, "another") as bus:
            await publish(bus, room.says("anew"))

        assert await viewer.texts(1) == ["anew"]
        assert viewer.last == "1"


async def test_without_nats_nobody_begins(service: Service, nats_server: Server) -> None:
    await nats_server.kill()
    await eventually(service.bus.connected.is_set)

    async with service.viewer() as viewer:
        assert (viewer.answer.status_code, viewer.answer.json()["code"]) == (503, "degraded")


async def test_who_goes_away_leaves_nothing_behind_and_makes_room(service: Service) -> None:
    async with AsyncExitStack() as others:
        for _ in range(MOST - 1):
            await others.enter_async_context(service.viewer())
        async with service.viewer():
            await eventually(lambda: _is(service, MOST))
            async with service.viewer() as refused:
                assert (refused.answer.status_code, refused.answer.json()["code"]) == (429, "rate_limited")
                assert refused.answer.json()["message"].endswith("close one, or wait.")
                assert refused.answer.headers["retry-after"] == "1"
        await eventually(lambda: len(service.viewers) != MOST - 1)
        async with service.viewer() as viewer:
            assert viewer.answer.status_code == 200

    await eventually(lambda: _is(service, 0))
    assert len(service.viewers) == 0


async def _is(service: Service, number: int) -> str | None:
    found = await service.consumers()
    return None if found == number else f"NATS has {found} consumers"


async def test_who_reads_nothing_is_ended(nats_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """We read no more for it, and then the kernel hangs up."""
    monkeypatch.setattr(stream, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(kit_http, "DEAF_MILLISECONDS", 1000)
    async with serving(nats_url, Tokens(development=True)) as service:
        host, port = service.url.removeprefix("http://").split(":")
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((host, int(port)))
            deaf.sendall(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            await eventually(lambda: _is(service, 1))
            room = Room()
            for _ in range(24):
                await publish(service.bus, *(room.says("x" * 60_000) for _ in range(10)))

            await eventually(lambda: len(service.viewers) > 0)


async def test_who_reads_too_slowly_is_told_so(nats_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STALL_SECONDS", 0.3)
    async with serving(nats_url, Tokens(development=True)) as service, service.viewer() as viewer:
        room = Room()
        with capture_logs() as logs:
            for _ in range(24):
                await publish(service.bus, *(room.says("x" * 60_000) for _ in range(10)))
            await eventually(lambda: not any(log["event"] == "a viewer of events is too slow" for log in logs))

        names: list[str] = []
        while not names or names[-1] != "end":
            names.append((await viewer.says())[0])
        last = int(viewer.last)
    async with serving(nats_url, Tokens(development=True)) as service, service.viewer(f"after={last}") as viewer:
        assert (await viewer.says())[1]["data"]["position"] == last + 1


class TestWhoMayLook:
    @pytest.fixture
    async def guarded(self, nats_url: str) -> AsyncIterator[Service]:
        async with serving(nats_url, Tokens(secret=SECRET)) as service:
            yield service

    async def test_admins_see_all_of_their_app_and_others_the_history_of_their_rooms(self, guarded: Service) -> None:
        mine, theirs, foreign = Room("team-a"), Room("b"), Room("team-a", app="other")
        await publish(guarded.bus, mine.says("mine"), theirs.says("theirs"), foreign.says("foreign"), mine.says("end"))
        admin = _bearer(grants=["admin"])
        member = _bearer(rooms={"team-*": ["history"]})
        joiner = _bearer(rooms={"*": ["join"]})

        async with guarded.viewer("after=0", **admin) as viewer:
            assert await viewer.texts(3) == ["mine", "theirs", "end"]
        async with guarded.viewer("after=0&room=team-a", **member) as viewer:
            assert await viewer.texts(2) == ["mine", "end"]
        for query, headers, status in [
            ("", member, 403),
            ("room=b", member, 403),
            ("connection=c-ana", member, 403),
            ("room=team-a", joiner, 403),
            ("room=team-a", {}, 401),
            ("app=other", admin, 401),
        ]:
            async with guarded.viewer(query, **headers) as viewer:
                assert viewer.answer.status_code == status, query

    async def test_a_token_that_expires_ends_it(self, guarded: Service) -> None:
        async with guarded.viewer(**_bearer(1.5, grants=["admin"])) as viewer:
            name, why = await viewer.says()

            assert (name, why["code"]) == ("end", "token_expired")
            with pytest.raises(StopAsyncIteration):
                await viewer.says()
        assert len(guarded.viewers) == 0


def _bearer(seconds: float = 3600, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {mint(SECRET, expires_at=time.time() + seconds, **claims)}"}


async def test_a_service_that_stops_says_so_at_once(nats_url: str) -> None:
    async with AsyncExitStack() as stack:
        async with serving(nats_url, Tokens(development=True)) as service:
            viewer = await stack.enter_async_context(service.viewer())
        name, why = await viewer.says()

    assert (name, why["code"]) == ("end", "degraded")


async def test_a_silent_stream_shows_that_it_lives(nats_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "COMMENT_SECONDS", 0.1)
    async with serving(nats_url, Tokens(development=True)) as service:
        await publish(service.bus, Room().says("1"))
        async with service.viewer("type=call.*") as viewer:
            lines = viewer.answer.aiter_lines()
            assert [await anext(lines) for _ in range(5)] == ["id: 1", "", ": .", "id: 1", ""]


async def test_it_comes_through_the_front_door_as_it_happens(parley: Instance) -> None:
    """Nothing on the way keeps it back, or packs it."""
    async with guests(parley.url) as world:
        url = f"{parley.url}/v1/events?app={world.app}&type=room.*"
        asked = {"Accept-Encoding": "gzip"}
        async with httpx.AsyncClient(timeout=15) as client, client.stream("GET", url, headers=asked) as answer:
            viewer = Viewer(answer)
            guest = await world.parley()
            await guest.asks("join", room="r")
            first = await viewer.says()
            second = await viewer.says()
            await guest.asks("leave", room="r")
            third = await viewer.says()

    assert "content-encoding" not in answer.headers
    assert [first[0], second[0], third[0]] == ["room.created", "room.joined", "room.left"]
    assert second[1]["data"]["connectionId"] == third[1]["data"]["connectionId"] == guest.id
