"""
The viewer's HTTP: ``POST /v1/traces`` takes spans in, ``/`` lists them, ``/traces/<id>`` shows one.

For one machine and the person at it: it listens on loopback alone, and answers only who calls it by a name of
loopback, so that no page from elsewhere reads it through a name of its own.
"""

import re
import sys
import threading
import zlib
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from parley.cli.embedded.ports import LOOPBACK
from parley.cli.observe import pages
from parley.cli.observe.spans import Span, UnreadableError, from_json, from_protobuf
from parley.cli.observe.traces import Traces

BODY_BYTES = 16 * 1024 * 1024
"""What one request may hold, unpacked; exporters send a megabyte at most."""
PATIENCE_SECONDS = 10
_READERS = {"application/x-protobuf": from_protobuf, "application/json": from_json}
_LOOPBACK = re.compile(r"(https?://)?(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")
_POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


class RefusedError(Exception):
    """A request that is not answered as asked; its text is a sentence."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class Viewer(ThreadingHTTPServer):
    """The server and the traces that it keeps."""

    daemon_threads = True

    def __init__(self, port: int, traces: Traces | None = None) -> None:
        super().__init__((LOOPBACK, port), Handler)
        self.traces = traces or Traces()
        self.turn = threading.Lock()

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{LOOPBACK}:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of who has hung up; all else is a bug."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Viewer
    protocol_version = "HTTP/1.1"
    server_version = "parley"
    sys_version = ""
    timeout = PATIENCE_SECONDS

    def do_GET(self) -> None:
        """Show a page."""
        try:
            self._called_by_our_name()
        except RefusedError as error:
            self._refuse(error.status, error)
            return
        path, _, query = self.path.partition("?")
        if path == "/livez":
            self._answer(HTTPStatus.OK, b'{"live":true}', "application/json")
        elif path == "/style.css":
            self._answer(HTTPStatus.OK, pages.STYLE, "text/css")
        elif path == "/":
            self._list(parse_qs(query))
        elif path.startswith("/traces/"):
            self._show(path.removeprefix("/traces/"))
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"There is nothing at this path.\n", "text/plain")

    def do_POST(self) -> None:
        """Take spans in."""
        kind = self.headers.get_content_type()
        try:
            self._called_by_our_name()
            spans = self._reader(kind)(self._body())
        except (RefusedError, UnreadableError) as error:
            self.close_connection = True
            self._refuse(error.status if isinstance(error, RefusedError) else HTTPStatus.BAD_REQUEST, error)
            return
        with self.server.turn:
            self.server.traces.add(spans)
        self._answer(HTTPStatus.OK, b"{}" if kind == "application/json" else b"", kind)

    def do_OPTIONS(self) -> None:
        """Let pages of this machine send spans."""
        self._answer(HTTPStatus.NO_CONTENT, b"", "text/plain")

    def _list(self, query: dict[str, list[str]]) -> None:
        text = query.get("q", [""])[0].strip()
        failed, slow = "failed" in query, "slow" in query
        with self.server.turn:
            found = self.server.traces.found(text, failed=failed, slow=slow)
            self._page(pages.listed(found, len(self.server.traces), text, failed=failed, slow=slow))

    def _show(self, trace_id: str) -> None:
        with self.server.turn:
            traces = self.server.traces.of_call(trace_id)
            page = pages.shown(trace_id, traces) if traces else pages.missing(trace_id)
        self._page(page, HTTPStatus.OK if traces else HTTPStatus.NOT_FOUND)

    def _called_by_our_name(self) -> None:
        if not _LOOPBACK.fullmatch(self.headers.get("Host", "")):
            raise RefusedError(HTTPStatus.MISDIRECTED_REQUEST, "Call this by 127.0.0.1 or localhost.")

    def _reader(self, kind: str) -> Callable[[bytes], list[Span]]:
        if self.path != "/v1/traces":
            raise RefusedError(HTTPStatus.NOT_FOUND, "Only traces are taken in, at /v1/traces.")
        if kind not in _READERS:  # what any page may send without asking is none of these
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send application/x-protobuf or application/json.")
        return _READERS[kind]

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "Say how long it is, with Content-Length.")
        if len(length) > len(str(BODY_BYTES)) or int(length) > BODY_BYTES:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {BODY_BYTES} bytes are read.")
        body = self.rfile.read(int(length))
        if self.headers.get("Content-Encoding", "identity") == "identity":
            return body
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        try:
            body = unpacker.decompress(body, BODY_BYTES)
        except zlib.error as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "It is packed in a way that is not gzip.") from error
        if unpacker.unconsumed_tail:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {BODY_BYTES} bytes are unpacked.")
        return body

    def _refuse(self, status: HTTPStatus, why: Exception) -> None:
        self._answer(status, f"{why}\n".encode(errors="replace"), "text/plain")

    def _page(self, page: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._answer(status, page.encode(errors="replace"), "text/html; charset=utf-8")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        origin = self.headers.get("Origin", "")
        if self.command != "GET" and _LOOPBACK.fullmatch(origin):
            self.send_header("Access-Control-Allow-Origin", origin)
            self.send_header("Access-Control-Allow-Headers", "content-type, content-encoding")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing: a line for each export would be all of the log."""
