"""
Messages of one JetStream consumer, pulled as they come.

One request for many messages is always open, so a message costs no round trip of its own (nats-py's ``fetch``
asks anew each time, and for more than one waits out its timeout). The server's heartbeats tell an idle stream
from a server that was restarted and has forgotten the request.
"""

import asyncio
import json
from typing import TYPE_CHECKING, Final, Self

from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription

BATCH: Final = 256
_EXPIRES: Final = 30.0
_HEARTBEAT: Final = 1.0

_HEARTBEAT_STATUS: Final = "100"
_GONE_STATUS: Final = "503"
"""Nobody answers for this consumer: it is gone, or the server is just starting."""


class ConsumerGone(Exception):  # noqa: N818 - it says what happened
    """The consumer is not there any more."""


class Pull:
    """The messages of one consumer. After an error make another one."""

    def __init__(self, nats: Nats, stream: str, consumer: str) -> None:
        self._nats = nats
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = nats.new_inbox()
        self._wanted = 0
        """How many messages the open request may still bring."""
        self._subscription: Subscription | None = None
        """Set while entered."""

    async def __aenter__(self) -> Self:
        self._subscription = await self._nats.subscribe(self._inbox)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._subscription and not self._nats.is_closed:
            await self._subscription.unsubscribe()

    async def next(self) -> Msg:
        """Return the next message, however long it takes; raise ConsumerGone when there will be none."""
        assert self._subscription, "enter it first"
        while True:
            if not self._wanted:
                await self._request()
            try:
                message = await self._subscription.next_msg(timeout=2 * _HEARTBEAT + 1)
            except TimeoutError:
                self._wanted = 0  # not even a heartbeat: whoever had the request has forgotten it
                await asyncio.sleep(0)
                continue
            status = (message.headers or {}).get("Status") if not message.data else None
            if status is None:
                self._wanted -= 1
                return message
            self._heed(status, (message.headers or {}).get("Description", ""))

    def _heed(self, status: str, description: str) -> None:
        if status == _GONE_STATUS or "deleted" in description.lower():
            raise ConsumerGone(description or "nobody answers for it")
        if status != _HEARTBEAT_STATUS:
            self._wanted = 0  # expired, complete, or another leader: ask again

    async def _request(self) -> None:
        wanted = {
            "batch": BATCH,
            "expires": int(_EXPIRES * 1e9),
            "idle_heartbeat": int(_HEARTBEAT * 1e9),
        }
        await self._nats.publish(self._next, json.dumps(wanted).encode(), reply=self._inbox)
        self._wanted = BATCH
