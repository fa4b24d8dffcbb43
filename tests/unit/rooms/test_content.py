"""What can be told of data that passes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.rooms.content import Signaling, read


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
        ({"type": "offer", "sdp": "v=0"}, "offer"),
        ('{"type":"candidate","label":0,"id":"0","candidate":"c"}', "candidate"),
        ('"{\\"type\\":\\"offer\\"}"', None),
        (["offer"], None),
        ("offer", None),
        ({"type": ["offer"]}, None),
    ],
)
def test_a_shape_is_told(said, expected):
    told = read(json.dumps(said).encode())

    assert (told and told.step) == expected


@given(st.binary())
def test_anything_else_passes(data):
    assert read(b"offer" + data) is None


def test_what_tells_negotiations_apart_is_read():
    description = {"description": {"type": "offer", "sdp": "v=0"}}
    candidate = {"candidate": {"candidate": "c", "usernameFragment": "u1"}}

    assert read(json.dumps(description).encode()) == Signaling("offer", sdp="v=0")
    assert read(json.dumps(candidate).encode()) == Signaling("candidate", ufrag="u1")
