"""
What `helm test` runs: two clients exchange an offer and its answer, one says something, and history has it.

It needs nothing but what the gateway's image holds.
"""

import asyncio
import json
import os
import secrets
import sys
import time
from typing import Any, Self

import httpx
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from parley.kit.tokens import mint

SECONDS = 60.0


class Client(WSListener):
    """One client: it says requests, and hears frames."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._transport: WSTransport | None = None
        """Set when the socket is open."""

    @classmethod
    async def connect(cls, url: str, token: str) -> Self:
        """Open a socket."""
        headers = {"Sec-WebSocket-Protocol": "parley.v1", "Authorization": f"Bearer {token}"}
        _, client = await ws_connect(cls, url, extra_headers=headers)
        assert isinstance(client, cls)
        return client

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep what to speak into."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Keep what comes, until somebody awaits it; an end is heard as a frame, too."""
        if frame.msg_type == WSMsgType.TEXT:
            self._heard.put_nowait(json.loads(frame.get_payload_as_utf8_text()))
        elif frame.msg_type == WSMsgType.CLOSE:
            self._heard.put_nowait({"type": "closed", "code": frame.get_close_code()})
            transport.disconnect()

    def say(self, action: str, **fields: object) -> None:
        """Make a request."""
        assert self._transport
        self._transport.send(WSMsgType.TEXT, json.dumps({"action": action, "ref": action} | fields).encode())

    async def hear(self, kind: str) -> dict[str, Any]:
        """Return the next frame of a kind; frames in between are no matter, but refusals are."""
        while True:
            frame = await self._heard.get()
            if frame["type"] == kind:
                return frame
            if frame["type"] in ("error", "closed"):
                raise SystemExit(f"{kind!r} was expected, and this came: {frame}")

    async def asked(self, action: str, **fields: object) -> None:
        """Make a request, and wait until it is answered."""
        self.say(action, **fields)
        while (frame := await self._heard.get()).get("ref") != action or frame["type"] == "error":
            if frame["type"] in ("error", "closed"):
                raise SystemExit(f"{action} was answered: {frame}")

    def close(self) -> None:
        """Hang up."""
        assert self._transport
        self._transport.send_close(WSCloseCode.OK)
        self._transport.disconnect()


async def call(url: str, room: str, token: str) -> None:
    """Take the steps of a call, and tell each."""
    ana, bob = [await Client.connect("ws" + url.removeprefix("http"), token) for _ in range(2)]
    await ana.hear("welcome")
    name = (await bob.hear("welcome"))["connectionId"]
    for client in (ana, bob):
        await client.asked("join", room=room)
    tell(f"Two clients are in the room {room}.")

    ana.say("signal", to=name, data={"description": {"type": "offer", "sdp": "v=0\r\n"}})
    offer = await bob.hear("signal")
    bob.say("signal", to=offer["from"], data={"description": {"type": "answer", "sdp": "v=0\r\n"}})
    answer = await ana.hear("signal")
    if [frame["data"]["description"]["type"] for frame in (offer, answer)] != ["offer", "answer"]:
        raise SystemExit(f"They heard something else: {offer} and {answer}")
    tell("An offer was answered.")

    bob.say("chat", room=room, id=secrets.token_hex(8), text="hello")
    await ana.hear("chat")
    ana.close()
    bob.close()
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10, trust_env=False) as front_door:
        while True:  # history follows by some tenths of a second
            found = (await front_door.get(f"/v1/rooms/{room}/messages")).raise_for_status().json()["items"]
            if [message["text"] for message in found] == ["hello"]:
                break
            await asyncio.sleep(0.5)
    tell("What was said is in history.")


def tell(sentence: str) -> None:
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
