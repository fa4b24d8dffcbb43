"""A WebSocket server that only takes notes, and a client that may break every rule of RFC 6455."""

import asyncio
import contextlib
import os
import struct
from base64 import b64encode
from typing import Any

import websockets

from parley.gateway.door import Accept, Decide, Refuse
from parley.gateway.head import Request
from parley.gateway.server import Server, websocket_server
from parley.gateway.websocket import Limits, WebSocket

TEXT, CONTINUATION, BINARY, CLOSE, PING, PONG = 1, 0, 2, 8, 9, 10


class Notes:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.socket: WebSocket | None = None
        self.texts: list[str] = []
        self.controls = 0
        self.ends: list[tuple[int, str]] = []

    def connected(self, socket: WebSocket) -> None:
        self.socket = socket
        socket.start()

    def received(self, text: bytes) -> None:
        if text == b"break":
            raise RuntimeError("A listener with a bug")
        self.texts.append(text.decode())

    binary = False

    def pinged(self) -> None:
        self.controls += 1

    def looked_at(self) -> None:
        pass

    def closed(self, code: int, reason: str) -> None:
        self.ends.append((code, reason))


class Desk:
    """Opens a server on a free port with the limits of a test."""

    def __init__(self) -> None:
        self._exits = contextlib.AsyncExitStack()
        self.guests: list[Notes] = []
        self.requests: list[Request] = []
        self.server: Server

    async def open(self, decide: Decide | None = None, **limits: Any) -> "Desk":
        self.server = await self._exits.enter_async_context(
            websocket_server("127.0.0.1", 0, decide or self.welcome, Limits(**limits))
        )
        return self

    async def welcome(self, request: Request) -> Accept | Refuse:
        self.requests.append(request)
        notes = Notes()
        self.guests.append(notes)
        return Accept(notes)

    @property
    def url(self) -> str:
        return f"ws://{self.server.address}/"

    async def connect(self, **options: Any) -> websockets.ClientConnection:
        connection = await websockets.connect(self.url, ping_interval=None, proxy=None, **options)
        self._exits.push_async_callback(connection.close)
        return connection

    async def raw(self) -> "Raw":
        raw = await Raw.connect(self.server.port)
        self._exits.callback(raw.hang_up)
        return raw

    async def leave(self) -> None:
        await self._exits.aclose()


class Raw:
    """A client made of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> "Raw":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def upgrade(self, path: str = "/", **headers: str) -> bytes:
        """Shake hands and return the head of the answer."""
        self.write(handshake(path, **headers))
        return await self.reader.readuntil(b"\r\n\r\n")

    def frame(self, opcode: int, payload: bytes = b"", **bits: Any) -> None:
        self.write(frame(opcode, payload, **bits))

    async def read_frame(self) -> tuple[int, bytes]:
        first, second = await self.reader.readexactly(2)
        length = second & 127
        if length == 126:
            (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 15, await self.reader.readexactly(length)

    async def close_code(self) -> int:
        """Read up to the close frame and return its code."""
        while True:
            opcode, payload = await self.read_frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2])

    def hang_up(self) -> None:
        self.writer.transport.abort()


def handshake(path: str = "/", **headers: str) -> bytes:
    """Return a handshake; a keyword replaces a header, None leaves it out."""
    said = {
        "Host": "gateway",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": b64encode(os.urandom(16)).decode(),
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items() if value)
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """Return one frame, legal or not."""
    head = bytearray([(128 if fin else 0) | rsv << 4 | opcode])
    mark = 128 if masked else 0
    if len(payload) < 126:
        head.append(mark | len(payload))
    elif len(payload) < 65536:
        head += bytes([mark | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([mark | 127]) + struct.pack("!Q", len(payload))
    return bytes(head) + (bytes(4) + payload if masked else payload)
