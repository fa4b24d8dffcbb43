"""AppRTC's frames, as Collider reads and writes them."""

import json
from typing import Any

import pytest
from msgspec import Raw

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.apps import App
from parley.protocol.codes import ErrorCode
from parley.protocol.dialects import NOBODY, Misunderstood
from parley.protocol.dialects.apprtc import AppRtc

DIALECT = AppRtc(App())
REGISTER = {"cmd": "register", "roomid": "557126025", "clientid": "00052939"}


@pytest.fixture
def seat():
    return DIALECT.conversation(NOBODY)


@pytest.fixture
def registered(seat):
    (join,) = decode(seat, REGISTER)
    seat.accepted(join)
    return seat


def said(say) -> Any:
    frame = DIALECT.encode(say, 1)
    assert isinstance(frame, bytes)
    return json.loads(frame)


def decode(seat, frame):
    return list(seat.decode(frame if isinstance(frame, bytes) else json.dumps(frame).encode()))


def test_who_registers_joins_a_room(seat):
    assert decode(seat, REGISTER) == [ask.Join(room="557126025", metadata={"clientId": "00052939"})]


def test_what_one_says_is_for_the_other_to_the_letter(registered):
    text = '{"type":"offer","sdp":"é <&> 1.10"}'

    (send,) = decode(registered, {"cmd": "send", "msg": text})
    assert (send.room, send.waits) == ("557126025", True)
    heard = said(says.Message(room=send.room, from_="c", data=send.data))
    assert heard == {"msg": text, "error": ""}
    assert list(heard) == ["msg", "error"]


@pytest.mark.parametrize("data", ['{"x":1.10}', "null", '"text"'])
def test_a_backend_s_word_is_text(data):
    heard = said(says.Message(data=Raw(data.encode())))

    assert heard == {"msg": "text" if data == '"text"' else data, "error": ""}


@pytest.mark.parametrize(
    ("frame", "words", "ends"),
    [
        ({"cmd": "send", "msg": "x"}, "Client not registered", True),
        ({"cmd": "register", "roomid": "r"}, "Invalid register request: missing 'clientid' or 'roomid'", True),
        ({"cmd": "register", "roomid": None, "clientid": "c"}, "Invalid register request: missing ", True),
        ({"cmd": "register", "roomid": 7, "clientid": "c"}, "websocket.JSON.Receive error: ", True),
        ({"cmd": "dance"}, "Invalid message: unexpected 'cmd'", False),
        ({"cmd": "Register"}, "Invalid message: unexpected 'cmd'", False),
        ({}, "Invalid message: unexpected 'cmd'", False),
        ({"cmd": 7}, "websocket.JSON.Receive error: ", True),
        ([], "websocket.JSON.Receive error: ", True),
        (b"junk", "websocket.JSON.Receive error: ", True),
        (b"[" * 5000, "websocket.JSON.Receive error: ", True),
    ],
)
def test_errors_have_collider_s_words_and_ends(seat, frame, words, ends):
    with pytest.raises(Misunderstood) as misunderstood:
        decode(seat, frame)

    heard = json.loads(DIALECT.refuse(misunderstood.value, None, "c", "r"))
    assert heard["msg"] == ""
    assert heard["error"].startswith(words)
    assert (misunderstood.value.code in DIALECT.final) == ends


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (REGISTER, "Duplicated register request"),
        ({"cmd": "send"}, "Invalid send request: missing 'msg'"),
        ({"cmd": "send", "msg": ""}, "Invalid send request: missing 'msg'"),
        ({"cmd": "send", "msg": {"type": "offer"}}, "websocket.JSON.Receive error: "),
    ],
)
def test_errors_of_who_is_registered(registered, frame, words):
    with pytest.raises(Misunderstood, match=words):
        decode(registered, frame)


def test_a_room_has_two_clients():
    full = says.Error(code=ErrorCode.ROOM_FULL, message="The room has its 2 members.", room="r")

    assert DIALECT.members == 2
    assert said(full) == {"msg": "", "error": "Max room capacity reached"}
    assert ErrorCode.ROOM_FULL in DIALECT.final
