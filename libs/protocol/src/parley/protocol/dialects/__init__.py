"""The wire protocols that clients speak.

A dialect is a pure codec: frames to requests (`parley.protocol.requests`), what a
delivery says (`parley.protocol.says`) to frames. The rest of the system knows
neither its words nor its quirks.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

from msgspec import Struct

from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.requests import AnyRequest, ClientRequest
from parley.protocol.says import ToClient

Frame = bytes
"""A text frame's payload: UTF-8."""

Personal = Callable[[str], Frame | None]
"""Words that differ by receiver: given a connection id, its frame, or None for silence."""

MAX_NAME_BYTES = 1024
"""Of a room's, topic's or peer's name, in UTF-8 (protocols.md section 0)."""


class Misunderstood(Refusal):
    """A frame that could not be turned into requests; `ref` if one could be read."""

    def __init__(self, code: ErrorCode, message: str, ref: str | None = None) -> None:
        super().__init__(code, message)
        self.ref = ref


class Hello(Struct, frozen=True):
    """What a dialect may read of its client's handshake."""

    path: str = "/"
    """As it was sent, without the query."""
    query: dict[str, str] = {}
    """Decoded; of a repeated parameter the last."""


NOBODY: Final = Hello()


class Farewell(Struct, frozen=True):
    """The one frame of a socket that is accepted to say why it is closed."""

    frame: Frame
    code: int


class Conversation(Protocol):
    """One connection's side of a dialect: what its wire protocol remembers between frames, if anything."""

    def opening(self) -> Sequence[ClientRequest]:
        """Return what is asked in the client's name once it is connected, before anything that it says."""
        ...

    def decode(self, frame: bytes) -> Sequence[ClientRequest]:
        """Return what a text frame asks for, in order; raise `Misunderstood`. Changes nothing."""
        ...

    def accepted(self, request: AnyRequest) -> None:
        """A request has been let through and will be carried out."""
        ...


class Dialect(Protocol):
    """A wire protocol. Every method is a pure function of its arguments. Derive from it: most have a usual answer."""

    name: str
    resumable: bool = False
    """Whether its clients can come back to a connection that they had."""
    binary: bool = False
    """Whether a binary frame is read as if it were text; otherwise it closes the socket with 1003."""
    rooms: int = 0
    """How many rooms a connection may be in; 0: as the gateway is set."""
    longest: int = 0
    """After how many seconds a client must go, where its own system sets an end to each connection; 0: for ever."""
    paces: Mapping[str, int] = MappingProxyType({})
    """By kind of letter: how many a client may send in a second, where that is less than frames."""
    own: frozenset[str] = frozenset()
    """Query parameters that are the protocol's, so no metadata of a connection."""
    members: int | None = None
    """How many members its rooms may have; 0: any number, None: as the gateway is set."""
    final: frozenset[ErrorCode] = frozenset()
    """Refusals that end the connection."""
    device_alone: bool = False
    """Whether a device that connects again replaces its connection whosever it was."""
    user: str = "userId"
    """The query parameter in which a client without a token says who it is."""

    def check(self, hello: Hello) -> None:  # noqa: ARG002 - see Dialect
        """Raise Refusal if a handshake lacks what the protocol needs."""
        return

    def conversation(self, hello: Hello) -> Conversation:
        """Return the codec for one new connection."""
        ...

    def encode(self, say: ToClient, n: int) -> Frame | Personal | None:
        """Return the frame that says *say* at place *n*; None where this dialect has no words for it."""
        ...

    def refuse(self, refusal: Refusal, ref: str | None, connection: str, request: str) -> Frame | None:
        """Return the error frame for something that the gateway itself refuses.

        *request* is an id for this frame, for dialects that name one in their errors.
        """
        ...

    def pong(self, ref: str | None, time: str, n: int) -> Frame | None:  # noqa: ARG002 - see Dialect
        """Return the answer to a `Ping`, None if the dialect has none; *n* is the current place."""
        return None

    def go_away(self, reconnect_after_ms: int, deadline_ms: int) -> Frame | None:  # noqa: ARG002 - see Dialect
        """Return what asks a client to come back in so long, and before the deadline; None if the dialect cannot."""
        return None

    def dismiss(self, refusal: Refusal) -> Farewell | None:  # noqa: ARG002 - see Dialect
        """Return what a client that may not come in is told on its socket; None: it is answered an HTTP status."""
        return None


def name(text: str, what: str = "room") -> str:
    """Return *text* if it can name a room, topic or peer; raise `Refusal` with `bad_request`.

    Names are any Unicode but NUL, which PostgreSQL cannot hold.
    """
    if not 0 < len(text.encode()) <= MAX_NAME_BYTES:
        raise Refusal(ErrorCode.BAD_REQUEST, f"The {what}'s name must have 1 to {MAX_NAME_BYTES:,} bytes of UTF-8.")
    if "\0" in text:
        raise Refusal(ErrorCode.BAD_REQUEST, f"The {what}'s name must not contain the character U+0000.")
    return text
