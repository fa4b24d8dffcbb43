"""An HTTP listener for the length of a block: uvicorn, with the signals, the logs and the end left to us."""

import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn

from parley.kit.lifecycle import CannotStart, background

if TYPE_CHECKING:
    from parley.kit.probes import App

DEAF_MILLISECONDS: Final = 30_000


@asynccontextmanager
async def http(app: "App", host: str, port: int, *, grace: int = 5) -> AsyncIterator[str]:
    """
    Serve *app* and give the address, as ``host:port``; port 0 takes a free one.

    At the end nothing new is accepted, and requests in hand get *grace* seconds.
    """
    listener = listen(host, port)
    _give_up_on_the_deaf(listener)
    config = uvicorn.Config(
        cast("Any", app),  # uvicorn's own types spell out each message; ours leave them open
        http="httptools",
        ws="none",
        lifespan="off",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=grace,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        async with background(server.main_loop(), name=f"http {address_of(listener)}"):
            yield address_of(listener)
    finally:
        await server.shutdown(sockets=[listener])


def _give_up_on_the_deaf(listener: socket.socket) -> None:
    """
    Let the kernel break connections whose other end takes nothing of an answer for a while.

    uvicorn waits for such a client for ever, with the answer in its hands. Accepted sockets inherit it from *listener*.
    """
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAF_MILLISECONDS)


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket, or say in one sentence why there is none."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotStart(
            f"Cannot listen on {host}: {error.strerror or error}. Set the host to an address of this machine."
        ) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise CannotStart(
            f"Cannot listen on {host}:{port}: {reason}. Stop what uses it, or choose another host and port.",
        ) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """Return ``host:port`` of *listener*, with the brackets of IPv6."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if listener.family == socket.AF_INET6 else f"{host}:{port}"
