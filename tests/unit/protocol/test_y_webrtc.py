"""y-webrtc's frames (protocols.md 4.1)."""

import json

import pytest
from msgspec import Raw

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.dialects import NOBODY
from parley.protocol.dialects.y_webrtc import YWebrtc

DIALECT = YWebrtc()


def decode(frame):
    return DIALECT.conversation(NOBODY).decode(frame if isinstance(frame, bytes) else json.dumps(frame).encode())


def published(data, members=2):
    said = says.Published(room="t", from_="c", data=Raw(data), members=members)
    return DIALECT.encode(said, 1)


def test_topics_are_rooms():
    assert decode({"type": "subscribe", "topics": ["a", "b", "a"]}) == [ask.Join(room="a"), ask.Join(room="b")]
    assert decode({"type": "unsubscribe", "topics": ["a", 7, None, ""]}) == [ask.Leave(room="a")]
    assert decode({"type": "ping"}) == (ask.Ping(),)
    assert DIALECT.pong(None, "now", 1) == b'{"type":"pong"}'


def test_a_publish_travels_as_it_came():
    frame = b'{"type":"publish", "topic":"t","data":{"token":1795223579399.8862,"n":1.10},"more":[1]}'

    assert decode(frame) == [ask.Publish(room="t", data=Raw(frame))]
    assert published(frame) == frame[:-1] + b',"clients":2}'


@pytest.mark.parametrize(
    "frame", [b'{"clients":"x","type":"publish","data":1.10}', b'{"type":"publish","data":1.10 , "clients": 9 }\n']
)
def test_the_count_is_ours_and_comes_last(frame):
    assert published(frame) == b'{"type":"publish","data":1.10,"clients":2}'


def test_a_publish_whose_data_speaks_of_clients_keeps_it():
    assert published(b'{"data":"clients"}') == b'{"data":"clients","clients":2}'


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"nonsense",
        b"[1]",
        b'"ping"',
        b"{",
        b'{"type":"subscribe","topics":"a"}',
        b'{"type":"subscribe"}',
        b'{"type":"publish"}',
        b'{"type":"publish","topic":""}',
        b'{"type":"publish","topic":["t"]}',
        b'{"type":7}',
        b'{"type":"other"}',
        b'{"type":"subscribe","topics":["' + b"x" * 1025 + b'"]}',
        b"[" * 5000,
    ],
)
def test_what_is_malformed_is_left_out(frame):
    assert list(decode(frame)) == []


def test_nothing_else_is_said():
    left = says.MemberLeft(room="t", position=1, connection_id="c", reason="left")
    assert DIALECT.encode(left, 1) is None
