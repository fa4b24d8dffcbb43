"""``parley function`` over a real NATS, with the processes it starts."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from textwrap import dedent

import psutil
import pytest
import pytest_asyncio
from support.eventually import eventually
from support.function import WITHIN, Answered, Served, function, until
from support.otlp import OtlpReceiver

from parley.cli.embedded import Nats, Server

HANDLERS = """
    import asyncio, json, logging, os, sys, time
    from pathlib import Path

    logging.getLogger().setLevel("INFO")
    count = 0

    def echo(event, context):
        return {"statusCode": 200, "body": event}

    def pid(event, context):
        time.sleep(0.05)
        return os.getpid()

    def known(event, context):
        print("printed")
        logging.info("logged")
        return {"arn": context.invoked_function_arn, "name": context.function_name, "id": context.aws_request_id,
                "memory": context.memory_limit_in_mb, "group": context.log_group_name,
                "left": context.get_remaining_time_in_millis(), "identity": context.identity.cognito_identity_id,
                "environ": dict(os.environ)}

    async def later(event, context):
        global count
        count += 1
        most = count
        while count < event:
            await asyncio.sleep(0.01)
        return most

    def together(event, context):
        global count
        count += 1
        while count < event:
            time.sleep(0.01)
        return count

    def raises(event, context):
        raise LookupError("no such room")

    def odd(event, context):
        return {1, 2}

    def hangs(event, context):
        if event == "hang":
            Path("hangs").touch()
            while True:
                pass
        return os.getpid()

    def leaves(event, context):
        if event == "kill":
            os.kill(os.getpid(), 9)
        if event == "exit":
            sys.exit(3)
        return os.getpid()

    def alone(event, context):
        global count
        count += 1
        most = count
        time.sleep(0.02)
        count -= 1
        return most

    async def alone_too(event, context):
        global count
        count += 1
        most = count
        await asyncio.sleep(0.02)
        count -= 1
        return most

    def gate(event, context):
        Path(f"begun-{event}").touch()
        while not Path("open").exists():
            time.sleep(0.01)
        Path(f"done-{event}").touch()
        return event

    def trace(event, context):
        return os.environ.get("_X_AMZN_TRACE_ID")

    def large(event, context):
        return event * "x"

    def any(event, context):
        return globals()[event["do"]](event.get("with"), context)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = written(tmp_path)
    yield folder
    (folder / "open").touch()


def written(path: Path) -> Path:
    """Write the handlers into a folder."""
    folder = path / "code"
    folder.mkdir()
    (folder / "app.py").write_text(dedent(HANDLERS))
    return folder


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory, receiver: OtlpReceiver) -> AsyncIterator[Served]:
    path = tmp_path_factory.mktemp("function")
    server = Server(Nats(path / "nats" / "data"))
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    await server.start()
    try:
        arguments = ("app.any", "--route", "$connect", "--timeout", "20")
        async with function(server.url, written(path), *arguments, environ=environ) as served:
            yield served
    finally:
        await server.kill()


