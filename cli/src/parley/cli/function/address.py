"""A handler in any language, behind an HTTP address: each event is a POST, and what comes back is the answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import httpx
import msgspec

from parley.cli.function.answer import FUNCTION_ERROR, Answer, failure, timed_out
from parley.cli.function.copies import Work
from parley.cli.function.line import Line, Request, Slots

UNREACHABLE: Final = "HttpUnreachable"
BAD_STATUS: Final = "HttpStatus"
NO_JSON: Final = "Runtime.UnmarshalError"
KEEP_SECONDS: Final = 2.0
"""Less than servers keep a connection that is not used: Node, 5 s."""

_JSON: Final = msgspec.json.Decoder(msgspec.Raw)


class _Error(msgspec.Struct, frozen=True):
    """What a server says that knows Lambda's form of an error."""

    message: str = msgspec.field(name="errorMessage")


@asynccontextmanager
async def address(url: str, concurrency: int, timeout: float, line: Line, work: Work) -> AsyncIterator[None]:  # noqa: ASYNC109 - of each event
    """Send requests of *line* to *url* while the block runs, *concurrency* at once."""
    limits = httpx.Limits(max_connections=None, keepalive_expiry=KEEP_SECONDS)
    async with (
        httpx.AsyncClient(timeout=None, limits=limits, trust_env=False) as client,  # noqa: S113 - ours is around it
        asyncio.TaskGroup() as group,
    ):
        post = partial(_post, client, url, timeout)
        slots = Slots(group, line, lambda request: work(request, post), concurrency)
        yield
        slots.close()


async def _post(client: httpx.AsyncClient, url: str, seconds: float, request: Request) -> Answer:
    headers = {"Content-Type": "application/json", "Lambda-Runtime-Aws-Request-Id": request.id}
    if request.traceparent:
        headers["traceparent"] = request.traceparent
    try:
        async with asyncio.timeout(seconds):
            return _answer(url, request.id, await client.post(url, content=request.payload, headers=headers))
    except TimeoutError:
        return timed_out(request.id, seconds)
    except httpx.HTTPError as error:
        return failure(UNREACHABLE, f"{url} does not answer: {error or type(error).__name__}.", request.id)


def _answer(url: str, request_id: str, response: httpx.Response) -> Answer:
    body = response.content
    if not response.is_success:
        if _is_error(body):
            return Answer(body, failed=True)
        said = f"{url} answered {response.status_code} {response.reason_phrase}".rstrip()
        return failure(BAD_STATUS, f"{said}.", request_id)
    try:
        result = bytes(_JSON.decode(body or b"null"))
    except msgspec.DecodeError as error:
        return failure(NO_JSON, f"{url} answered what is no JSON: {error}.", request_id)
    return Answer(result, failed=FUNCTION_ERROR in response.headers)


def _is_error(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=_Error)
    except msgspec.DecodeError:
        return False
    return True
