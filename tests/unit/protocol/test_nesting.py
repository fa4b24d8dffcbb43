"""What is nested deeper than every process can read is refused at the door."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.protocol.apps import App
from parley.protocol.codes import ErrorCode
from parley.protocol.dialects import NOBODY, Misunderstood
from parley.protocol.dialects.apigw import Workshop
from parley.protocol.dialects.parley_v1 import ParleyV1
from parley.protocol.nesting import MAX_NESTING, too_deep


def nested(levels: int) -> bytes:
    return b'{"a":[' * (levels // 2) + b"[]" * (levels % 2) + b"]}" * (levels // 2)


def test_the_limit_is_the_last_level_allowed() -> None:
    assert not too_deep(nested(MAX_NESTING))
    assert too_deep(nested(MAX_NESTING + 1))
    assert too_deep(b"[" * (MAX_NESTING + 1))


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert not too_deep(b"[" + b",".join([b"[]", b"{}"] * 1000) + b"]")


def test_brackets_in_strings_are_text() -> None:
    assert not too_deep(json.dumps(["[" * 1000, '"' + "{" * 1000, "\\" + '"[' * 1000]).encode())
    assert too_deep(b'"' + b'"' + b"[" * 1000)


@given(st.recursive(st.text() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_it_agrees_with_counting(value: Any) -> None:
    def levels(value: Any) -> int:
        if isinstance(value, dict):
            value = list(value.values())
        return 1 + max(map(levels, value), default=0) if isinstance(value, list) else 0

    padding = MAX_NESTING + 1 - levels(value)
    document = json.dumps(value, ensure_ascii=False).encode()

    assert too_deep(b"[" * padding + document + b"]" * padding)
    assert not too_deep(b"[" * (padding - 1) + document + b"]" * (padding - 1))


@pytest.mark.parametrize("text", [b'"\\"' * 50_000, b"[]" * 65_000, b'"' * 130_000, b'{"' * 65_000, b"\\" * 130_000])
def test_looking_takes_no_time(text: bytes) -> None:
    began = time.process_time()

    too_deep(b"[" * 300 + text)

    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("levels", [MAX_NESTING + 1, 900, 990, 100_000])
def test_no_dialect_takes_it(levels: int) -> None:
    """An owner has less stack left than the gateway: it would stumble over the frame on every replica in turn."""
    for decode in (ParleyV1().decode, Workshop(App()).conversation(NOBODY).decode):
        for frame in (b'{"action":"send","room":"r","data":%b}', b'{"action":"negotiate","to":"c","data":%b}'):
            with pytest.raises(Misunderstood) as refusal:
                decode(frame % nested(levels))
            assert refusal.value.code in (ErrorCode.BAD_FRAME, ErrorCode.BAD_REQUEST, ErrorCode.UNKNOWN_ACTION)
