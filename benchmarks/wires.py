"""What is written on the wire: three ways to say the same few things."""

from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

MARK: Final = b"@@"
"""Where a message's stamp begins; nothing else that is sent has two of these."""

PADDING: Final = "x" * 64


class Wrong(Exception):  # noqa: N818 - it is read by people, as "that is wrong"
    """Something was lost, doubled, refused, out of order or never came: the figures would be worth nothing."""


def stamp(sent: int, sender: int, number: int) -> str:
    """Return what a message says about itself: when it was sent (monotonic ns), by whom, and which of his it is."""
    return f"@@{sent:020d}:{sender:06d}:{number:010d}"


def stamped(text: bytes, at: int) -> tuple[int, int, int]:
    """Return when, by whom, and which one, of the stamp at *at*."""
    return int(text[at + 2 : at + 22]), int(text[at + 23 : at + 29]), int(text[at + 30 : at + 40])


class Wire(Protocol):
    """How clients of one system write and read."""

    path: str

    def headers(self, token: str) -> dict[str, str]:
        """Return what the handshake needs besides the usual."""

    def opening(self, text: bytes) -> tuple[str | None, bytes | None]:
        """Return the client's id once a frame has told it, and what to answer to the frame."""

    def housekeeping(self, text: bytes) -> bytes | None:
        """Return what to answer to a frame that is neither a message nor an answer; raise Wrong if it is an error."""

    def answered(self, text: bytes) -> int | None:
        """Return the number of the request that a frame answers."""

    def join(self, room: str, ref: int) -> bytes: ...

    def signal(self, to: str, mark: str) -> bytes: ...

    def send(self, room: str, mark: str) -> bytes: ...

    def chat(self, room: str, mark: str, ref: int) -> bytes: ...


class Parley:
    """parley.v1"""

    path = "/"

    def headers(self, token: str) -> dict[str, str]:
        return {"Sec-WebSocket-Protocol": f"parley.v1, bearer.{token}"}

    def opening(self, text: bytes) -> tuple[str | None, bytes | None]:
        if not text.startswith(b'{"type":"welcome"'):
            raise Wrong(f"Parley began with {text[:200]!r} and no welcome.")
        return str(msgspec.json.decode(text)["connectionId"]), None

    def housekeeping(self, text: bytes) -> bytes | None:
        if text.startswith((b'{"type":"error"', b'{"type":"degraded"', b'{"type":"goAway"')):
            raise Wrong(f"Parley said {text[:300]!r}.")
        return None

    def answered(self, text: bytes) -> int | None:
        if not text.startswith(b'{"type":"ok"'):
            return None
        at = text.find(b'"ref":"') + 7
        return int(text[at : text.index(b'"', at)])

    def join(self, room: str, ref: int) -> bytes:
        return b'{"action":"join","room":"%b","ref":"%d"}' % (room.encode(), ref)

    def signal(self, to: str, mark: str) -> bytes:
        return f'{{"action":"signal","to":"{to}","data":{{"stamp":"{mark}","text":"{PADDING}"}}}}'.encode()

    def send(self, room: str, mark: str) -> bytes:
        return f'{{"action":"send","room":"{room}","data":{{"stamp":"{mark}","text":"{PADDING}"}}}}'.encode()

    def chat(self, room: str, mark: str, ref: int) -> bytes:
        # its id is unique per sender, and the number of a request is
        return f'{{"action":"chat","room":"{room}","id":"{ref}","text":"{mark} {PADDING}","ref":"{ref}"}}'.encode()


class SocketIO:
    """Socket.IO v5 in Engine.IO v4."""

    path = "/socket.io/?EIO=4&transport=websocket"

    def headers(self, token: str) -> dict[str, str]:  # noqa: ARG002 - the relay lets everybody in
        return {}

    def opening(self, text: bytes) -> tuple[str | None, bytes | None]:
        if text.startswith(b"0{"):
            return None, b"40"
        if text.startswith(b"40{"):
            return str(msgspec.json.decode(text[2:])["sid"]), None
        raise Wrong(f"Socket.IO began with {text[:200]!r}.")

    def housekeeping(self, text: bytes) -> bytes | None:
        if text == b"2":
            return b"3"
        raise Wrong(f"Socket.IO said {text[:300]!r}.")

    def answered(self, text: bytes) -> int | None:
        return int(text[2 : text.index(b"[")]) if text.startswith(b"43") else None

    def join(self, room: str, ref: int) -> bytes:
        return f'42{ref}["join","{room}"]'.encode()

    def signal(self, to: str, mark: str) -> bytes:
        return f'42["signal","{to}",{{"stamp":"{mark}","text":"{PADDING}"}}]'.encode()

    def send(self, room: str, mark: str) -> bytes:
        return f'42["send","{room}",{{"stamp":"{mark}","text":"{PADDING}"}}]'.encode()

    def chat(self, room: str, mark: str, ref: int) -> bytes:
        return f'42{ref}["chat","{room}","{ref}","{mark} {PADDING}"]'.encode()


class Bare:
    """
    Hardly anything: see bare.py.

    It knows no other client, so a message comes back to whoever sent it, and everybody connected is in its one room.
    """

    path = "/"

    def __init__(self) -> None:
        self._names = _names()

    def headers(self, token: str) -> dict[str, str]:  # noqa: ARG002 - it lets everybody in
        return {}

    def opening(self, text: bytes) -> tuple[str | None, bytes | None]:
        if text != b"hello":
            raise Wrong(f"The bare loop began with {text[:200]!r}.")
        return next(self._names), None

    def housekeeping(self, text: bytes) -> bytes | None:
        raise Wrong(f"The bare loop said {text[:300]!r}.")

    def answered(self, text: bytes) -> int | None:
        return int(text[3:]) if text.startswith(b"ok ") else None

    def join(self, room: str, ref: int) -> bytes:  # noqa: ARG002 - there is one room
        return b"ok %d" % ref

    def signal(self, to: str, mark: str) -> bytes:  # noqa: ARG002 - it comes back
        return f"signal {mark} {PADDING}".encode()

    def send(self, room: str, mark: str) -> bytes:  # noqa: ARG002 - to all
        return f"all {mark} {PADDING}".encode()

    def chat(self, room: str, mark: str, ref: int) -> bytes:
        raise NotImplementedError  # an echo is no chat


def _names() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"bare-{number}"
