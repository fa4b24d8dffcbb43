"""
Reads a copy of what passes, to tell an offer from an answer from a candidate.

What passes is never changed, and what is not recognised passes too (design section 6). The shapes are perfect
negotiation's ``{description}`` and ``{candidate}``, the workshop's ``{type, offer | answer | candidate}``, AppRTC's
``{type, sdp}`` and PeerJS's ``{type: "OFFER" ...}``; each of them may be the text of a string.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from parley.protocol.requests import Step

_HINTS: Final = (b"offer", b"answer", b"candidate", b"OFFER", b"ANSWER", b"CANDIDATE")
_STEPS: Final[dict[str, Step]] = {
    "offer": "offer",
    "OFFER": "offer",
    "answer": "answer",
    "ANSWER": "answer",
    "candidate": "candidate",
    "CANDIDATE": "candidate",
}
_decode: Final = msgspec.json.Decoder().decode


class Signaling(Struct, frozen=True):
    """What could be read of a step of a negotiation."""

    step: Step
    sdp: str = ""
    """Of an offer or an answer."""
    ufrag: str | None = None
    """Of a candidate: which description it belongs to."""


def read(data: bytes) -> Signaling | None:
    """Return which step of a negotiation *data* is, None if it is none that we know."""
    if not any(hint in data for hint in _HINTS):
        return None
    try:
        said = _decode(data)
        if isinstance(said, str):
            said = _decode(said)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    return _read(said) if isinstance(said, dict) else None


def _read(said: dict[str, Any]) -> Signaling | None:
    described = said.get("description")
    description: dict[str, Any] = described if isinstance(described, dict) else {}
    kind = description.get("type") if description else said.get("type")
    step = _STEPS.get(kind) if isinstance(kind, str) else None
    if step is None and "candidate" in said:
        step = "candidate"
    if step is None:
        return None
    inner = description or said.get(step)
    if not isinstance(inner, dict):
        return Signaling(step)
    sdp, ufrag = inner.get("sdp"), inner.get("usernameFragment")
    return Signaling(step, sdp if isinstance(sdp, str) else "", ufrag if isinstance(ufrag, str) else None)
