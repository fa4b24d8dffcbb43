"""Handlers behind an address: the Node server of docs/how-to/lambda-handlers.md, and what other servers do wrong."""

import asyncio
import re
import shutil
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent

import pytest
from support.function import WITHIN, Answered, Served, function

from parley.cli.embedded.ports import free_port

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "lambda-handlers.md").read_text()


def snippet() -> str:
    (found,) = re.findall(r"^```js\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


HANDLER = """
    export const handler = async (event, context) => {
      if (event.wrong) throw new RangeError("wrong");
      return { statusCode: 200, body: `${event.body} ${context.awsRequestId}` };
    };
"""


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[str]:
    """Give the address of the page's Node server."""
    (tmp_path / "serve.mjs").write_text(snippet())
    (tmp_path / "index.mjs").write_text(dedent(HANDLER))
    port = free_port("127.0.0.1")
    async with program(shutil.which("node") or "node", "serve.mjs", "index.mjs", str(port), cwd=tmp_path, port=port):
        yield f"http://127.0.0.1:{port}/"


async def test_the_node_server_serves_a_handler(nats_url: str, tmp_path: Path, node: str) -> None:
    async with function(nats_url, tmp_path, node) as served:
        found, error = await served.ask({"body": "hello"})
        failed = await served.ask({"wrong": True})

    assert error is None
    assert re.fullmatch(r"hello [0-9a-f-]{36}", found["body"])
    assert failed == Answered({"errorType": "RangeError", "errorMessage": "wrong"}, "Unhandled")
    assert len([line for line in snippet().splitlines() if line.strip()]) <= 15


SERVER = """
    import asyncio, sys

    at_once = most = 0

    async def answer(reader, writer):
        global at_once, most
        head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode().lower()
        length = int(head.split("content-length:")[1].split()[0])
        body = (await reader.readexactly(length)).decode().strip('"')
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(60 if body == "hang" else 0.05)
        at_once -= 1
        trace = head.split("traceparent:")[1].split()[0] if "traceparent:" in head else ""
        status = {"bad": "502 Bad Gateway", "none": "204 No Content"}.get(body, "200 OK")
        said = {"bad": "<html>", "text": "hello", "none": "", "trace": f'"{trace}"'}.get(body, str(most))
        head = f"HTTP/1.1 {status}\\r\\nConnection: close\\r\\nContent-Length: {len(said)}\\r\\n\\r\\n"
        writer.write((head + said).encode())
        await writer.drain()
        writer.close()

    async def main():
        async with await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[1])) as server:
            await server.serve_forever()

    asyncio.run(main())
"""


@asynccontextmanager
async def program(*argv: str, cwd: Path, port: int) -> AsyncIterator[None]:
    """Run a server until the end of the block, which begins when it listens."""
    process = await asyncio.create_subprocess_exec(*argv, cwd=cwd, stderr=PIPE)
    try:
        async with asyncio.timeout(WITHIN):
            await listens(process, port)
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def listens(process: asyncio.subprocess.Process, port: int) -> None:
    while True:
        assert process.returncode is None
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await writer.wait_closed()
            return


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """Give the address of a server with the faults that servers have."""
    (tmp_path / "server.py").write_text(dedent(SERVER))
    port = free_port("127.0.0.1")
    async with program(sys.executable, "server.py", str(port), cwd=tmp_path, port=port):
        yield f"http://127.0.0.1:{port}/"


async def test_what_a_server_does_wrong_is_told(nats_url: str, tmp_path: Path, address: str) -> None:
    async with function(nats_url, tmp_path, address, "--timeout", "3") as served:
        kinds = [await kind(served, body) for body in ("bad", "text", "hang")]
        assert await served.ask("none") == Answered(None, None)

    assert kinds == ["HttpStatus", "Runtime.UnmarshalError", "Sandbox.Timedout"]


async def kind(served: Served, body: str) -> str:
    """Return what kind of error the answer is."""
    found, error = await served.ask(body)
    assert error == "Unhandled"
    return str(found["errorType"])


async def test_a_server_that_is_away_is_told_and_may_come_back(nats_url: str, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(dedent(SERVER))
    port = free_port("127.0.0.1")
    async with function(nats_url, tmp_path, f"http://127.0.0.1:{port}/") as served:
        assert await kind(served, "x") == "HttpUnreachable"
        async with program(sys.executable, "server.py", str(port), cwd=tmp_path, port=port):
            assert await served.ask("x") == Answered(1, None)


async def test_a_server_gets_no_more_at_once_than_it_says(nats_url: str, tmp_path: Path, address: str) -> None:
    async with function(nats_url, tmp_path, address, "--concurrency", "3") as served:
        answers = await asyncio.gather(*(served.ask("x") for _ in range(12)))

    assert max(answer.result for answer in answers) == 3


async def test_a_server_is_told_the_trace(nats_url: str, tmp_path: Path, address: str) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with function(nats_url, tmp_path, address) as served:
        assert await served.ask("trace", headers={"traceparent": parent}) == Answered(parent, None)


async def test_told_to_end_it_waits_for_the_server(nats_url: str, tmp_path: Path, address: str) -> None:
    async with function(nats_url, tmp_path, address, "--concurrency", "1") as served:
        asked = [asyncio.create_task(served.ask("x")) for _ in range(10)]
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED, timeout=WITHIN)
        served.process.terminate()

        assert await served.ended() == 0
        assert [(await answer).error for answer in asked] == [None] * 10
