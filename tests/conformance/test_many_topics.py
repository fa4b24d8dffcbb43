"""All documents of a page share one socket (protocols.md 4.2): thousands of topics on it are heard like one."""

import asyncio
import json
from uuid import uuid4

from support.instance import Instance
from websockets.asyncio.client import connect

TOPICS = 3000


async def test_one_socket_has_thousands_of_topics(parley: Instance) -> None:
    run = uuid4().hex[:8]
    topics = [f"{run} {number}" for number in range(TOPICS)]
    url = parley.url.replace("http", "ws", 1) + "/y-webrtc"
    heard = []
    async with asyncio.timeout(60), connect(url, proxy=None) as page, connect(url, proxy=None) as other:
        await page.send(json.dumps({"type": "subscribe", "topics": topics}))
        await page.send(json.dumps({"type": "ping"}))
        assert json.loads(await page.recv()) == {"type": "pong"}

        for topic in topics[:: TOPICS // 10]:
            await other.send(json.dumps({"type": "publish", "topic": topic, "data": 1}))
            heard.append(json.loads(await page.recv()))

    assert [(frame["topic"], frame["clients"]) for frame in heard] == [(topic, 1) for topic in topics[:: TOPICS // 10]]
