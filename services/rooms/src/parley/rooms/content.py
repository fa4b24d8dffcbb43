"""Reads a copy of what passes, to tell an offer from an answer from a candidate.

What passes is never changed, and what is not recognised passes too (design
section 6). The shapes are perfect negotiation's ``{description}`` and
``{candidate}``, the workshop's ``{type, offer | answer | candidate}`` and PeerJS's
``{type: "OFFER" ...}``.
"""

from typing import Any, Final, Literal

import msgspec

Step = Literal["offer", "answer", "candidate"]

_HINTS: Final = (b"offer", b"answer", b"candidate", b"OFFER", b"ANSWER", b"CANDIDATE")
_decode: Final = msgspec.json.Decoder().decode


def step(data: bytes) -> Step | None:
    """Return which step of a negotiation *data* is, None if it is none that we know."""
    if not any(hint in data for hint in _HINTS):
        return None
    try:
        said = _decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    return _step(said) if isinstance(said, dict) else None


def _step(said: dict[str, Any]) -> Step | None:
    description = said.get("description")
    kind = description.get("type") if isinstance(description, dict) else said.get("type")
    match kind:
        case "offer" | "OFFER":
            return "offer"
        case "answer" | "ANSWER":
            return "answer"
        case "candidate" | "CANDIDATE":
            return "candidate"
    return "candidate" if "candidate" in said else None
