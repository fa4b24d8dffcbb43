"""Attempts to resume, from the side of the gateway where they are made: what becomes of those that are given up."""

import pytest
from support.gate import Client, Gate

from parley.gateway import lives
from parley.protocol.commands import Closed, Moved, Opened, Resume
from parley.protocol.says import Attached, Gone, Overtaken


async def gives_up(gate: Gate, client: Client) -> None:
    """Let the only client of *gate* vanish, and wait until its heartbeat is missed: nothing is read of it yet."""
    client.socket.transport.abort()
    await gate.server.empty(10)


async def comes_back(gate: Gate, query: str = "") -> tuple[Client, Resume]:
    """Let a client of *gate* come with the token of its first connection; return it, and what its home is asked."""
    before = await gate.client()
    await before.socket.close(4000)
    token = before.welcome["resumeToken"]
    client = Client(await gate.socket(f"/?resume={token}&n=0{query}", subprotocols=["parley.v1"]))
    (asked,) = await gate.logged(Resume)
    return client, asked


@pytest.mark.parametrize(("query", "count"), [("", None), ("&attempt=0", 0), ("&attempt=1767225600000", 1767225600000)])
async def test_the_home_is_told_the_number_of_the_attempt(nats_url: str, query: str, count: int | None) -> None:
    async with Gate(nats_url) as gate:
        _, asked = await comes_back(gate, query)

        assert asked.count == count


@pytest.mark.parametrize("attempt", ["", "-1", "1.5", "x", "1" * 17])
async def test_what_is_no_number_resumes_nothing(nats_url: str, attempt: str) -> None:
    async with Gate(nats_url) as gate:
        before = await gate.client()

        client = await gate.client(f"/?resume={before.welcome['resumeToken']}&n=0&attempt={attempt}")

        assert not client.welcome["resumed"]


async def test_the_number_is_no_metadata(nats_url: str) -> None:
    async with Gate(nats_url, drain_seconds=0.1) as gate:
        client, asked = await comes_back(gate, "&attempt=7&colour=red")
        await gate.tell(Attached(partition=0, session=2, attempt=asked.attempt), asked.connection)
        assert (await client.hear())["resumed"]

        moved = (await gate.logged(Moved, 15))[0]

        assert moved.profile.metadata == {"colour": "red"}


async def test_an_attempt_that_a_later_one_has_overtaken_is_closed(nats_url: str) -> None:
    """It begins no new connection either, which as the same device would replace the one that was resumed."""
    async with Gate(nats_url) as gate:
        client, asked = await comes_back(gate, "&attempt=7&deviceId=d")

        await gate.tell(Overtaken(attempt=asked.attempt), asked.connection)

        assert await client.code() == 4503


async def test_a_client_that_gave_up_before_its_home_answered_gets_its_grace_and_is_ended(nats_url: str) -> None:
    async with Gate(nats_url, grace_seconds=0.5, heartbeat_seconds=0.5) as gate:
        client, asked = await comes_back(gate)
        await gives_up(gate, client)

        await gate.tell(Attached(partition=0, session=2, attempt=asked.attempt), asked.connection)

        closed = await gate.logged(Closed, 17)  # the first session touched one partition, the second all
        assert [end.session for end in closed].count(2) == 16
        assert {(end.connection, end.reason) for end in closed} == {(asked.connection, "expired")}


async def test_a_client_that_gave_up_begins_nothing_new_when_there_is_nothing_to_resume(nats_url: str) -> None:
    async with Gate(nats_url, heartbeat_seconds=0.5) as gate:
        client, asked = await comes_back(gate)
        await gives_up(gate, client)

        await gate.tell(Gone(attempt=asked.attempt), asked.connection)
        other = await gate.client()

        assert [opened.connection for opened in await gate.logged(Opened, 2)] == [asked.connection, other.id]


async def test_who_was_not_answered_in_time_had_better_come_again(
    nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client may be elsewhere by now, where a new connection of the same device would replace it."""
    async with Gate(nats_url) as gate:
        client, asked = await comes_back(gate, "&deviceId=d")
        monkeypatch.setattr(lives, "PATIENCE", 0.0)

        await gate.tell(Gone(attempt=asked.attempt), asked.connection)

        assert await client.code() == 1012
        assert len(await gate.commands(Opened)) == 1


async def test_who_waits_for_an_answer_when_the_gateway_stops_is_sent_elsewhere(nats_url: str) -> None:
    async with Gate(nats_url, drain_seconds=0.1) as gate:
        client, _ = await comes_back(gate)
        await gate._exits.aclose()

        assert await client.code() == 1012
