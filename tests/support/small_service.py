"""
A service with nothing in it but the kit, for tests that need a whole process.

It says on standard output what it opens and closes. SMALL_FAULT makes something go wrong.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Literal

from parley.kit.http import http
from parley.kit.lifecycle import CannotStart, background, run, until_signalled
from parley.kit.probes import Probes, announce
from parley.kit.settings import Common, Port
from parley.kit.telemetry import messaging, span, telemetry


class Settings(Common, frozen=True, kw_only=True):
    """Each field is SMALL_<FIELD> in the environment."""

    prefix: ClassVar[str] = "SMALL"

    fault: Literal["", "consumer", "return", "opening", "sentence", "cleanup", "slow"] = ""
    """What goes wrong."""
    other_port: Port = 0
    """Another port to listen on."""
    parent: str = ""
    """A traceparent to go on from."""


@asynccontextmanager
async def part(name: str) -> AsyncIterator[None]:
    """Say when it opens and closes."""
    print(f"open {name}", flush=True)  # noqa: T201 - this is how the test sees it
    try:
        yield
    finally:
        print(f"close {name}", flush=True)  # noqa: T201


async def consume(fault: str) -> None:
    """Consume nothing; fail or end if asked to."""
    if fault == "consumer":
        raise LookupError("the consumer broke")
    if fault != "return":
        await asyncio.Event().wait()


@asynccontextmanager
async def opening(fault: str) -> AsyncIterator[None]:
    """Open as slowly, or not at all, as asked to."""
    if fault == "opening":
        print("waiting", flush=True)  # noqa: T201
        await asyncio.Event().wait()
    if fault == "sentence":
        raise CannotStart("The moon is in the wrong house: wait.")
    try:
        yield
    finally:
        if fault == "cleanup":
            raise OSError("could not close")


async def app(scope: Any, _: Any, send: Any) -> None:
    """Answer any request, slowly where the path says so."""
    print(f"asked {scope['path']}", flush=True)  # noqa: T201
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"done"})


async def main(settings: Settings) -> None:
    """Open everything, and wait."""
    probes = Probes()
    async with (
        telemetry("small", settings.otlp_endpoint),
        http(probes, settings.host, settings.http_port) as web,
        http(app, settings.host, settings.other_port),
        part("database"),
        part("bus"),
        opening(settings.fault),
        background(consume(settings.fault), "consumer"),
        probes.mounted(app),
        part("api"),
        probes.ready({}),
    ):
        with span("join", kind="server", parent=settings.parent or None) as joining:
            messaging("send", "parley.in", parent=joining.traceparent).end()
        print(f"traceparent {joining.traceparent}", flush=True)  # noqa: T201
        announce(settings.ready_file, http=web)
        await until_signalled()


if __name__ == "__main__":
    run(main, Settings)
