"""Which connections are meant: the filters of a query, read from its parameters."""

import json
from collections.abc import Iterable
from math import isfinite
from typing import Annotated, Any, Final

from fastapi import Query, Request
from msgspec import Struct

from parley.kit.rest import keyed
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.requests import Availability

METADATA: Final = "metadata."
"""What the name of a parameter begins with when the rest names a key of the metadata."""

_CONVERSATION: Final = "conversationId"


class Filters(Struct, frozen=True, kw_only=True):
    """All that is not None must hold."""

    user: str | None = None
    device: str | None = None
    room: str | None = None
    availability: Availability | None = None
    metadata: dict[str, str] = {}
    part: str | None = None
    """Text that stands somewhere in what names or describes a connection."""

    def metadata_like(self) -> Iterable[list[Any]]:
        """Yield for each key of the metadata the objects of which one must be contained: values are not always text."""
        for key, value in self.metadata.items():
            yield [{key: value}, *({key: other} for other in _meant(value))]


Text = Annotated[str | None, Query(max_length=1024)]


BY_METADATA: Final = keyed(f"{METADATA}<key>", "Those whose metadata has this value at the key.")
"""What describes a route with these filters has to say of them besides."""


def filters(
    request: Request,
    conversation: Annotated[Text, Query(description="Those whose metadata names this `conversationId`.")] = None,
    room: Annotated[Text, Query(description="Those that are members of this room.")] = None,
    user: Text = None,
    device: Text = None,
    availability: Annotated[Availability | None, Query(description="`inCall` while a call lasts.")] = None,
    q: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=1024,
            description="Those with this text in an id of theirs or a value of their metadata, in capitals or not.",
        ),
    ] = None,
) -> Filters:
    """Return the filters of a request."""
    metadata = {} if conversation is None else {_CONVERSATION: conversation}
    for name, value in request.query_params.multi_items():
        key = name.removeprefix(METADATA)
        if key != name:
            if metadata.get(key, value) != value:
                raise Refusal(ErrorCode.BAD_REQUEST, f"{name} cannot have two values.")
            metadata[key] = value
    return Filters(user=user, device=device, room=room, availability=availability, metadata=metadata, part=q)


def _meant(value: str) -> Iterable[Any]:
    """Yield what *value* says if it is read as JSON: ``metadata.age=5`` finds the number, too."""
    try:
        other = json.loads(value, parse_constant=_no_constant)
    except ValueError:
        return
    if isinstance(other, bool | int | None) or (isinstance(other, float) and isfinite(other)):
        yield other


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are no JSON
