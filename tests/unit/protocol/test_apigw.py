"""The workshop's dialect on paper, quirks included (protocols.md 1.6, 2.2, 2.3, 3.3)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.apps import App, Route
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.dialects import NOBODY, Misunderstood
from parley.protocol.dialects.apigw import ApiGateway, Workshop

DIALECT = Workshop(App())


def decode(frame, conversation=None):
    return (conversation or DIALECT.conversation(NOBODY)).decode(json.dumps(frame).encode())


def said(say, receiver="me"):
    words = DIALECT.encode(say, 1)
    return words(receiver) if callable(words) else words


def message(data: bytes) -> says.Message:
    return says.Message(room="r", from_="c", data=Raw(data))


@pytest.mark.parametrize(
    ("written", "room"),
    [('"123"', "123"), ("123", "123"), ("null", "null"), ("true", "true"), ("[1,2]", "1,2"), ("{}", "[object Object]")],
)
def test_a_room_is_named_as_javascript_writes_it(written, room):
    (join,) = DIALECT.conversation(NOBODY).decode(b'{"action":"joinRoom","roomId":%b}' % written.encode())

    assert join == ask.Join(room=room, announce_again=True)


def test_without_a_room_id_the_room_is_called_undefined():
    assert decode({"action": "joinRoom"}) == (ask.Join(room="undefined", announce_again=True),)


def test_joining_another_room_leaves_the_first():
    """Membership is one attribute of the connection: joining again moves you."""
    conversation = DIALECT.conversation(NOBODY)
    (join,) = decode({"action": "joinRoom", "roomId": "a"}, conversation)
    conversation.accepted(join)

    assert decode({"action": "joinRoom", "roomId": "b"}, conversation) == (
        ask.Leave(room="a"),
        ask.Join(room="b", announce_again=True),
    )


def test_a_join_that_was_refused_is_not_remembered():
    conversation = DIALECT.conversation(NOBODY)
    decode({"action": "joinRoom", "roomId": "a"}, conversation)

    assert len(decode({"action": "joinRoom", "roomId": "b"}, conversation)) == 1


def test_joining_the_same_room_again_leaves_nothing():
    conversation = DIALECT.conversation(NOBODY)
    (join,) = decode({"action": "joinRoom", "roomId": "a"}, conversation)
    conversation.accepted(join)

    assert decode({"action": "joinRoom", "roomId": "a"}, conversation) == (join,)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"message": "hello world!"}, "hello world!"),
        ({"message": {"type": "offer"}}, "[object Object]"),
        ({}, "undefined"),
        ({"message": None}, "null"),
        ({"message": 12}, "12"),
    ],
)
def test_a_message_is_relayed_as_javascript_writes_it(body, text):
    assert decode({"action": "sendMsgToRoom", "roomId": "r", **body}) == (ask.Relay(room="r", text=text),)


def test_numbers_that_grow_too_long_as_text_are_refused():
    frame = b'{"action":"sendMsgToRoom","roomId":"r","message":[%b]}' % b",".join([b"1e20"] * 26_000)

    with pytest.raises(Misunderstood) as refused:
        DIALECT.conversation(NOBODY).decode(frame)

    assert refused.value.code is ErrorCode.TOO_LARGE


@pytest.mark.parametrize("action", ["NEGOTIATE", "negotiate"])
@pytest.mark.parametrize("target", ["connectionId", "to", "recipientConnectionId", "targetConnectionId"])
def test_negotiate_passes_the_whole_object_to_one_connection(action, target):
    frame = json.dumps({"action": action, target: "abc="}).encode()

    assert DIALECT.conversation(NOBODY).decode(frame) == (ask.Signal(to="abc=", data=Raw(frame)),)


@pytest.mark.parametrize(
    "frame",
    [
        b"hello",
        b"",
        b"12",
        b"[]",
        b'"joinRoom"',
        b"{}",
        b'{"action":"nope"}',
        b'{"action":["joinRoom"]}',
        b'{"action":"joinroom"}',
        b'{"action":"$connect"}',
    ],
)
def test_what_matches_no_route_is_forbidden(frame):
    with pytest.raises(Misunderstood) as raised:
        DIALECT.conversation(NOBODY).decode(frame)

    assert json.loads(DIALECT.refuse(raised.value, None, "me=", "req=")) == {
        "message": "Forbidden",
        "connectionId": "me=",
        "requestId": "req=",
    }


@given(st.binary())
def test_no_bytes_get_more_than_an_answer(frame):
    with pytest.raises(Misunderstood):
        DIALECT.conversation(NOBODY).decode(frame)


def test_a_bad_body_names_the_message():
    frame = DIALECT.refuse(Refusal(ErrorCode.BAD_REQUEST, "No."), None, "me=", "req=")

    assert json.loads(frame) == {"message": "Bad request body", "connectionId": "me=", "messageId": "req="}


def test_a_new_participant_is_announced_with_the_receiver_s_own_id():
    member = says.Member(
        connection_id="new=", user_id=None, device_id=None, metadata={}, availability="online", polite=False
    )
    frame = said(says.MemberJoined(room="r", position=1, member=member), receiver="old=")

    assert json.loads(frame) == {"type": "newParticipant", "participantConnectionId": "old="}


def test_a_text_is_the_frame_itself():
    assert said(message(b'"hello \\"world\\" \\u00e9"')) == 'hello "world" é'.encode()


def test_data_of_other_dialects_is_its_json():
    assert said(message(b'{"a":1.10}')) == b'{"a":1.10}'


def test_chat_comes_bare_and_not_back_to_its_sender():
    chat = says.ChatPosted(room="r", position=1, id="i", from_="ana=", user_id=None, text="hi", data=ask.NULL, time="t")

    assert said(chat, receiver="bob=") == b"hi"
    assert said(chat, receiver="ana=") is None


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        (b'{"to":"me=","n":1.10}', b'{"to":"me=","n":1.10,"from":"ana=","senderConnectionId":"ana="}'),
        (b" { } ", b'{"from":"ana=","senderConnectionId":"ana="}'),
        (b"[1]", b'{"data":[1],"from":"ana=","senderConnectionId":"ana="}'),
    ],
)
def test_a_signal_tells_its_sender_and_keeps_its_digits(data, frame):
    assert said(says.SignalFrom(from_="ana=", data=Raw(data))) == frame


def test_a_sender_cannot_call_itself_another():
    frame = said(says.SignalFrom(from_="ana=", data=Raw(b'{"from":"eve="}')))

    assert json.loads(frame)["from"] == "ana="


@pytest.mark.parametrize(
    "say",
    [
        says.MemberLeft(room="r", position=2, connection_id="c", reason="left"),
        says.MemberChanged(room="r", connection_id="c", availability="busy", metadata={}),
        says.Ok(ref="1"),
    ],
)
def test_what_api_gateway_has_no_words_for_is_silent(say):
    """There is no leave notification in this protocol, and no answer."""
    assert said(say) is None


def test_a_gone_target_is_told_to_its_sender():
    frame = json.loads(said(says.Error(code=ErrorCode.GONE, message="Closed."), receiver="me="))

    assert frame["message"] == "Gone"
    assert frame["connectionId"] == "me="
    assert set(frame) == {"message", "connectionId", "requestId"}


class TestRoutesOfItsOwn:
    def test_a_route_is_found_by_its_key_and_gets_the_frame_as_it_came(self):
        app = App(routes={"sendMessage": Route(nats=True), "$connect": Route(nats=True)})
        frame = b'{"action":"sendMessage","n": 1.10}'

        seat = ApiGateway(app).conversation(NOBODY)
        assert seat.decode(frame) == (ask.Invoke(route="sendMessage", body=frame.decode()),)

    @pytest.mark.parametrize(
        "frame", [b"no json", b'{"action":"other"}', b'{"action":"$connect"}', b'{"action":"$disconnect"}', b"7"]
    )
    def test_what_matches_none_goes_to_the_default_route(self, frame):
        app = App(routes={key: Route(nats=True) for key in ("$connect", "$disconnect", "$default")})

        seat = ApiGateway(app).conversation(NOBODY)
        assert seat.decode(frame) == (ask.Invoke(route="$default", body=frame.decode()),)

    def test_without_a_default_it_is_forbidden(self):
        seat = ApiGateway(App(routes={"$connect": Route(nats=True)})).conversation(NOBODY)

        with pytest.raises(Misunderstood) as misunderstood:
            seat.decode(b'{"action":"$connect"}')
        assert misunderstood.value.code == ErrorCode.UNKNOWN_ACTION

    def test_its_own_route_comes_before_a_built_in_one(self):
        seat = Workshop(App(routes={"joinRoom": Route(nats=True)})).conversation(NOBODY)

        assert seat.decode(b'{"action":"joinRoom"}') == (ask.Invoke(route="joinRoom", body='{"action":"joinRoom"}'),)

    def test_an_app_may_select_its_routes_otherwise(self):
        app = App(route_selection_expression="$request.body.type", routes={"hi": Route(nats=True)})

        frame = '{"type":"hi"}'
        seat = ApiGateway(app).conversation(NOBODY)
        assert seat.decode(frame.encode()) == (ask.Invoke(route="hi", body=frame),)
