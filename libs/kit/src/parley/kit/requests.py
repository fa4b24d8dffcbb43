"""
What every HTTP request to our REST goes through before it is routed, and after it failed.

Names in paths are percent-encoded, a slash in them too, and ASGI's ``path`` is decoded already: a room called ``a/b``
would be two segments. So routes match the path as it was sent, each segment spelled in one way, and the convertor
``name`` (``/v1/rooms/{room:name}``) decodes what they found.
"""

import re
from urllib.parse import quote, unquote

import structlog
from starlette.convertors import Convertor, register_url_convertor

from parley.kit.answers import refuse
from parley.kit.probes import App, Receive, Scope, Send
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.nesting import MAX_NESTING, too_deep

MAX_BODY_BYTES = 256 * 1024
"""A message's limit is less; this one keeps anybody from filling our memory."""

MAX_HEARD_BYTES = 4 * 1024 * 1024
"""How much of a body that is too large is heard out before it is refused."""

_LOOPBACK = re.compile(r"null|https?://(localhost|[a-z0-9-]+\.localhost|127(\.\d+){3}|\[::1\])(:\d+)?")
_ENCODED_NUL = re.compile(rb"%00|\x00")
_UNESCAPED = "~!$&'()*+,;=:@"

_log = structlog.get_logger("parley.rest")


class NameConvertor(Convertor[str]):
    """One segment of a path, decoded."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        """Return what the segment says."""
        return unquote(value)

    def to_string(self, value: str) -> str:
        """Return the segment that says *value*."""
        return quote(value, safe=_UNESCAPED)


register_url_convertor("name", NameConvertor())


class Requests:
    """ASGI middleware: refuse what cannot be meant, bound the body, spell the path, answer for crashes."""

    def __init__(self, app: App, *, loopback_only: bool) -> None:
        self._app = app
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answering = False

        async def noticed(message: Scope) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            self._admit(scope)
            scope["path"] = _spelled(scope)  # in place: who called us looks for the route that is found
            body = await _body(scope, receive)
            await self._app(scope, _given(body, receive), noticed)
        except Refusal as refusal:
            await refuse(send, refusal)
        except Exception:
            _log.exception("request crashed", method=scope["method"], **_about(scope))
            if answering:
                raise  # the answer is under way; all that is left is to break it off
            await refuse(send, Refusal(ErrorCode.INTERNAL, "Something went wrong here; it is logged."))

    def _admit(self, scope: Scope) -> None:
        """In development mode anybody may do anything, so a web page from elsewhere must not: it could speak for us."""
        origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1")
        if self._loopback_only and origin and not _LOOPBACK.fullmatch(origin):
            raise Refusal(ErrorCode.NOT_ALLOWED, "In development mode only pages from this machine are answered.")


def _about(scope: Scope) -> dict[str, str]:
    """Return what a request was about, for the log: its route, and whom that names."""
    names = scope.get("path_params") or {}
    about = {name: str(names[name]) for name in ("room", "connection", "call") if name in names}
    return about if (route := scope.get("route")) is None else {"route": route.path} | about


def _spelled(scope: Scope) -> str:
    """Return the path with each segment's encoding made canonical."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    if _ENCODED_NUL.search(raw) or _ENCODED_NUL.search(scope["query_string"]):
        raise Refusal(ErrorCode.BAD_REQUEST, "The path and the query must not hold a NUL character.")
    try:
        segments = [unquote(segment, errors="strict") for segment in raw.decode("ascii").split("/")]
    except UnicodeDecodeError:
        raise Refusal(ErrorCode.BAD_REQUEST, "The path must be percent-encoded UTF-8.") from None
    return "/".join(quote(segment, safe=_UNESCAPED) for segment in segments)


async def _body(scope: Scope, receive: Receive) -> bytes:
    """
    Return the whole body, if it is not too large.

    What is too large is heard out to some length and not kept: who is still speaking when the connection is closed
    does not get to read the answer, and neither does a proxy that passes it on.
    """
    length = dict(scope["headers"]).get(b"content-length", b"0")
    if length.isdigit() and int(length) > MAX_HEARD_BYTES:
        raise _too_large()
    body = bytearray()
    heard = 0
    more = True
    while more:
        message = await receive()
        more = message["type"] == "http.request" and message.get("more_body", False)
        heard += len(part := message.get("body", b""))
        if heard <= MAX_BODY_BYTES:
            body += part
        elif heard > MAX_HEARD_BYTES or not more:
            raise _too_large()
    if too_deep(body):
        raise Refusal(ErrorCode.BAD_REQUEST, f"The body must not be nested more than {MAX_NESTING} levels deep.")
    return bytes(body)


def _too_large() -> Refusal:
    return Refusal(ErrorCode.TOO_LARGE, f"The body must not be larger than {MAX_BODY_BYTES} bytes.")


def _given(body: bytes, receive: Receive) -> Receive:
    """Return a receiver that says *body* first, and then what *receive* says."""
    left = [body]

    async def give() -> Scope:
        return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

    return give
