"""
One client's side of `parley.v1`, without any I/O.

Give a Session what arrived and it says what that means; ask it for a request and it gives the text to
write. It outlives the socket: after a resume the same session knows what was processed (`n`), how to
come back (`resume`), and which requests to repeat (`unanswered`). Every rule of protocols.md section 0
that a client has to keep is here.
"""

import json
from collections.abc import Mapping
from enum import Enum, auto
from itertools import count
from typing import Any, cast

from parley.client.errors import ParleyError, Refused
from parley.client.frames import Frame, Welcome


class Meaning(Enum):
    """What is to be done about a frame."""

    WELCOME = auto()
    ANSWER = auto()
    """It answers one of our requests."""
    FRAME = auto()
    """It is for the program."""
    KNOWN = auto()
    """It was processed before; nothing is to be done."""


class Session:
    """What a client knows, whichever socket it has at the moment."""

    def __init__(self) -> None:
        self.welcome: Welcome | None = None
        """The last welcome; None until the first."""
        self.n = 0
        """Place of the last frame processed; 0 before any."""
        self._refs = count(1)
        self._unanswered: dict[str, str] = {}
        """Requests by ref, in the order they were made, as they were written."""

    def request(self, action: str, fields: Mapping[str, Any]) -> tuple[str, str]:
        """Return the ref and the text of a request that will be answered."""
        ref = str(next(self._refs))
        text = json.dumps({"action": action, "ref": ref, **fields}, allow_nan=False, separators=(",", ":"))
        self._unanswered[ref] = text
        return ref, text

    def forget(self, ref: str) -> None:
        """Nobody waits for this answer any more, so it is not to be repeated."""
        self._unanswered.pop(ref, None)

    def receive(self, text: str) -> tuple[Meaning, dict[str, Any]]:
        """Take in a frame, and say what it means."""
        try:
            frame = json.loads(text)
        except ValueError as error:
            raise ParleyError(f"the server sent what is not JSON: {text[:200]!r}") from error
        if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
            raise ParleyError(f"the server sent what is no frame of parley.v1: {text[:200]!r}")
        if frame["type"] == "welcome":
            return Meaning.WELCOME, self._welcomed(frame)
        n = frame.get("n")
        if isinstance(n, int):
            # A pong is no entry of the log: it says how far the log has been written to us, even when nothing came.
            if n <= self.n and frame["type"] != "pong":
                return Meaning.KNOWN, frame
            self.n = max(self.n, n)
        ref = frame.get("ref")
        if ref is not None and frame["type"] in ("ok", "error", "pong"):
            return (Meaning.ANSWER if self._unanswered.pop(ref, None) else Meaning.KNOWN), frame
        return Meaning.FRAME, frame

    @property
    def resume(self) -> dict[str, str]:
        """The query parameters with which a new socket takes this session up; none before the first welcome."""
        if self.welcome is None:
            return {}
        return {"resume": self.welcome["resumeToken"], "n": str(self.n)}

    @property
    def unanswered(self) -> dict[str, str]:
        """Requests by ref, to be repeated in this order after a resume and before anything new."""
        return dict(self._unanswered)

    def _welcomed(self, frame: dict[str, Any]) -> dict[str, Any]:
        if not frame.get("resumed"):
            self.n = 0  # it begins anew with the new connection id
        self.welcome = cast("Welcome", frame)
        return frame


def answered(frame: Mapping[str, Any]) -> Any:
    """Return the answer, or raise what it refuses."""
    if frame["type"] == "error":
        raise refusal(frame)
    return frame


def refusal(frame: Mapping[str, Any] | Frame) -> Refused:
    """Return an error frame as what a program catches."""
    given = cast("Mapping[str, Any]", frame)
    return Refused(str(given.get("code", "internal")), str(given.get("message", "")), given.get("retryAfterMs"))
