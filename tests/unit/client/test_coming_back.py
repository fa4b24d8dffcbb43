"""The client loses its socket, and a server that says what the test wrote down sees it come back."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.eventually import eventually
from support.scripted import Scripted, Visit, scripted_server

from parley.client import Client, Disconnected, Interrupted, backoff, connect
from parley.client import client as module
from parley.client.frames import ChatPosted, Since
from parley.client.gaps import History

FINAL = [1008, 4500, 4501, 4503, 4504, 4505, 4999]
NOT_FINAL = [1001, 1006, 1011, 1012, 4008, 4009, 4029, 4499]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.002)
    monkeypatch.setattr(backoff, "CAP_SECONDS", 0.01)


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    async with scripted_server() as server:
        yield server


@asynccontextmanager
async def opened(server: Scripted, **options: Any) -> AsyncIterator[tuple[Client, Visit]]:
    """Give a client that is welcome, and the server's side of its socket."""
    connecting = connect(server.url, **options)
    entering = asyncio.create_task(connecting.__aenter__())
    visit = await server.visit()
    await visit.welcome()
    client = await entering
    try:
        yield client, visit
    finally:
        await connecting.__aexit__(None, None, None)


async def test_a_lost_socket_is_replaced_with_the_token_and_the_last_n(server: Scripted) -> None:
    async with opened(server) as (client, visit):
        await visit.say(type="signal", data=1, n=4096, **{"from": "c9"})
        await client.receive()
        visit.cut()
        back = await server.visit()
        await back.welcome(resumed=True)
        await back.say(type="signal", data=1, n=4096, **{"from": "c9"})
        await back.say(type="signal", data=2, n=4097, **{"from": "c9"})

        assert (back.query["resume"], back.query["n"]) == ("token of c1", "4096")
        assert dict(await client.receive())["data"] == 2
        assert (client.resumed, client.connection_id) == (True, "c1")


async def test_each_attempt_has_a_higher_number_than_all_before_it(server: Scripted) -> None:
    """Also than those of an earlier program that had this connection."""
    before = int(time.time() * 1000)
    async with opened(server) as (_, visit):
        visit.cut()
        numbers = []
        for _ in range(3):
            back = await server.visit()
            numbers.append(int(back.query["attempt"]))
            back.cut()

        assert "attempt" not in visit.query
        assert before <= numbers[0] < numbers[1] < numbers[2]


async def test_who_asked_is_answered_whatever_became_of_the_socket(server: Scripted) -> None:
    async with opened(server) as (client, visit), asyncio.TaskGroup() as tasks:
        first, second = (tasks.create_task(client.send("r", number)) for number in (1, 2))
        unanswered = [await visit.hear(), await visit.hear()]
        visit.cut()
        back = await server.visit()
        third = tasks.create_task(client.send("r", 3))
        await back.welcome(resumed=True)
        repeated = [await back.grant("send") for _ in range(3)]

        assert repeated[:2] == unanswered
        assert [dict(await each)["ref"] for each in (first, second, third)] == [frame["ref"] for frame in repeated]


async def test_a_request_says_which_trace_it_belongs_to_and_says_the_same_again(server: Scripted) -> None:
    active = iter(["00-1-a-01", "00-2-b-01"])
    async with opened(server, traceparent=lambda: next(active, None)) as (client, visit), asyncio.TaskGroup() as asking:
        asking.create_task(client.presence("available"))
        asking.create_task(client.signal("b", 1))
        first = [await visit.hear(), await visit.hear()]
        visit.cut()
        back = await server.visit()
        await back.welcome(resumed=True)
        again = [await back.hear(), await back.hear()]
        for request in again:
            await back.say(type="ok", ref=request["ref"])

    assert [request["traceparent"] for request in first] == ["00-1-a-01", "00-2-b-01"]
    assert again == first