@pytest.mark.asyncio(loop_scope="module")
class TestOneCall:
    """What a handler is given and what becomes of its answer, all with one process; its name has a dot for once."""

    async def test_the_event_reaches_the_handler_and_its_result_comes_back(self, served: Served) -> None:
        event = {"do": "echo", "with": {"a": "ä\n"}}
        for route in ("sendMsg", "$connect"):
            answer = await served.ask(event, route=route)
            assert answer == Answered({"statusCode": 200, "body": {"a": "ä\n"}}, None)

    async def test_what_lambda_gives_a_handler_is_there(self, served: Served) -> None:
        (found, error) = await served.ask({"do": "known"})
        await served.says("printed\n")
        await served.says(f"Z\t{found['id']}\tlogged\n")

        assert error is None
        assert found["name"] == found["environ"]["AWS_LAMBDA_FUNCTION_NAME"] == "app-any"
        assert found["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:app-any"
        assert (found["memory"], found["group"], found["identity"]) == ("128", "/aws/lambda/app-any", None)
        assert 0 < found["left"] <= 20_000
        assert found["environ"]["AWS_REGION"] == "us-east-1"

    async def test_what_a_handler_raises_is_told_as_lambda_tells_it(self, served: Served) -> None:
        found, error = await served.ask({"do": "raises"})
        await served.says("LookupError: no such room")

        assert error == "Unhandled"
        assert (found["errorType"], found["errorMessage"]) == ("LookupError", "no such room")
        assert len(found["stackTrace"]) == 2
        assert all('app.py", line' in line for line in found["stackTrace"])

    async def test_what_is_no_json_is_an_error_of_the_runtime(self, served: Served) -> None:
        found, error = await served.ask({"do": "odd"})
        wrong = await served.client.request("parley.route.default.sendMsg", b"{", timeout=WITHIN)

        assert error == "Unhandled"
        assert found["errorType"] == "Runtime.MarshalError"
        assert found["errorMessage"] == "Unable to marshal response: Object of type set is not JSON serializable"
        assert json.loads(wrong.data)["errorType"] == "Runtime.UnmarshalError"

    async def test_a_result_that_nats_does_not_take_is_told(self, served: Served) -> None:
        found, error = await served.ask({"do": "large", "with": 2 << 20})
        assert (await served.ask({"do": "large", "with": 5})).result == "xxxxx"

        assert (error, found["errorType"]) == ("Unhandled", "Function.ResponseSizeTooLarge")

    async def test_it_is_a_part_of_its_callers_trace(self, served: Served, receiver: OtlpReceiver) -> None:
        trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
        found, _ = await served.ask({"do": "trace"}, headers={"traceparent": f"00-{trace}-{parent}-01"})
        await eventually(lambda: None if trace in receiver.traces else "there is no span", WITHIN)
        (span,) = receiver.traces[trace]

        assert (span.name, span.parent_id) == ("process parley.route.{app}.{route}", parent)
        assert found == f"Root=1-0af76519-16cd43dd8448eb211c80319c;Parent={span.span_id};Sampled=1"


@pytest.mark.parametrize("handler", ["later", "together"])
async def test_as_many_at_once_as_it_says(nats_url: str, folder: Path, handler: str) -> None:
    """Each waits until three are there."""
    async with function(nats_url, folder, f"app:{handler}", "--concurrency", "3") as served:
        answers = await asyncio.gather(*(served.ask(3) for _ in range(3)))

    assert [answer.error for answer in answers] == [None] * 3


@pytest.mark.parametrize("handler", ["alone", "alone_too"])
async def test_one_at_a_time_unless_it_says_otherwise(nats_url: str, folder: Path, handler: str) -> None:
    async with function(nats_url, folder, f"app:{handler}") as served:
        answers = await asyncio.gather(*(served.ask() for _ in range(20)))

    assert {answer.result for answer in answers} == {1}


async def test_two_commands_share_the_work_and_answer_once(nats_url: str, folder: Path) -> None:
    async with function(nats_url, folder, "app:pid") as one, function(nats_url, folder, "app:pid") as other:
        answers = await asyncio.gather(*(one.ask() for _ in range(40)))

        assert {answer.result for answer in answers} == {*one.copies(), *other.copies()}


async def test_a_handler_that_hangs_times_out_and_its_process_is_replaced(nats_url: str, folder: Path) -> None:
    async with function(nats_url, folder, "app:hangs", "--timeout", "0.5") as served:
        (before,) = served.copies()
        (hung, error), (after, _) = await asyncio.gather(served.ask("hang"), served.ask())

        assert (error, hung["errorType"]) == ("Unhandled", "Sandbox.Timedout")
        assert hung["errorMessage"].endswith("Error: Task timed out after 0.50 seconds")
        assert after != before
        await eventually(lambda: f"{before} lives" if psutil.pid_exists(before) else None, WITHIN)


async def test_what_runs_beside_one_that_times_out_is_finished(nats_url: str, folder: Path) -> None:
    source = """
        import asyncio
        from pathlib import Path

        async def handler(event, context):
            if event == "hang":
                while context.get_remaining_time_in_millis() > 1000:
                    await asyncio.sleep(0.01)
                Path("late").touch()
                await asyncio.Event().wait()
            while not Path("open").exists():
                await asyncio.sleep(0.01)
            return event
    """
    (folder / "two.py").write_text(dedent(source))
    async with function(nats_url, folder, "two:handler", "--concurrency", "2", "--timeout", "3") as served:
        hanging = asyncio.create_task(served.ask("hang"))
        await until(folder / "late")  # so that its time is over first, by far
        beside = asyncio.create_task(served.ask("beside"))
        assert (await hanging).error
        (folder / "open").touch()

        assert (await beside) == Answered("beside", None)


async def test_a_copy_that_dies_is_told_and_started_again(nats_url: str, folder: Path) -> None:
    async with function(nats_url, folder, "app:leaves") as served:
        for how, said in (("kill", "signal: killed"), ("exit", "exit status 3")):
            (before,) = served.copies()
            found, error = await served.ask(how)
            after, _ = await served.ask()

            assert (error, found["errorType"]) == ("Unhandled", "Runtime.ExitError")
            assert found["errorMessage"].endswith(f"Error: Runtime exited with error: {said}")
            assert after != before
            assert served.copies() == [after]


async def test_copies_share_the_work_and_one_that_is_killed_is_replaced_meanwhile(nats_url: str, folder: Path) -> None:
    async with function(nats_url, folder, "app:pid", "--copies", "2") as served:
        answers = await asyncio.gather(*(served.ask() for _ in range(20)))
        assert {answer.result for answer in answers} == set(served.copies())

        killed, _ = served.copies()
        os.kill(killed, signal.SIGKILL)
        await served.says("signal: killed")
        answers = await asyncio.gather(*(served.ask() for _ in range(10)))

        assert [answer for answer in answers if answer.error] == []
        await eventually(lambda: None if len(served.copies()) == 2 else "there is one copy", WITHIN)


async def test_a_handler_that_cannot_be_loaded_any_more_says_so_to_those_who_wait(nats_url: str, folder: Path) -> None:
    async with function(nats_url, folder, "app:leaves") as served:
        (folder / "app.py").write_text("1/0")
        assert (await served.ask("kill")).error
        found, error = await served.ask()
        (folder / "app.py").write_text(dedent(HANDLERS))
        await eventually(lambda: works(served.ask()), WITHIN)

    assert (error, found["errorType"]) == ("Unhandled", "ZeroDivisionError")


async def works(asking: Awaitable[Answered]) -> str | None:
    return (await asking).error


async def test_beyond_what_may_wait_it_refuses(nats_url: str, folder: Path) -> None:
    async with function(nats_url, folder, "app:gate") as served:
        asked = [asyncio.create_task(served.ask("first"))]
        await until(folder / "begun-first")
        asked += [asyncio.create_task(served.ask(n)) for n in range(103)]
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=WITHIN)
        assert done
        (folder / "open").touch()
        answers = await asyncio.gather(*asked)

    refused = [answer.result["errorType"] for answer in answers if answer.error]
    assert refused == ["TooManyRequestsException"] * 3
    assert sorted(answer.result for answer in answers[1:] if not answer.error) == list(range(100))


