"""What a backend does to one connection is asked of the connection's owner, on the log."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
from nats.aio.msg import Msg
from support.eventually import eventually
from support.presence import HOME, id_of

from parley.kit.ask import Ask
from parley.kit.bus import Bus
from parley.protocol import subjects
from parley.protocol.commands import AnyCommand, Batch, PostToConnection, Remove

ANA = id_of(1)

Answer = Callable[[Any], Any]


@asynccontextmanager
async def owner(bus: Bus, answer: Answer) -> AsyncIterator[list[AnyCommand]]:
    """Answer what is asked as an owner would, twice, as an owner that takes over may."""
    heard: list[AnyCommand] = []

    async def reduce(msg: Msg) -> None:
        for event in msgspec.json.decode(msg.data, type=Batch).events:
            command: Any = event.data
            heard.append(command)
            body = answer(command)
            if body is not None:
                for _ in range(2):
                    await bus.say(command.reply, msgspec.json.encode(body))

    subscription = await bus.client.subscribe(subjects.partition_ingress(HOME), cb=reduce)
    await bus.client.flush()
    yield heard
    await subscription.unsubscribe()


async def test_a_message_reaches_the_owner_to_the_letter(http: httpx.AsyncClient, bus: Bus) -> None:
    async with owner(bus, lambda _: {"ok": True}) as heard:
        body = b'{ "data": {"b": 1.0, "a": [1e999, "\\u0000"], "b": 2} }'
        answer = await http.post(f"/v1/connections/{ANA}/messages?app=a", content=body)

    assert (answer.status_code, answer.content) == (204, b"")
    (said,) = heard
    assert isinstance(said, PostToConnection)
    assert (said.app, said.connection) == ("a", ANA)
    assert said.data == '{"b": 1.0, "a": [1e999, "\\u0000"], "b": 2}'


async def test_a_removal_reaches_the_owner(http: httpx.AsyncClient, bus: Bus) -> None:
    async with owner(bus, lambda _: {"ok": True}) as heard:
        answer = await http.delete(f"/v1/connections/{ANA}?app=a")

    assert answer.status_code == 204
    (said,) = heard
    assert isinstance(said, Remove)
    assert (said.app, said.connection) == ("a", ANA)


async def test_a_connection_that_is_over_is_not_found(http: httpx.AsyncClient, bus: Bus) -> None:
    async with owner(bus, lambda _: {"code": "gone", "message": "It is over."}):
        answer = await http.delete(f"/v1/connections/{ANA}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_what_the_owner_refuses_is_refused(http: httpx.AsyncClient, bus: Bus) -> None:
    refusal = {"code": "rate_limited", "message": "Not so fast."}
    async with owner(bus, lambda _: refusal):
        answers = [
            await http.delete(f"/v1/connections/{ANA}"),
            await http.post(f"/v1/connections/{ANA}/messages", json={"data": 1}),
        ]

    assert [(answer.status_code, answer.json()) for answer in answers] == [(429, refusal)] * 2


async def test_silence_is_degraded(http: httpx.AsyncClient) -> None:
    answer = await http.delete(f"/v1/connections/{ANA}")

    assert (answer.status_code, answer.json()["code"]) == (503, "degraded")
    assert answer.headers["retry-after"] == "2"


async def test_questions_of_one_writer_are_numbered_in_the_order_of_the_log(bus: Bus, ask: Ask) -> None:
    """An owner takes a batch for a repetition if a later one came before it."""
    numbers: list[int] = []

    async def look(msg: Msg) -> None:
        batch = msgspec.json.decode(msg.data, type=Batch)
        numbers.append(batch.number)
        for event in batch.events:
            command: Any = event.data
            await bus.say(command.reply, b'{"ok":true}')

    await bus.client.subscribe(subjects.partition_ingress(HOME), cb=look)
    await bus.client.flush()
    await asyncio.gather(
        *(ask(HOME, lambda reply: Remove(app="a", connection=ANA, reply=reply)) for _ in range(100)),
    )

    assert numbers == list(range(1, len(numbers) + 1))


MISSHAPEN = [
    b"", b"{", b"[]", b"1", b"{}", b'{"data": }', b'{"data": 1, "more": 2}', b'{"text": "x"}', b"\xff",
    b'{"data": "\xff"}', b'{"data": "\\ud800"}', b'{"data": ' + b"[" * 100_000 + b"}",
]  # fmt: skip


async def test_a_message_of_another_shape_is_refused(http: httpx.AsyncClient) -> None:
    for body in MISSHAPEN:
        answer = await http.post(f"/v1/connections/{ANA}/messages", content=body)

        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request"), body[:40]


async def test_a_message_has_a_limit(http: httpx.AsyncClient) -> None:
    for size in (130 * 1024, 1 << 20):
        answer = await http.post(f"/v1/connections/{ANA}/messages", json={"data": "x" * size})

        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_no_id_of_ours_is_nobody(http: httpx.AsyncClient) -> None:
    for connection in ("nonsense", "a%2Fb", id_of(1, home=9)):
        answer = await http.delete(f"/v1/connections/{connection}")

        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), connection


async def test_without_nats_nothing_is_written(http: httpx.AsyncClient, nats_server: Any, bus: Bus) -> None:
    await nats_server.kill()
    await eventually(lambda: None if bus.check() else "the bus has not noticed yet")

    answer = await http.delete(f"/v1/connections/{ANA}")

    assert (answer.status_code, answer.json()["code"]) == (503, "degraded")
