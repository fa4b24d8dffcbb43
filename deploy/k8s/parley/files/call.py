"""What `helm test` runs: two clients exchange an offer and its answer, one says something, and history has it."""

import asyncio
import os
import secrets
import sys
import time
from typing import Any

import httpx

from parley.client import Client, connect
from parley.kit.tokens import mint

SECONDS = 60.0


async def awaited(client: Client, kind: str) -> dict[str, Any]:
    """Return the next frame of a kind."""
    async for frame in client:
        if frame["type"] == kind:
            return dict(frame)
    raise SystemExit(f"The socket ended before {kind!r} came: {client.closed}")


async def call(url: str, room: str, token: str) -> None:
    """Take the steps of a call, and say each."""
    sockets = "ws" + url.removeprefix("http")
    async with connect(sockets, token=token) as ana, connect(sockets, token=token) as bob:
        await ana.join(room)
        await bob.join(room)
        say(f"Two clients are in the room {room}.")

        await ana.signal(bob.connection_id, {"description": {"type": "offer", "sdp": "v=0\r\n"}})
        offer = await awaited(bob, "signal")
        await bob.signal(offer["from"], {"description": {"type": "answer", "sdp": "v=0\r\n"}})
        answer = await awaited(ana, "signal")
        if (offer["data"]["description"]["type"], answer["data"]["description"]["type"]) != ("offer", "answer"):
            raise SystemExit(f"They heard something else: {offer} and {answer}")
        say("An offer was answered.")

        await bob.chat(room, "hello")
        await awaited(ana, "chat")

    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10, trust_env=False) as front_door:
        while True:  # history follows by some tenths of a second
            found = (await front_door.get(f"/v1/rooms/{room}/messages")).raise_for_status().json()["items"]
            if [message["text"] for message in found] == ["hello"]:
                break
            await asyncio.sleep(0.5)
    say("What was said is in history.")


def say(sentence: str) -> None:
    """Print it now, so that a test that hangs shows where."""
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


async def main() -> None:
    """Call, and give up after a while."""
    room = f"helm-test-{secrets.token_hex(6)}"
    token = mint(
        os.environ["PARLEY_TOKEN_SECRET"],
        expires_at=time.time() + 2 * SECONDS,
        subject="helm-test",
        rooms={room: ["join", "send", "history"]},
        grants=["direct"],
    )
    async with asyncio.timeout(SECONDS):
        await call(os.environ["PARLEY_URL"], room, token)


asyncio.run(main())
