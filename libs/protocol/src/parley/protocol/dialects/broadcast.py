"""Suminda Niroshan's two apps, in which everybody hears everything: protocols.md section 5.

All connections of a path are in one room. What is said there reaches its sender, too: the clients tell their own by
an id, or want to see it.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.dialects import Frame, Hello, Personal, name
from parley.protocol.dialects.apigw import ApiGateway, Seat

MEMBERS: Final = ("type", "data", "id")
"""What a frame must have, and all that is passed on of it."""

_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode


def everybody(hello: Hello) -> str:
    """Return the room of all who connect to the same path."""
    return hello.path.rstrip("/") or "/"


class Crowd(ApiGateway):
    """What both have in common."""

    members = 0

    def check(self, hello: Hello) -> None:
        """Raise Refusal if the path, with a stage of the client's own, is too long to name a room."""
        name(everybody(hello), "path")

    def opening(self, hello: Hello) -> Sequence[ask.ClientRequest]:
        """Be with everybody else."""
        return (ask.Join(room=everybody(hello)),)


def _broadcast(seat: Seat, body: dict[str, Any], frame: bytes) -> Sequence[ask.ClientRequest]:
    if not all(member in body for member in MEMBERS):
        raise Refusal(ErrorCode.INTERNAL, f"The handler reads {', '.join(MEMBERS)} of a frame, and one is missing.")
    said = _members(frame)
    inside = b",".join(b'"%b":%b' % (member.encode(), bytes(said[member])) for member in MEMBERS)
    return (ask.Publish(room=everybody(seat.hello), data=Raw(b"{%b}" % inside)),)


class Broadcast(Crowd):
    """The video chat: a new object with three members to all."""

    handlers = {"onMessage": _broadcast}  # noqa: RUF012 - nobody changes it


def _text(seat: Seat, body: dict[str, Any], frame: bytes) -> Sequence[ask.ClientRequest]:  # noqa: ARG001 - a Handler
    message = body.get("message")
    if not isinstance(message, str):
        raise Refusal(ErrorCode.INTERNAL, "The handler sends on the text in `message`, and there is none.")
    return (ask.Relay(room=everybody(seat.hello), text=message, echo=True),)


class BroadcastText(Crowd):
    """The text chat: the bare text to all."""

    handlers = {"onMessage": _text}  # noqa: RUF012 - nobody changes it

    def encode(self, say: says.ToClient, n: int) -> Frame | Personal | None:
        """Say chat to its sender, too."""
        return say.text.encode() if isinstance(say, says.ChatPosted) else super().encode(say, n)
