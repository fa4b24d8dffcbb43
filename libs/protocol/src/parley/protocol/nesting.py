"""How deeply JSON is nested, before anybody takes it apart.

Whoever decodes JSON uses stack for each level, and some have less of it than
others: what one process can still read must be no riddle to the next.
"""

import re
from itertools import accumulate
from typing import Final

MAX_NESTING: Final = 256
"""Levels of arrays and objects in what comes from outside. Our own envelopes add about ten."""

_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A string; one that never ends goes to the end, so that looking stays linear."""

_STEPS: Final = {ord(mark): 1 for mark in "[{"} | {ord(mark): -1 for mark in "]}"}
_OTHERS: Final = bytes(byte for byte in range(256) if byte not in _STEPS)


def too_deep(text: bytes | bytearray) -> bool:
    """Whether JSON is nested more than `MAX_NESTING` levels; of what is no JSON the answer means nothing."""
    if text.count(b"[") + text.count(b"{") <= MAX_NESTING:
        return False
    brackets = _STRING.sub(b"", text).translate(None, _OTHERS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_NESTING
