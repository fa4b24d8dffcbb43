"""The two apps in which everybody hears everything (protocols.md 5.1)."""

import json

import pytest
from msgspec import Raw

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.apps import App
from parley.protocol.codes import ErrorCode
from parley.protocol.dialects import Hello, Misunderstood
from parley.protocol.dialects.broadcast import Broadcast, BroadcastText

HELLO = Hello("/broadcast/websocket")
VIDEO, TEXT = Broadcast(App()), BroadcastText(App())


def decode(dialect, frame):
    return list(dialect.conversation(HELLO).decode(frame if isinstance(frame, bytes) else json.dumps(frame).encode()))


@pytest.mark.parametrize("dialect", [VIDEO, TEXT])
def test_all_of_a_path_are_in_one_room(dialect):
    assert dialect.conversation(HELLO).opening() == (ask.Join(room="/broadcast/websocket"),)
    assert dialect.conversation(Hello("/broadcast/websocket/")).opening() == dialect.conversation(HELLO).opening()


def test_three_members_are_passed_on_as_they_were_written():
    frame = b'{"action":"onMessage", "id":"me","more":1,"data":{"sdp": 1.10},"type":"offer"}'

    (publish,) = decode(VIDEO, frame)
    assert publish.room == "/broadcast/websocket"
    assert bytes(publish.data) == b'{"type":"offer","data":{"sdp": 1.10},"id":"me"}'
    said = says.Published(room=publish.room, from_="c", data=publish.data, members=2)
    assert VIDEO.encode(said, 1) == b'{"type":"offer","data":{"sdp": 1.10},"id":"me"}'


@pytest.mark.parametrize("missing", ["type", "data", "id"])
def test_a_frame_without_one_of_them_fails_as_its_handler_did(missing):
    frame = {"action": "onMessage", "type": "offer", "data": None, "id": "me"}
    del frame[missing]

    with pytest.raises(Misunderstood) as misunderstood:
        decode(VIDEO, frame)
    assert misunderstood.value.code == ErrorCode.INTERNAL
    assert json.loads(VIDEO.refuse(misunderstood.value, None, "c", "r"))["message"] == "Internal server error"


def test_text_reaches_all_bare_and_its_sender_too():
    (relay,) = decode(TEXT, {"action": "onMessage", "message": "hi"})
    assert relay == ask.Relay(room="/broadcast/websocket", text="hi", echo=True)

    posted = says.ChatPosted(
        room="r", position=1, id="1", from_="c", user_id=None, text="hi", data=Raw(b"null"), time="now"
    )
    assert TEXT.encode(posted, 1) == b"hi"


@pytest.mark.parametrize("frame", [b"junk", b'{"action":"other"}', b"[1]"])
def test_the_rest_is_forbidden(frame):
    with pytest.raises(Misunderstood) as misunderstood:
        decode(VIDEO, frame)
    assert misunderstood.value.code == ErrorCode.UNKNOWN_ACTION


def test_nobody_is_told_who_joins():
    member = says.Member(
        connection_id="c", user_id=None, device_id=None, metadata={}, availability="online", polite=False
    )
    assert VIDEO.encode(says.MemberJoined(room="r", position=1, member=member), 1) is None
