"""What a room's window did not hold any more, asked of history over REST."""

import asyncio
import json
from typing import Any, Final, cast
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

from parley.client.arrival import Door
from parley.client.errors import ParleyError
from parley.client.frames import ChatPosted, Since

PAGE: Final = 500
MOST: Final = 5_000
"""A program that has missed more had better page through history itself."""
SECONDS: Final = 5.0
"""How long everything else waits for this at most."""
AGAIN_SECONDS: Final = 0.5


class History:
    """Reads chat behind the same front door, as the same client."""

    def __init__(self, door: Door, base: str | None = None) -> None:
        """*base* is the front door, such as ``https://calls.example.com``; by default that of the socket."""
        parts = urlsplit(base or door.url)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        self._base = f"{scheme}://{parts.netloc}{parts.path.rstrip('/') if base else ''}"
        self._door = door

    async def between(self, room: str, since: Since, until: Since) -> list[ChatPosted] | None:
        """Return a room's chat behind one place and up to another, None if it can't be had."""
        found: list[ChatPosted] = []
        try:
            async with asyncio.timeout(SECONDS):
                token = await self._door.bearer()
                while True:
                    fresh = await self._behind(room, since, token)
                    found += [chat for chat in fresh if not _beyond(chat, until)]
                    if not fresh or _reaches(fresh[-1], until):
                        return found
                    since = {"epoch": fresh[-1]["epoch"], "position": fresh[-1]["position"]}
                    if len(found) > MOST:
                        return None
                    if len(fresh) < PAGE:
                        await asyncio.sleep(AGAIN_SECONDS)  # history follows within moments: look once more
        except (OSError, ValueError, LookupError, TypeError, ParleyError):
            return None

    async def _behind(self, room: str, since: Since, token: str | None) -> list[Any]:
        query = {"epoch": since["epoch"], "after": since["position"], "order": "oldest", "limit": PAGE}
        if app := self._door.query.get("app"):
            query["app"] = app
        url = f"{self._base}/v1/rooms/{quote(room, safe='')}/messages?{urlencode(query)}"
        request = Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})  # noqa: S310 - http or https
        answer = await asyncio.to_thread(_get, request)
        return [{"type": "chat", **item} for item in answer["items"]]


def _get(request: Request) -> Any:
    with urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - the base is the program's own
        return json.load(answer)


def _reaches(chat: ChatPosted, until: Since) -> bool:
    return _epoch(chat) == until["epoch"] and chat["position"] >= until["position"]


def _beyond(chat: ChatPosted, until: Since) -> bool:
    return _epoch(chat) == until["epoch"] and chat["position"] > until["position"]


def _epoch(chat: ChatPosted) -> str:
    """Return what REST says of a message besides what the frame has."""
    return str(cast("dict[str, Any]", chat)["epoch"])
