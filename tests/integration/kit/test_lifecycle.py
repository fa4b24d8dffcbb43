"""How a process ends: in order, whatever the reason, with an exit code that tells which."""

import asyncio
import signal
import socket

import httpx
import pytest
from support.child import Start
from support.eventually import eventually

from parley.kit.lifecycle import background

CLOSED_IN_ORDER = ["close api", "close bus", "close database"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_closes_everything_in_reverse_order(start: Start, number: signal.Signals) -> None:
    child = await start()
    await child.ready()

    child.signal(number)

    assert await child.ended() == 0
    assert [line for line in child.said if line.startswith("close")] == CLOSED_IN_ORDER
    assert [line["event"] for line in child.logged] == ["stopping", "stopped"]


async def test_a_second_signal_does_not_disturb_the_first(start: Start) -> None:
    """A terminal sends Ctrl-C to the whole group, and the supervisor then says SIGTERM."""
    child = await start()
    address = await child.ready()
    async with httpx.AsyncClient(base_url=f"http://{address}") as client:
        asking = asyncio.create_task(client.get("/slow"))
        await child.says("asked /slow")

        child.signal(signal.SIGINT)
        child.signal(signal.SIGTERM)

        assert (await asking).text == "done"
    assert await child.ended() == 0
    assert [line for line in child.said if line.startswith("close")] == CLOSED_IN_ORDER


async def test_a_request_in_hand_is_answered_before_what_it_uses_closes(start: Start) -> None:
    child = await start()
    address = await child.ready()
    async with httpx.AsyncClient(base_url=f"http://{address}") as client:
        asking = asyncio.create_task(client.get("/slow"))
        await child.says("asked /slow")

        child.signal(signal.SIGTERM)
        await child.says("close api")

        assert "close bus" not in child.said
        assert (await client.get("/readyz")).status_code == 503
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/other")).status_code == 503
        assert (await asking).text == "done"
    assert await child.ended() == 0


@pytest.mark.parametrize(("fault", "reason"), [("consumer", "the consumer broke"), ("return", "consumer ended")])
async def test_a_consumer_that_crashes_ends_the_process_after_cleaning_up(
    start: Start, fault: str, reason: str
) -> None:
    child = await start(SMALL_FAULT=fault)

    assert await child.ended() == 1
    assert [line for line in child.said if line.startswith("close")][-2:] == ["close bus", "close database"]
    [crash] = [line for line in child.logged if line["event"] == "crashed"]
    assert reason in crash["exception"]


async def test_a_crash_while_closing_is_no_success(start: Start) -> None:
    child = await start(SMALL_FAULT="cleanup")
    await child.ready()

    child.signal(signal.SIGTERM)

    assert await child.ended() == 1
    assert child.said[-1] == "close database"


async def test_a_signal_ends_a_process_that_is_still_opening(start: Start) -> None:
    child = await start(SMALL_FAULT="opening")
    await child.says("waiting")

    child.signal(signal.SIGTERM)

    assert await child.ended() == 0
    assert child.said[-2:] == ["close bus", "close database"]


async def test_what_keeps_a_service_from_starting_is_one_sentence(start: Start) -> None:
    child = await start(SMALL_FAULT="sentence")

    assert await child.ended() == 1
    [line] = child.logged
    assert line["event"] == "The moon is in the wrong house: wait."
    assert "Traceback" not in child.errors


async def test_a_port_that_is_taken_is_said_so(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        child = await start(SMALL_HTTP_PORT=str(port))

        assert await child.ended() == 1
    assert child.logged[0]["event"].startswith(f"Cannot listen on 127.0.0.1:{port}: ")
    assert "Traceback" not in child.errors


async def test_wrong_settings_end_the_process_before_it_opens_anything(start: Start) -> None:
    child = await start(SMALL_FALT="consumer", SMALL_HTTP_PORT="eighty")

    assert await child.ended() == 2
    assert child.said == []
    assert "SMALL_FALT is not a setting: did you mean SMALL_FAULT?" in child.errors
    assert "SMALL_HTTP_PORT must be a whole number from 0 to 65535, not 'eighty'." in child.errors


async def test_check_validates_the_settings_and_starts_nothing(start: Start) -> None:
    good, bad = await start("--check"), await start("--check", SMALL_FAULT="what")

    assert await good.ended() == 0
    assert good.said == ["The settings of parley small are valid."]
    assert await bad.ended() == 2


async def test_work_in_the_background_ends_with_its_block() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with background(work(), "work") as task:
        await eventually(lambda: None if not task.done() else "ended early")
        await asyncio.sleep(0)

    assert ended.is_set()


async def test_an_error_in_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(LookupError):
        async with background(asyncio.Event().wait(), "work"):
            raise LookupError
