"""Who hears what is said."""

import json

import pytest
from support.partition import Partition, announced, facts, heard, id_of, raw, replies

from parley.protocol import commands as c
from parley.protocol import says
from parley.protocol.codes import ErrorCode
from parley.protocol.requests import Chat, Join, Relay, Send, Signal


@pytest.fixture
def partition():
    partition = Partition()
    for name in ("ana", "bob", "cid"):
        partition.opens(name, gateway=f"g-{name}")
        partition.asks(name, Join(room="r"), gateway=f"g-{name}")
    partition.opens("dan")
    return partition


def test_what_is_sent_reaches_the_others_as_it_was_written(partition):
    outputs = partition.asks("ana", Send(room="r", data=raw('{"n":1.10}'), ref="1"))

    for name in ("bob", "cid"):
        (message,) = heard(outputs, name)
        assert (message.from_, bytes(message.data)) == (id_of("ana"), b'{"n":1.10}')
    assert heard(outputs, "ana") == [says.Ok(ref="1")]
    assert heard(outputs, "dan") == []
    assert announced(outputs) == []


@pytest.mark.parametrize(
    "request_", [Send(room="r", data=raw("1"), ref="1"), Chat(room="r", id="1", text="t", ref="1")]
)
def test_only_members_speak(partition, request_):
    outputs = partition.asks("dan", request_)

    (error,) = heard(outputs, "dan")
    assert (error.code, error.ref) == (ErrorCode.NOT_MEMBER, "1")
    assert heard(outputs, "ana") == []


def test_another_app_s_room_is_another_room(partition):
    command = c.Asked(app="b", connection=id_of("eve"), request=Relay(room="r", text="hi"))

    assert heard(partition.take(command), "ana") == []


def test_chat_reaches_all_and_is_answered_with_its_position(partition):
    outputs = partition.asks("ana", Chat(room="r", id="m1", text="hi", ref="1"))

    for name in ("ana", "bob", "cid"):
        assert heard(outputs, name)[0].text == "hi"
    ok = heard(outputs, "ana")[1]
    assert (ok.id, ok.position, ok.time) == ("m1", 4, "1970-01-01T00:16:40.000Z")
    (fact,) = facts(outputs)
    assert (fact.data.text, fact.data.user_id, fact.data.position) == ("hi", "ana", 4)


def test_a_repeated_chat_is_stored_once_and_answered_again(partition):
    partition.asks("ana", Chat(room="r", id="m1", text="hi", ref="1"))

    outputs = partition.asks("ana", Chat(room="r", id="m1", text="hi", ref="2"))

    assert announced(outputs) == []
    assert heard(outputs, "bob") == []
    (ok,) = heard(outputs, "ana")
    assert (ok.ref, ok.position) == ("2", 4)


def test_two_senders_may_use_the_same_id(partition):
    partition.asks("ana", Chat(room="r", id="m1", text="hi"))

    assert announced(partition.asks("bob", Chat(room="r", id="m1", text="ho"))) == ["message.posted"]


def test_a_signal_reaches_one_connection_and_nobody_else(partition):
    outputs = partition.asks("ana", Signal(to=id_of("bob"), data=raw('{"x":1}'), ref="1"))

    (signal,) = heard(outputs, "bob")
    assert (signal.from_, bytes(signal.data)) == (id_of("ana"), b'{"x":1}')
    assert heard(outputs, "cid") == []
    assert heard(outputs, "ana") == [says.Ok(ref="1")]


def test_a_signal_to_nobody_is_not_found(partition):
    (error,) = heard(partition.asks("ana", Signal(to=id_of("zoe"), data=raw("1"), ref="1")), "ana")

    assert error.code == ErrorCode.NOT_FOUND


def test_a_signal_to_a_closed_connection_is_gone(partition):
    partition.closes("bob")

    (error,) = heard(partition.asks("ana", Signal(to=id_of("bob"), data=raw("1"), ref="1")), "ana")

    assert error.code == ErrorCode.GONE


def test_another_app_s_connection_is_not_found(partition):
    """Another app's ids mean nothing."""
    command = c.Asked(app="b", connection=id_of("eve"), request=Signal(to=id_of("ana"), data=raw("1"), ref="1"))

    outputs = partition.take(command)

    assert heard(outputs, "ana") == []
    assert heard(outputs, "eve")[0].code == ErrorCode.NOT_FOUND


def test_a_workshop_s_text_is_chat_for_the_others(partition):
    """A newcomer's `sendMsgToRoom` with plain text is stored, and comes back over REST."""
    outputs = partition.asks("ana", Relay(room="r", text="hello world!"))

    assert announced(outputs) == ["message.posted"]
    assert heard(outputs, "bob")[0].text == "hello world!"


def test_a_workshop_s_signaling_passes_and_is_not_stored(partition):
    offer = json.dumps({"type": "offer", "offer": {"type": "offer", "sdp": "v=0"}})

    outputs = partition.asks("ana", Relay(room="r", text=offer))

    assert announced(outputs) == ["negotiation.offered"]
    assert json.loads(bytes(heard(outputs, "bob")[0].data)) == offer


def test_a_workshop_s_sender_need_not_be_a_member(partition):
    outputs = partition.asks("dan", Relay(room="r", text="hi"))

    assert [heard(outputs, name)[0].text for name in ("ana", "bob", "cid")] == ["hi"] * 3


def test_what_is_said_in_an_empty_room_is_heard_by_nobody(partition):
    assert partition.asks("dan", Relay(room="nobody", text="hi")) == []


def test_a_backend_speaks_in_a_room(partition):
    command = c.PostToRoom(app="a", room="r", id="b1", text="hi", user="bot", data='{"n":1.10}', reply="inbox")

    outputs = partition.take(command)

    chat = heard(outputs, "ana")[0]
    assert (chat.from_, chat.user_id, chat.text, bytes(chat.data)) == (None, "bot", "hi", b'{"n":1.10}')
    assert replies(outputs)[0]["position"] == 4
    assert replies(partition.take(command))[0]["position"] == 4


def test_a_backend_can_t_speak_where_nobody_is(partition):
    outputs = partition.take(c.PostToRoom(app="a", room="empty", id="b1", text="hi", reply="inbox"))

    assert replies(outputs)[0]["code"] == ErrorCode.NOT_FOUND


def test_a_backend_says_something_to_one_connection(partition):
    outputs = partition.take(c.PostToConnection(app="a", connection=id_of("ana"), data='"psst"', reply="inbox"))

    (message,) = heard(outputs, "ana")
    assert (message.room, message.from_, bytes(message.data)) == (None, None, b'"psst"')
    assert replies(outputs) == [{"ok": True}]


def test_a_failed_event_is_told_to_its_sender_and_announced(partition):
    event, at = partition.log[1]

    outputs = list(partition.rooms.failed(event, at, ValueError("secret")))

    assert announced(outputs) == ["event.failed"]
    assert "secret" not in str(outputs)
    assert heard(outputs, "ana")[0].code == ErrorCode.INTERNAL


def test_a_replayed_log_says_the_same_words(partition):
    """After a takeover the new owner repeats its predecessor exactly."""
    partition.asks("ana", Chat(room="r", id="1", text="hi", ref="1"))
    partition.closes("bob")
    twin = Partition()

    said = [out for event, at in partition.log for out in twin.rooms.reduce(event, at)]

    assert said == partition.outputs
