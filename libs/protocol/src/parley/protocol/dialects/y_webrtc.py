"""y-webrtc's signaling: protocols.md section 4. Topics are rooms; what is published is nobody's business.

As with the reference server nothing is answered but `ping`, and every subscriber gets every publish, its sender too.
Unlike it, a malformed frame is left out and changes nothing.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.codes import Refusal
from parley.protocol.dialects import Dialect, Frame, Hello, name
from parley.protocol.nesting import too_deep

MAX_TOPICS: Final = 10_000
"""Of one connection: every document of a page shares it."""

PONG: Final = b'{"type":"pong"}'


class _Said(Struct):
    """What of a frame is looked at."""

    type: Any = None
    topic: Any = None
    topics: Any = None


_said: Final = msgspec.json.Decoder(_Said).decode
_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode


class YWebrtc(Dialect):
    """The dialect; its conversation remembers nothing, so one serves all connections."""

    name = "y-webrtc"
    binary = True
    members = 0
    rooms = MAX_TOPICS
    own = frozenset({"token", "app"})

    def conversation(self, hello: Hello) -> "YWebrtc":  # noqa: ARG002 - the dialects' signature
        """Return the codec for a new connection."""
        return self

    def opening(self) -> Sequence[ask.ClientRequest]:
        """A client subscribes by itself."""
        return ()

    def decode(self, frame: bytes) -> Sequence[ask.ClientRequest]:
        """Return what a frame asks for; nothing if it is none of the protocol's."""
        try:
            said = _Said() if too_deep(frame) else _said(frame)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return ()
        match said.type:
            case "subscribe":
                return [ask.Join(room=topic) for topic in _names(said.topics)]
            case "unsubscribe":
                return [ask.Leave(room=topic) for topic in _names(said.topics)]
            case "publish":
                return [ask.Publish(room=topic, data=Raw(frame)) for topic in _names([said.topic])]
            case "ping":
                return (ask.Ping(),)
            case _:
                return ()

    def accepted(self, request: ask.AnyRequest) -> None:
        """Nothing to remember."""

    def encode(self, say: says.ToClient, n: int) -> Frame | None:  # noqa: ARG002 - the dialects' signature
        """Write a publish as it came, with the number of its hearers; there are no words for anything else."""
        return _counted(bytes(say.data), say.members) if isinstance(say, says.Published) else None

    def pong(self, ref: str | None, time: str, n: int) -> Frame:  # noqa: ARG002 - the dialects' signature
        """Answer a ping."""
        return PONG

    def refuse(self, refusal: Refusal, ref: str | None, connection: str, request: str) -> None:
        """Say nothing: the protocol has no errors."""


class YWebrtcOnApiGateway(YWebrtc):
    """As the Lambda of the Yjs forum has it (4.4): a publish goes on as it came, and API Gateway takes text alone."""

    binary = False

    def encode(self, say: says.ToClient, n: int) -> Frame | None:  # noqa: ARG002 - the dialects' signature
        """Write a publish as it came."""
        return bytes(say.data) if isinstance(say, says.Published) else None


def _names(topics: Any) -> list[str]:
    """Return what of *topics* can name one, each once."""
    if not isinstance(topics, list):
        return []
    return [topic for topic in dict.fromkeys(entry for entry in topics if isinstance(entry, str)) if _is_name(topic)]


def _is_name(topic: str) -> bool:
    try:
        name(topic, "topic")
    except Refusal:
        return False
    return True


def _counted(publish: bytes, clients: int) -> Frame:
    """Return a publish with `clients` at its end; all else keeps its bytes."""
    if b"clients" in publish:
        kept = {key: value for key, value in _members(publish).items() if key != "clients"}
        publish = msgspec.json.encode(kept)
    return b'%b,"clients":%d}' % (publish.strip()[:-1].rstrip(), clients)