@pytest.mark.parametrize("said", [lambda: None, lambda: 7, lambda: str(1 // 0)])
async def test_a_trace_that_cannot_be_had_keeps_no_request_from_being_made(server: Scripted, said: Any) -> None:
    async with opened(server, traceparent=said) as (client, visit), asyncio.TaskGroup() as asking:
        asking.create_task(client.signal("b", 1))
        request = await visit.hear()
        await visit.say(type="ok", ref=request["ref"])

    assert "traceparent" not in request


async def test_requests_made_without_a_socket_wait_for_the_next(server: Scripted) -> None:
    async with opened(server) as (client, visit):
        visit.cut()
        await eventually(lambda: "it has not noticed" if client.connected else None)
        asking = asyncio.create_task(client.send("r", 1))
        with pytest.raises(Disconnected):
            await client.write("{}")
        back = await server.visit()
        await back.welcome(resumed=True)
        await back.grant("send")

        assert (await asking)["type"] == "ok"


@pytest.mark.parametrize("code", NOT_FINAL)
async def test_after_most_close_codes_it_comes_back(server: Scripted, code: int) -> None:
    async with opened(server) as (_, visit):
        if code == 1006:
            visit.cut()
        else:
            await visit.close(code)

        assert (await server.visit()).query["resume"] == "token of c1"


@pytest.mark.parametrize("code", FINAL)
async def test_after_the_final_ones_it_does_not(server: Scripted, code: int) -> None:
    async with opened(server) as (client, visit):
        asking = asyncio.create_task(client.ping())
        await visit.hear()
        await visit.close(code, "No.")

        for ending in (asking, client.receive(), client.ping()):
            with pytest.raises(Disconnected) as end:
                await ending
            assert (end.value.code, end.value.reason, end.value.reconnect) == (code, "No.", False)


async def test_a_refusal_on_the_way_back_is_tried_again_unless_its_code_is_final(server: Scripted) -> None:
    async with opened(server) as (client, visit):
        visit.cut()
        for code, close in (("degraded", 1012), ("unauthorized", 4500)):
            back = await server.visit()
            assert back.query["resume"] == "token of c1"
            await back.say(type="error", code=code, message="Not you, not now.", retryAfterMs=1)
            await back.close(close)

        with pytest.raises(Disconnected, match="Not you, not now") as end:
            await client.receive()
        assert end.value.code == 4500


async def test_a_server_that_is_away_is_tried_again_until_it_is_there() -> None:
    async with scripted_server() as first:
        connecting = connect(first.url)
        entering = asyncio.create_task(connecting.__aenter__())
        visit = await first.visit()
        await visit.welcome()
        client = await entering
        port = int(first.url.rpartition(":")[2])
    await eventually(lambda: "it has not noticed" if client.connected else None)

    async with scripted_server(port) as second:
        await (await second.visit()).welcome(resumed=True)
        await eventually(lambda: None if client.connected else "it is not back")
        await connecting.__aexit__(None, None, None)


async def test_a_welcome_that_does_not_come_is_not_waited_for_long(server: Scripted) -> None:
    async with opened(server, open_timeout=0.2) as (_, visit):
        visit.cut()
        mute = await server.visit()
        back = await server.visit()

        assert mute.query["resume"] == back.query["resume"]
        assert await mute.over == 1006


async def test_when_asked_to_go_it_is_elsewhere_before_it_leaves(server: Scripted) -> None:
    async with opened(server) as (client, visit):
        asking = asyncio.create_task(client.send("r", 1))
        await visit.hear()
        await visit.say(type="goAway", reconnectAfterMs=1, deadlineMs=1000, reason="rollout")
        back = await server.visit()
        await visit.say(type="signal", data="still here", n=5, **{"from": "c9"})
        assert (await client.receive())["type"] == "goAway"
        assert dict(await client.receive())["data"] == "still here"
        assert not visit.over.done()
        await back.welcome(resumed=True)
        await back.say(type="signal", data="still here", n=5, **{"from": "c9"})
        await back.say(type="signal", data="new", n=6, **{"from": "c9"})
        await back.grant("send")

        assert await visit.over == 1006
        assert dict(await client.receive())["data"] == "new"
        assert (await asking)["type"] == "ok"


async def test_that_the_old_socket_is_taken_over_by_the_new_one_is_not_the_end(server: Scripted) -> None:
    async with opened(server) as (client, visit):
        await visit.say(type="goAway", reconnectAfterMs=1, deadlineMs=1000, reason="rollout")
        back = await server.visit()
        await visit.close(4503, "This connection was resumed elsewhere.")
        await eventually(lambda: "it has not noticed" if client.connected else None)
        await back.welcome(resumed=True)

        await back.say(type="signal", data=1, n=6, **{"from": "c9"})
        assert (await client.receive())["type"] == "goAway"
        assert (await client.receive())["type"] == "signal"


async def test_a_connection_that_was_forgotten_is_another_one_and_back_in_its_rooms(server: Scripted) -> None:
    async with opened(server) as (client, visit):
        joining = asyncio.create_task(client.join("r"))
        await visit.admit("r", 3)
        await joining
        lost = asyncio.create_task(client.signal("c9", 1))
        await visit.hear()
        visit.cut()
        back = await server.visit()
        await back.welcome("c2")
        chat = {"type": "chat", "room": "r", "position": 4, "id": "m", "from": "c9", "text": "missed", "time": ""}
        join = await back.admit("r", 5, recovered=True, missed=[chat])

        with pytest.raises(Interrupted):
            await lost
        assert join["since"] == {"epoch": "e1", "position": 3}
        assert [(await client.receive())["type"] for _ in range(3)] == ["renewed", "rejoined", "chat"]
        assert client.connection_id == "c2"


@pytest.mark.parametrize("known", [None, [], ["older", "old"]])
async def test_a_gap_is_filled_from_history_before_anything_newer(
    server: Scripted, monkeypatch: pytest.MonkeyPatch, known: list[str] | None
) -> None:
    async def between(_: History, room: str, since: Since, until: Since) -> list[ChatPosted] | None:
        assert (room, since["position"], until["position"]) == ("r", 3, 300)
        frames: Any = None if known is None else [{"type": "chat", "text": text} for text in known]
        return frames  # type: ignore[no-any-return] # as far as the test looks

    monkeypatch.setattr(History, "between", between)
    async with opened(server) as (client, visit):
        joining = asyncio.create_task(client.join("r"))
        await visit.admit("r", 3)
        await joining
        visit.cut()
        back = await server.visit()
        await back.welcome("c2")
        await back.admit("r", 300)
        await back.say(type="chat", room="r", position=301, text="new", n=9)
        frames = [dict(await client.receive()) for _ in range(4 + len(known or ()))]

    assert [frame["type"] for frame in frames[:3]] == ["renewed", "rejoined", "gap"]
    assert frames[2]["filled"] == (known is not None)
    assert [frame["text"] for frame in frames[3:]] == [*(known or ()), "new"]


async def test_a_quiet_path_is_asked_whether_anybody_is_there(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.05)
    connecting = connect(server.url)
    entering = asyncio.create_task(connecting.__aenter__())
    visit = await server.visit()
    await visit.welcome(heartbeatSeconds=0.02)
    client = await entering

    assert (await visit.hear())["action"] == "ping"
    assert (await server.visit()).query["resume"] == "token of c1"
    await connecting.__aexit__(None, None, None)
    assert client.closed


async def test_a_token_that_has_to_be_got_is_got_anew_each_time(server: Scripted) -> None:
    tokens: list[str | Exception] = ["first", OSError("away"), "third"]

    async def token() -> str:
        given = tokens.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    async with opened(server, token=token) as (_, visit):
        assert visit.authorization == "Bearer first"
        visit.cut()

        assert (await server.visit()).authorization == "Bearer third"


async def test_a_refreshed_token_is_the_one_that_the_next_sockets_present(server: Scripted) -> None:
    async with opened(server, token="old") as (client, visit):
        refreshing = asyncio.create_task(client.refresh("fresh"))
        await visit.grant("token", expiresAt=None)
        await refreshing
        visit.cut()

        assert (await server.visit()).authorization == "Bearer fresh"


async def test_closing_without_a_socket_is_closing(server: Scripted) -> None:
    async with opened(server) as (client, visit):
        visit.cut()
        await server.visit()
        asking = asyncio.create_task(client.ping())
        await client.close()

        with pytest.raises(Disconnected) as end:
            await asking
        assert end.value.code == 1000
        assert [frame async for frame in client] == []


async def test_closing_while_another_socket_is_sought_says_goodbye_on_the_present_one(server: Scripted) -> None:
    async with opened(server) as (client, visit):
        await visit.say(type="goAway", reconnectAfterMs=1, deadlineMs=1000, reason="rollout")
        await server.visit()
        await client.close()

        assert await visit.over == 1000


async def test_who_wants_no_reconnecting_gets_none(server: Scripted) -> None:
    async with opened(server, reconnect=False) as (client, visit):
        visit.cut()

        with pytest.raises(Disconnected) as end:
            await client.receive()
        assert (end.value.code, end.value.reconnect) == (1006, True)
