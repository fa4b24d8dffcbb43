"""PeerJS: protocols.md section 7. A peer's id is its address, and what waits for one that is not there waits 5 s."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.codes import CloseCode, ErrorCode, Refusal
from parley.protocol.dialects import Dialect, Farewell, Frame, Hello, name
from parley.protocol.nesting import too_deep

EXPIRE_MS: Final = 5000
"""How long something waits for its peer (the server's `expire_timeout`)."""

RELAYED: Final[dict[str, ask.Step | None]] = {
    "OFFER": "offer",
    "ANSWER": "answer",
    "CANDIDATE": "candidate",
    "LEAVE": None,
    "EXPIRE": None,
}
"""What one peer may say to another. A step of a negotiation waits for a peer that is not there."""

NOBODY: Final = (None, "", 0)
"""What JavaScript takes for no `dst`; 0 is `False`, too."""

OPEN: Final = b'{"type":"OPEN"}'
TAKEN: Final = b'{"type":"ID-TAKEN","payload":{"msg":"ID is taken"}}'

INCOMPLETE: Final = Refusal(ErrorCode.BAD_REQUEST, "No id, token, or key supplied to websocket server")
WRONG_KEY: Final = Refusal(ErrorCode.UNAUTHORIZED, "Invalid key provided")
"""The words of PeerJS's own server."""


class _Said(Struct):
    """What of a frame is looked at."""

    type: Any = None
    dst: Any = None
    payload: Raw | UnsetType = UNSET


class _Relayed(Struct, omit_defaults=True):
    """What one peer is told of another."""

    type: str
    src: str
    dst: str
    payload: Raw | UnsetType = UNSET


class _Payload(Struct, omit_defaults=True):
    """What a letter carries: a payload may be absent, and stays so."""

    payload: Raw | UnsetType = UNSET


_said: Final = msgspec.json.Decoder(_Said).decode
_payload: Final = msgspec.json.Decoder(_Payload).decode
_encode: Final = msgspec.json.Encoder().encode


class PeerJs(Dialect):
    """The dialect."""

    name = "peerjs"
    binary = True
    own = frozenset({"key", "id", "token", "version", "app"})
    user = "id"

    def __init__(self, key: str) -> None:
        """*key* is what the app's clients name."""
        self.key = key

    def check(self, hello: Hello) -> None:
        """Raise Refusal unless the client has said who it is, and the app's key."""
        peer, token, key = (hello.query.get(name) for name in ("id", "token", "key"))
        if not (peer and token and key):
            raise INCOMPLETE
        if key != self.key:
            raise WRONG_KEY
        name(peer, "peer")

    def conversation(self, hello: Hello) -> "Peer":
        """Return the codec for a new connection."""
        return Peer(hello.query.get("id", ""), hello.query.get("token", ""))

    def encode(self, say: says.ToClient, n: int) -> Frame | None:  # noqa: ARG002 - the dialects' signature
        """Find the words."""
        match say:
            case says.Registered(outcome="new"):
                return OPEN
            case says.Registered(outcome="taken"):
                return TAKEN
            case says.LetterCame():
                payload = _payload(say.data).payload
                return _encode(_Relayed(type=say.kind, src=say.sender, dst=say.box, payload=payload))
            case says.LetterExpired():
                return _encode(_Relayed(type="EXPIRE", src=say.box, dst=say.sender))
            case _:
                return None

    def refuse(self, refusal: Refusal, ref: str | None, connection: str, request: str) -> None:
        """Say nothing: a client that hears of an error gives up."""

    def dismiss(self, refusal: Refusal) -> Farewell:
        """Say it as PeerJS's server does."""
        return Farewell(_encode({"type": "ERROR", "payload": {"msg": refusal.message}}), CloseCode.NORMAL)


class Peer:
    """A connection's codec: it knows whose it is."""

    __slots__ = ("_id", "_token")

    def __init__(self, id_: str, token: str) -> None:
        self._id = id_
        self._token = token

    def opening(self) -> Sequence[ask.ClientRequest]:
        """Take the peer's address; the same token may take it again."""
        return (ask.Register(box=self._id, name="", secret=self._token),)

    def decode(self, frame: bytes) -> Sequence[ask.ClientRequest]:
        """Return what a frame asks for; heartbeats and what is none of the protocol's ask for nothing."""
        try:
            said = _Said() if too_deep(frame) else _said(frame)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return ()
        if not isinstance(said.type, str) or said.type not in RELAYED:
            return ()
        if said.dst in NOBODY:
            return (ask.Release(box=self._id, name=""),) if said.type == "LEAVE" else ()
        if not isinstance(said.dst, str) or not _is_name(said.dst):
            return ()
        step = RELAYED[said.type]
        letter = ask.Letter(
            box=said.dst,
            name="",
            sender=self._id,
            kind=said.type,
            data=Raw(_encode(_Payload(said.payload))),
            step=step,
            keep_ms=EXPIRE_MS if step else 0,
            notify=True,
        )
        return (letter,)

    def accepted(self, request: ask.AnyRequest) -> None:
        """Nothing to remember."""


def _is_name(peer: str) -> bool:
    try:
        name(peer, "peer")
    except Refusal:
        return False
    return True