async def test_told_to_end_it_answers_everything_and_takes_no_more(nats_url: str, folder: Path) -> None:
    async with function(nats_url, folder, "app:gate") as served, function(nats_url, folder, "app:echo") as other:
        asked = [asyncio.create_task(served.ask(f"n{n}")) for n in range(40)]
        await eventually(lambda: None if list(folder.glob("begun-*")) else "none has begun", WITHIN)
        (copy,) = served.copies()
        served.process.terminate()
        await served.says("finishing what has come in")
        after = [asyncio.create_task(served.ask("after")) for _ in range(10)]
        assert [(await answer).result for answer in after] == [{"statusCode": 200, "body": "after"}] * 10
        (folder / "open").touch()

        assert await served.ended() == 0
        assert not psutil.pid_exists(copy)
        answers = await asyncio.gather(*asked)
        assert [answer for answer in answers if answer.error] == []
        assert other.process.returncode is None
        assert done(folder) == sum(isinstance(answer.result, str) for answer in answers) > 0


def done(folder: Path) -> int:
    return len(list(folder.glob("done-*")))


async def test_the_second_signal_ends_it_at_once(nats_url: str, folder: Path) -> None:
    async with function(nats_url, folder, "app:gate") as served:
        asking = asyncio.create_task(served.ask("n"))
        await until(folder / "begun-n")
        served.process.send_signal(signal.SIGINT)
        await served.says("finishing what has come in")
        served.process.terminate()

        assert await served.ended() == -signal.SIGTERM  # and so has its copy, which holds the other end of what it says
        asking.cancel()


