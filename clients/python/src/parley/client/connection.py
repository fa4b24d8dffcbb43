"""Opening a connection, and keeping it for the length of a block."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from parley.client.arrival import Door, Token
from parley.client.client import Client, TraceSource
from parley.client.gaps import History
from parley.client.session import Session


@asynccontextmanager
async def connect(
    url: str,
    *,
    app: str | None = None,
    token: Token = None,
    metadata: Mapping[str, str] | None = None,
    resume: tuple[str, int] | None = None,
    reconnect: bool = True,
    http: str | None = None,
    traceparent: TraceSource | None = None,
    open_timeout: float = 10,
) -> AsyncIterator[Client]:
    """
    Connect to Parley, and close when the block ends.

    *metadata* becomes the connection's metadata; ``userId`` and ``deviceId`` in it name the user (where no
    *token* does) and the device. *token* may be a function, which is asked before each attempt. *resume* is the
    ``resume_token`` of an earlier client and the ``n`` of the last frame it processed. Raises Refused when Parley
    lets us not in, OSError when it cannot be reached.

    A socket that is lost later on is replaced, unless *reconnect* is False. Where more was missed in a room than
    the server keeps, its chat is read from history over REST: *http* is the front door, if not the host of *url*.

    *traceparent* is asked for each request which trace it belongs to: with OpenTelemetry, that of the current span.
    The server's spans of the request, up to its delivery to others, are then children of it.
    """
    session = Session(resume)
    query = dict(metadata or {})
    if app is not None:
        query["app"] = app
    door = Door(url, query, token, open_timeout)
    arrival = await door.enter(session.resume)
    session.receive(arrival.welcome)
    client = Client(session, door, arrival.line, History(door, http), reconnect=reconnect, traceparent=traceparent)
    running = asyncio.create_task(client.run(), name=f"parley client {client.connection_id}")
    try:
        yield client
    finally:
        await client.close()
        await running
