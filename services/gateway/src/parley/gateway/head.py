"""The head of an HTTP request, as far as a WebSocket handshake needs it."""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from typing import Final

from msgspec import Struct

MAX_HEADERS: Final = 128
KEY_BYTES: Final = 16

_REQUEST_LINE: Final = re.compile(rb"([A-Z]{1,16}) ([!-~]{1,8192}) HTTP/1\.([01])")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(rb"[\t -~\x80-\xff]*")


class BadHead(Exception):  # noqa: N818 - an answer to a client, not an error of ours
    """A request that no handshake can come of; the status and the sentence are its answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Request(Struct, frozen=True):
    """Who knocks, and how: what a handshake is decided by."""

    path: str
    """Not decoded, without the query."""
    query: str
    """Not decoded, without the question mark."""
    headers: dict[str, str]
    """Names in lower case; repeated ones joined by a comma."""
    key: str
    """The client's Sec-WebSocket-Key."""
    peer: str
    """Address of the other end of the TCP connection."""

    @property
    def subprotocols(self) -> list[str]:
        """What the client offers to speak, in its order of preference."""
        offered = self.headers.get("sec-websocket-protocol", "")
        return [name for name in (part.strip() for part in offered.split(",")) if name]


def parse(head: bytes, peer: str = "") -> Request:
    """Return the request in *head* (all before the empty line); BadHead if it is no WebSocket handshake."""
    lines = head.split(b"\r\n")
    if not (line := _REQUEST_LINE.fullmatch(lines[0])):
        raise BadHead(400, "This is not an HTTP/1.1 request line.")
    headers = _headers(lines[1:])
    method, target, minor = line.groups()
    if method != b"GET" or minor != b"1" or "websocket" not in _tokens(headers, "upgrade"):
        raise BadHead(426, "This address speaks WebSocket: connect to it with a WebSocket client (ws:// or wss://).")
    if "upgrade" not in _tokens(headers, "connection"):
        raise BadHead(400, "A WebSocket handshake says Connection: Upgrade.")
    if headers.get("sec-websocket-version") != "13":
        raise BadHead(426, "This server speaks version 13 of WebSocket (RFC 6455).")
    if headers.get("content-length", "0").strip("0") or "transfer-encoding" in headers:
        raise BadHead(400, "A WebSocket handshake has no body.")
    if not headers.get("host") or "," in headers["host"]:
        raise BadHead(400, "A request names one Host.")
    path, _, query = target.decode("ascii").partition("?")
    return Request(path=path, query=query, headers=headers, key=_key(headers), peer=peer)


def _headers(lines: list[bytes]) -> dict[str, str]:
    if len(lines) > MAX_HEADERS:
        raise BadHead(431, f"A request has at most {MAX_HEADERS} headers.")
    headers: dict[str, str] = {}
    for line in lines:
        raw_name, colon, raw_value = line.partition(b":")
        if not colon or not _NAME.fullmatch(raw_name) or not _VALUE.fullmatch(raw_value):
            raise BadHead(400, "A header is malformed.")
        name, value = raw_name.decode("ascii").lower(), raw_value.strip(b" \t").decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _tokens(headers: dict[str, str], name: str) -> set[str]:
    return {token.strip().lower() for token in headers.get(name, "").split(",")}


def _key(headers: dict[str, str]) -> str:
    key = headers.get("sec-websocket-key", "")
    try:
        if len(b64decode(key, validate=True)) == KEY_BYTES:
            return key
    except (NotBase64, ValueError):
        pass
    raise BadHead(400, "Sec-WebSocket-Key is not 16 bytes in base64.")
