"""The gateway as a process: how it starts, how it ends, and what it does not carry about."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import nats
import nats.js.errors
import pytest
import websockets
from support.child import Child, Start
from support.eventually import eventually
from websockets.typing import Subprotocol

from parley.protocol import subjects


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Give a function that starts a gateway, or another program, with arguments and variables."""
    ours = ("GATEWAY_", "PARLEY_", "OTEL_")
    keep = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    children: list[Child] = []

    async def start(*arguments: str, **environ: str) -> Child:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(arguments or ("-m", "parley.gateway")),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=keep | {"PARLEY_MODE": "development", "GATEWAY_READY_FILE": str(tmp_path / "ready")} | environ,
        )
        children.append(Child(process, tmp_path))
        return children[-1]

    yield start
    for child in children:
        if child.process.returncode is None:
            child.process.kill()
        await child.ended()


@pytest.fixture
async def child(start: Start, nats_url: str) -> Child:
    child: Child = await start(NATS_URL=nats_url)
    await child.ready()
    return child


async def test_sigterm_closes_with_1012_tells_the_log_and_gives_the_lease_back(child: Child, nats_url: str) -> None:
    address = json.loads(child.ready_file.read_bytes())["address"]
    async with websockets.connect(f"ws://{address}/", proxy=None) as client:
        await client.send("{}")
        await client.recv()

        child.signal(signal.SIGTERM)

        assert await child.ended() == 0
        await client.wait_closed()
        assert client.close_code == 1012
    connection = await nats.connect(nats_url)
    js = connection.jetstream()
    last = await js.get_last_msg(subjects.INGRESS, subjects.ALL_INGRESS)
    assert b'"command":"closed"' in (last.data or b"")
    with pytest.raises(nats.js.errors.NoKeysError):
        await (await js.key_value(subjects.LEASES)).keys()
    await connection.close()


async def test_while_its_clients_leave_backends_still_reach_it(start: Start, nats_url: str) -> None:
    child = await start(NATS_URL=nats_url, GATEWAY_DRAIN_SECONDS="60")
    await child.ready()
    addresses = json.loads(child.ready_file.read_bytes())
    protocols = [Subprotocol("parley.v1")]
    async with websockets.connect(f"ws://{addresses['address']}/", subprotocols=protocols, proxy=None) as client:
        await client.recv()

        child.signal(signal.SIGTERM)
        assert json.loads(await client.recv())["type"] == "goAway"

        async with httpx.AsyncClient(base_url=f"http://{addresses['http']}") as http:
            readiness = await http.get("/readyz")
            answer = await http.delete("/prod/@connections/nobody")
        assert readiness.status_code == 503
        assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (410, "GoneException")
    assert await child.ended() == 0


async def test_a_killed_gateway_leaves_a_lease_that_ends_by_itself(child: Child, nats_url: str) -> None:
    connection = await nats.connect(nats_url)
    bucket = await connection.jetstream().key_value(subjects.LEASES)
    assert len(await bucket.keys()) == 1

    child.process.kill()
    await child.ended()

    async def gone() -> bool:
        try:
            return bool(await bucket.keys())
        except nats.js.errors.NoKeysError:
            return False

    await eventually(gone)
    await connection.close()


async def test_check_says_what_is_wrong_and_touches_nothing(start: Start) -> None:
    right = await start("-m", "parley.gateway", "--check")
    wrong = await start("-m", "parley.gateway", "--check", GATEWAY_PROT="1")
    open_to_all = await start("-m", "parley.gateway", "--check", PARLEY_MODE="production")

    assert await right.ended() == 0
    assert await wrong.ended() == 2
    assert "GATEWAY_PORT" in wrong.errors
    assert await open_to_all.ended() == 2
    assert "PARLEY_TOKEN_SECRET" in open_to_all.errors


async def test_a_port_in_use_is_said_in_a_sentence(child: Child, start: Start, nats_url: str) -> None:
    port = json.loads(child.ready_file.read_bytes())["address"].rpartition(":")[2]

    second = await start(NATS_URL=nats_url, GATEWAY_PORT=port)

    assert await second.ended() == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in second.errors
    assert "Traceback" not in second.errors


async def test_it_imports_neither_fastapi_nor_sqlalchemy(start: Start) -> None:
    heavy = "('fastapi', 'sqlalchemy', 'pydantic')"
    words = f"import sys, parley.gateway.__main__; print([m for m in {heavy} if m in sys.modules])"
    child = await start("-c", words)

    assert await child.ended() == 0
    assert child.said == ["[]"]
