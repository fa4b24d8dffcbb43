"""What can be told of data that passes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.rooms.content import step


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"description": {"type": "offer", "sdp": ""}}, "offer"),
        ({"description": {"type": "answer", "sdp": ""}}, "answer"),
        ({"description": {"type": "rollback"}}, None),
        ({"candidate": {"candidate": ""}}, "candidate"),
        ({"candidate": None}, "candidate"),
        ({"type": "offer", "offer": {}}, "offer"),
        ({"type": "candidate", "candidate": {}}, "candidate"),
        ({"type": "ANSWER", "payload": {}}, "answer"),
        ({"text": "an offer you can't refuse"}, None),
        (["offer"], None),
        ("offer", None),
        ({"type": ["offer"]}, None),
    ],
)
def test_a_shape_is_told(said, expected):
    assert step(json.dumps(said).encode()) == expected


@given(st.binary())
def test_anything_else_passes(data):
    assert step(b"offer" + data) is None
