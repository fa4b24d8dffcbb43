"""Waiting for a fact, instead of sleeping and hoping."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import httpx

PAUSE_SECONDS = 0.02

Reason: TypeAlias = str | list[str] | bool | None


async def eventually(
    check: Callable[[], Reason | Awaitable[Reason]], within: float = 60, *, pause: float = PAUSE_SECONDS
) -> None:
    """
    Return as soon as *check* has nothing to object to.

    *check* returns None (or anything falsy) when all is well, or else the reason why not, which is what a failing
    test then says. An assertion it raises is a reason too, and so is what REST says, or leaves out, of that which it
    does not know yet. It is asked again every *pause* seconds.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        reason = await _reason(check)
        if not reason:
            return
        if loop.time() > deadline:
            raise AssertionError(f"still not so after {within:g} s: {reason}")
        await asyncio.sleep(pause)


async def _reason(check: Callable[[], Reason | Awaitable[Reason]]) -> Reason:
    try:
        answer = check()
        return await answer if inspect.isawaitable(answer) else answer
    except AssertionError as error:
        return str(error) or "an assertion failed"
    except (LookupError, httpx.HTTPError) as error:
        return repr(error)
