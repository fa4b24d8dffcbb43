"""What the checker has to say: a promise, and who found it broken and how."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

Promise = Literal[
    "no loss",
    "no doubles",
    "order",
    "positions",
    "answers",
    "resume",
    "refusals",
    "strangers",
    "one left for every joined",
    "events",
    "chat",
    "rest",
]


class Violation(Struct, frozen=True, order=True):
    """A promise that was broken."""

    promise: Promise
    who: str
    what: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.who}: {self.what}"


class Key(Struct, frozen=True, order=True):
    """Names one thing that a client said: everything it says has its own number, and they rise."""

    sender: str
    """Connection."""
    k: int


def key(sender: str | None, words: Any) -> Key | None:
    """Return whose word this is, None if no client of ours has said it."""
    if sender is None or not isinstance(words, Mapping) or not isinstance(words.get("k"), int):
        return None
    return Key(sender, words["k"])
