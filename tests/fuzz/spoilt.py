"""Frames that look like what clients write, and are not."""

import json
import random
from typing import Any, Final

VALUES: Final[list[Any]] = [
    *("join", "signal", "chat", "joinRoom", "subscribe", "publish", "OFFER", "LEAVE", "ping", "", "a", "é🎉", "\0"),
    *("a\0b", '"', "\\", "\ud800", "x" * 1024, "x" * 1025, "é" * 513, '{"type":"offer","sdp":"v=0"}'),
    *(None, True, False, 0, -1, 1.5, 1e300, 2**70, [], {}, [["a"]], {"a": {"b": [None]}}, ["t"] * 50),
    *(10**400, {"a": 2**70, "b": [-(10**400)]}, {"colour": "red", "n": 1e300}),
]
MARKS: Final = b'"{}[]:,\\0 x\xff\x01'


def spoilt(dice: random.Random, kept: list[bytes]) -> bytes:
    """Return a seed with other values, bytes and lengths than it had."""
    frame = dice.choice(kept)
    if dice.random() < 0.8:
        try:
            said = json.loads(frame)
        except ValueError:
            said = None
        if isinstance(said, dict) and said:
            for _ in range(dice.randint(0, 3)):
                said[dice.choice([*said, "more", "ref", "clients"])] = dice.choice(VALUES)
            if dice.random() < 0.3:
                said.pop(dice.choice([*said]))
            frame = json.dumps(said, ensure_ascii=dice.random() < 0.5).encode(errors="replace")
    changed = bytearray(frame)
    if changed and dice.random() < 0.3:
        for _ in range(dice.randint(1, 4)):
            changed[dice.randrange(len(changed))] = dice.choice(MARKS)
    if changed and dice.random() < 0.1:
        del changed[dice.randrange(len(changed)) :]
    if dice.random() < 0.05:
        at = dice.randint(0, len(changed))
        changed[at:at] = dice.choice([dice.choice(kept), b"[" * 300, b'{"a":' * 300, b"9" * 500, b"9" * 5000, b"1e999"])
    return bytes(changed)