async def test_its_copies_end_when_it_is_killed(nats_url: str, folder: Path) -> None:
    async with function(nats_url, folder, "app:hangs", "--copies", "2") as served:
        asking = asyncio.create_task(served.ask("hang"))
        await until(folder / "hangs")
        served.process.kill()

        assert await served.ended() == -signal.SIGKILL
        asking.cancel()


async def test_nats_may_come_and_go(nats_server: Server, folder: Path) -> None:
    async with function(nats_server.url, folder, "app:echo") as served:
        await nats_server.kill()
        await served.says("NATS is away")
        await nats_server.start()
        await served.says("NATS is back")
        await eventually(lambda: None if served.client.is_connected else "the test is not back", WITHIN)

        assert (await served.ask(1)).result["body"] == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nothing:handler",), "Unable to import module 'nothing': No module named 'nothing'"),
        (("app:nothing",), "Handler 'nothing' missing on module 'app'"),
        (("broken:handler", "--copies", "3"), "ZeroDivisionError: division by zero ("),
        (("typo:handler",), "Syntax error in module 'typo'"),
        (("leaving:handler",), "its process ended while it loaded (exit status 5)"),
        (("handler",), "A handler is named as in app:handler"),
        (("app:echo", "--app", "a.b"), "--app takes letters"),
        (("app:echo", "--nats", "nats://127.0.0.1:1"), "NATS does not answer"),
        (("http://127.0.0.1:1", "--copies", "2"), "--copies is of Python handlers"),
    ],
)
async def test_what_is_wrong_is_said_in_a_sentence(
    nats_url: str, folder: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    (folder / "broken.py").write_text("1/0")
    (folder / "typo.py").write_text("def")
    (folder / "leaving.py").write_text("import sys\nsys.exit(5)")
    async with function(nats_url, folder, *arguments, ready=False) as served:
        assert await served.ended() == 1

    assert sentence in served.said
    assert served.said.startswith("parley: ")
    assert served.said.count("\n") == 1


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"PARLEY_APPS": "nowhere.yaml"}, "nowhere.yaml: It cannot be read: No such file or directory."),
        ({"PARLEY_LOG_LEVEL": "loud"}, "PARLEY_LOG_LEVEL must be one of debug, info, warning, error, not 'loud'."),
    ],
)
async def test_a_wrong_variable_is_told(nats_url: str, folder: Path, environ: dict[str, str], sentence: str) -> None:
    async with function(nats_url, folder, "app:echo", environ=environ, ready=False) as served:
        assert await served.ended() == 1

    assert served.said == f"parley: {sentence}\n"


async def test_without_parley_it_says_so(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "parley.cli", "function", "app:handler", "--route", "sendMsg"),
        env={"PATH": os.environ["PATH"], "PARLEY_DATA": str(tmp_path)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()

    assert process.returncode == 1
    assert b"Nothing runs on" in errors
