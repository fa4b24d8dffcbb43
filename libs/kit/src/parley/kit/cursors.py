"""Cursors: where a list went on, as opaque text that only its own list understands."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, TypeVar

from msgspec import MsgspecError, json

from parley.protocol.codes import ErrorCode, Refusal

Place = TypeVar("Place")

_LONGEST = 8192
_NUL = re.compile(rb"(?<!\\)(\\\\)*\\u0000")
"""U+0000 in JSON as it is written here; not a backslash and then ``u0000``."""


def cursor(place: Any) -> str:
    """Return the sort key of a page's last item as a cursor."""
    return urlsafe_b64encode(json.encode(place)).rstrip(b"=").decode()


def place(cursor: str, kind: type[Place]) -> Place:
    """Return the sort key in a *cursor*; Refusal if it is none of a list whose key is a *kind*."""
    refusal = Refusal(
        ErrorCode.BAD_REQUEST, "The cursor is none of this list: pass `next` of an earlier page, or leave it out."
    )
    if len(cursor) > _LONGEST:
        raise refusal
    try:
        found = json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode(), type=kind)
    except (ValueError, MsgspecError):
        raise refusal from None
    if _NUL.search(json.encode(found)):  # PostgreSQL would not compare it
        raise refusal
    return found
