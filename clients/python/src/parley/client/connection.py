"""Opening a connection, and keeping it for the length of a block."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from websockets.asyncio import client as websocket
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from parley.client.client import Client
from parley.client.errors import ParleyError, Refused
from parley.client.session import Session

SUBPROTOCOL = Subprotocol("parley.v1")

LARGEST_FRAME = 64 * 1024 * 1024
"""What a server may send at once: the answer to joining a large room is large."""

_CODES = {400: "bad_request", 401: "unauthorized", 403: "not_allowed", 404: "not_found", 429: "rate_limited"}


@asynccontextmanager
async def connect(
    url: str,
    *,
    app: str | None = None,
    token: str | None = None,
    metadata: Mapping[str, str] | None = None,
    resume: tuple[str, int] | None = None,
    open_timeout: float = 10,
) -> AsyncIterator[Client]:
    """
    Connect to Parley, and close when the block ends.

    *metadata* becomes the connection's metadata; ``userId`` and ``deviceId`` in it name the user (where no
    *token* does) and the device. *resume* is the ``resume_token`` of an earlier client and the ``n`` of the
    last frame it processed. Raises Refused when Parley lets us not in, OSError when it cannot be reached.
    """
    session = Session()
    query = dict(metadata or {})
    if app is not None:
        query["app"] = app
    if resume is not None:
        query |= {"resume": resume[0], "n": str(resume[1])}
        session.n = resume[1]
    socket = await _open(_with_query(url, query), token, open_timeout)
    async with socket:
        async with asyncio.timeout(open_timeout):
            client = await Client(session, socket).welcomed()
        reader = asyncio.create_task(client.run(), name=f"parley client {client.connection_id}")
        try:
            yield client
        finally:
            await client.close()
            await reader


async def _open(url: str, token: str | None, timeout: float) -> websocket.ClientConnection:  # noqa: ASYNC109 - passed on
    try:
        return await websocket.connect(
            url,
            subprotocols=[SUBPROTOCOL],
            additional_headers={"Authorization": f"Bearer {token}"} if token else None,
            compression=None,
            max_size=LARGEST_FRAME,
            open_timeout=timeout,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        code = _CODES.get(status, "internal")
        raise Refused(code, f"the handshake was answered with status {status}") from error
    except InvalidHandshake as error:
        raise ParleyError(f"{url.partition('?')[0]} does not speak parley.v1: {error}") from error


def _with_query(url: str, query: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    together = [*parse_qsl(parts.query, keep_blank_values=True), *query.items()]
    return urlunsplit((scheme, parts.netloc, parts.path or "/", urlencode(together), ""))
