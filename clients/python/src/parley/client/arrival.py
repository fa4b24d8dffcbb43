"""Arriving at a gateway: a socket is opened, and the server says welcome or why not."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from time import time
from typing import Final

from websockets.exceptions import InvalidStatus

from parley.client.errors import Disconnected, ParleyError
from parley.client.line import Line, dial
from parley.client.session import frame_of, refusal

Token = str | Callable[[], str | Awaitable[str]] | None
"""A JWT, or how to get one: it is asked for before each attempt."""

_UNWELCOME: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


@dataclass(frozen=True)
class Arrival:
    """An open line, on which nothing was said yet but the welcome."""

    line: Line
    welcome: str


@dataclass
class Door:
    """Where and as whom to knock."""

    url: str
    query: Mapping[str, str]
    token: Token
    timeout: float
    attempts: int = 0
    """The number of the last attempt to resume."""

    async def enter(self, resume: Mapping[str, str]) -> Arrival:
        """Open a socket and hear the first frame. Refused, ParleyError and OSError say why not."""
        query = {**self.query, **resume}
        if resume:
            # It rises from one program to the next that takes the connection up, too.
            self.attempts = max(self.attempts + 1, int(time() * 1000))
            query["attempt"] = str(self.attempts)
        async with asyncio.timeout(self.timeout):
            line = await dial(self.url, query, await self.bearer(), self.timeout)
            try:
                return await _welcomed(line)
            except BaseException:
                line.abort()
                raise

    async def bearer(self) -> str | None:
        """Return the token to present now."""
        if not callable(self.token):
            return self.token
        try:
            given = self.token()
            return await given if inspect.isawaitable(given) else given
        except Exception as error:
            raise ParleyError(f"no token could be had: {error!r}") from error


def final(error: Exception) -> bool:
    """Return whether to come again is of no use after this."""
    cause = error.__cause__
    if isinstance(cause, InvalidStatus):
        return cause.response.status_code in _UNWELCOME
    return isinstance(cause, Disconnected) and not cause.reconnect


async def _welcomed(line: Line) -> Arrival:
    try:
        text = await line.receive()
    except Disconnected as end:
        raise ParleyError(f"the server hung up instead of saying welcome: {end}") from end
    frame = frame_of(text)
    if frame["type"] == "welcome":
        return Arrival(line, text)
    if frame["type"] != "error":
        raise ParleyError(f"the server did not say welcome first, but {frame['type']}")
    try:
        await line.receive()
    except Disconnected as end:
        raise refusal(frame) from end
    raise refusal(frame)
