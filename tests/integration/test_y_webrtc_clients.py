"""npm's y-webrtc, unmodified: two processes write one document, over real data channels that Parley helped them to."""

import asyncio
import json
import os
from pathlib import Path
from uuid import uuid4

import pytest
from support.instance import Instance

CLIENTS = Path(__file__).parents[1] / "clients" / "y-webrtc"
SECONDS = 60


async def writes(parley: Instance, path: str, *words: str) -> asyncio.subprocess.Process:
    signaling = parley.url.replace("http", "ws", 1) + path
    return await asyncio.create_subprocess_exec(
        *("node", "sync.mjs", signaling, *words),
        cwd=CLIENTS,
        env={"PATH": os.environ["PATH"]},
        stdin=asyncio.subprocess.PIPE,  # each stays until it ends
        stdout=asyncio.subprocess.PIPE,
    )


async def line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout
    return await process.stdout.readline()


@pytest.mark.parametrize(
    ("path", "password"),
    [("/y-webrtc", []), ("/y-webrtc", ["a secret of two"]), ("/yjs-apigw/prod", [])],
    ids=["open", "with a password", "as behind API Gateway"],
)
async def test_two_processes_write_one_document(parley: Instance, path: str, password: list[str]) -> None:
    room = f"a document, {uuid4()}"
    both: list[asyncio.subprocess.Process] = []
    try:
        async with asyncio.timeout(SECONDS):
            # One after the other: y-webrtc announces itself once; two who do so at once may both wait for the other.
            for names in (("ana", "ben"), ("ben", "ana")):
                both.append(await writes(parley, path, room, *names, *password))
                assert await line(both[-1]) == b"listening\n"
            said = [await line(each) for each in both]
    finally:
        for each in both:
            each.kill()
            await each.communicate()

    assert [json.loads(line) for line in said] == [{"names": ["ana", "ben"], "peers": 1}] * 2
