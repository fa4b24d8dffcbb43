"""
A stand-in for a service: ready at once, and tells a caller what it was asked.

    python stand_in.py <name>

Supervision and the front door are tested with it, because it starts in no time and can be told to be not ready
(``POST /unready``). What it says of a request: its name, and the request as it arrived.
"""

import asyncio
import json
import os
import signal
import sys

name = sys.argv[1]
why_not = os.environ.get("STAND_IN_BROKEN", "")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    global why_not  # noqa: PLW0603 - a script of one state
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *headers = head.rstrip().split("\r\n")
    method, target, _ = line.split(" ")
    status = "200 OK"
    answer: dict[str, object] = {
        "name": name,
        "port": writer.get_extra_info("sockname")[1],
        "method": method,
        "target": target,
        "headers": {key.lower(): value for key, _, value in (header.partition(": ") for header in headers)},
    }
    if target == "/unready":
        why_not = "It was told to be unready."
    if target == "/readyz" and why_not:
        status, answer = "503 Service Unavailable", {"code": "degraded", "message": why_not}
    if "upgrade: websocket" in head.lower():
        status = "418 A stand-in"
    body = json.dumps(answer).encode()
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    await writer.drain()
    writer.close()


async def main() -> None:
    if name == "migrations":
        return
    if os.environ.get("STAND_IN_REFUSES") == name:
        sys.exit(f"{name} does not feel like it.")
    if os.environ.get("STAND_IN_STUBBORN") == name:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ports = [os.environ[f"{name.upper()}_HTTP_PORT"], *([os.environ["GATEWAY_PORT"]] if name == "gateway" else [])]
    for port in ports:
        await asyncio.start_server(serve, "127.0.0.1", int(port))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
