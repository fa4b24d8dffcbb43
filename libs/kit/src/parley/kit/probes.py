"""
What a process says about itself on its HTTP port: ``/livez``, ``/readyz``, ``/metrics``; and behind them its own API.

Liveness says that the loop turns, nothing else: a restart does not bring a lost database back. Readiness says
whether work should be sent here, and if not, what is missing. Plain ASGI, so that the gateway needs no framework.
"""

import asyncio
import inspect
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from parley.kit import metrics
from parley.kit.telemetry import accepted, span
from parley.protocol.codes import ErrorCode

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Check = Callable[[], Awaitable[str | None] | str | None]
"""Gives None when all is well, else the sentence that says what is missing."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_ANSWERED = metrics.histogram(
    "http_request_seconds",
    "How long REST took until its answer began, by the path's template; what none fits is `other`.",
    "method",
    "route",
    "code",
)
_READY = metrics.gauge(
    "ready",
    "1 or 0: whether all is well with what this process needs to be ready, as it last answered `/readyz`. `process` is "
    "0 while it starts and stops.",
    "need",
)

_PATIENCE = 2.0
_GRACE = 5.0


class Probes:
    """An ASGI app: the probes, and whatever is mounted behind them."""

    def __init__(self) -> None:
        self._why_not: str | None = "This process is starting."
        self._checks: Mapping[str, Check] = {}
        self._asking: dict[str, asyncio.Task[str | None]] = {}
        self._app: App | None = None
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        match scope["path"]:
            case "/livez":
                await _answer(send, 200, {"live": True})
            case "/readyz":
                missing = await self.missing()
                for need in ("process", *self._checks):
                    _READY.labels(need).set(need not in missing)
                if missing:
                    message = " ".join(f"{name}: {sentence}" for name, sentence in missing.items())
                    await _answer(send, 503, {"code": ErrorCode.DEGRADED, "message": message, "missing": missing})
                else:
                    await _answer(send, 200, {"ready": True})
            case "/metrics":
                accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
                await _write(send, 200, *metrics.exposed(accept))
            case _ if self._app:
                await self._pass_on(self._app, scope, receive, send)
            case _ if self._why_not:
                await _answer(send, 503, {"code": ErrorCode.DEGRADED, "message": self._why_not})
            case _:
                await _answer(send, 404, {"code": ErrorCode.NOT_FOUND, "message": "There is nothing at this path."})

    async def missing(self, within: float = _PATIENCE) -> dict[str, str]:
        """Return what keeps this process from being ready, by name; nothing when it is. Checks get so many seconds."""
        if self._why_not:
            return {"process": self._why_not}
        answers = await asyncio.gather(*(self._ask(name, within) for name in self._checks))
        return {name: answer for name, answer in zip(self._checks, answers, strict=True) if answer}

    @asynccontextmanager
    async def mounted(self, app: App) -> AsyncIterator[None]:
        """Serve *app* at all other paths; at the end let the requests in hand finish before what they use closes."""
        self._app = app
        try:
            yield
        finally:
            self._app = None
            self._why_not = self._why_not or "This process is stopping."
            with suppress(TimeoutError):  # whoever is still reading loses the answer: the process has to end
                await asyncio.wait_for(self._idle.wait(), _GRACE)

    @asynccontextmanager
    async def ready(self, checks: Mapping[str, Check]) -> AsyncIterator[None]:
        """Be ready, from here to the end of the block, whenever all *checks* have nothing to say."""
        self._checks = checks
        self._why_not = None
        try:
            yield
        finally:
            self._why_not = "This process is stopping."
            for task in self._asking.values():
                task.cancel()

    async def _ask(self, name: str, within: float) -> str | None:
        """
        Return what the check has to say, or that it says nothing.

        One that hangs is left alone, since to cancel it may take as long as to wait for it, and is not asked again
        meanwhile.
        """
        task = self._asking.get(name)
        if task is None:
            task = self._asking[name] = asyncio.create_task(_answer_of(self._checks[name]))
            task.add_done_callback(lambda _: self._asking.pop(name, None))
        done, _ = await asyncio.wait({task}, timeout=within)
        if not done or task.cancelled():
            return f"It does not answer within {within:g} s."
        return task.result()

    async def _pass_on(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        self._busy += 1
        self._idle.clear()
        headers = dict(scope["headers"])
        parent = accepted(headers.get(b"traceparent", b"").decode("latin-1"))
        began = time.perf_counter()
        code = "500"  # what a crash is answered
        took: float | None = None

        async def observed(message: MutableMapping[str, Any]) -> None:
            nonlocal code, took
            if took is None:
                code, took = str(message["status"]), time.perf_counter() - began
            await send(message)

        try:
            with span(scope["method"], kind="server", parent=parent) as request:
                await app(scope, receive, observed)
                if took is not None and code >= "500":
                    request.fail(code)
                if request.recording:
                    request.set("http.response.status_code", int(code))
                if request.recording and (route := _route(scope)):
                    request.rename(f"{scope['method']} {route}")
                    request.set("http.route", route)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            _ANSWERED.labels(method, _route(scope) or "other", code).observe(
                time.perf_counter() - began if took is None else took
            )
            self._busy -= 1
            if not self._busy:
                self._idle.set()


def announce(ready_file: str, *, http: str, address: str | None = None) -> None:
    """Write where the service listens to *ready_file*, if one is named; whoever sees the file sees all of it."""
    if not ready_file:
        return
    target = Path(ready_file)
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    draft.write_bytes(msgspec.json.encode({"address": address, "http": http}) + b"\n")
    draft.replace(target)


def _route(scope: Scope) -> str | None:
    route: str | None = getattr(scope.get("route"), "path", None)
    return route


async def _answer_of(check: Check) -> str | None:
    try:
        answer = check()
        return await answer if inspect.isawaitable(answer) else answer
    except Exception as error:  # noqa: BLE001 - whatever a dead dependency raises, the probe has an answer
        return f"{type(error).__name__}: {error}"


async def _answer(send: Send, status: int, body: object) -> None:
    await _write(send, status, msgspec.json.encode(body), "application/json")


async def _write(send: Send, status: int, content: bytes, kind: str) -> None:
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
