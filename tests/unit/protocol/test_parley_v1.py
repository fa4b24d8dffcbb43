"""parley.v1 on paper: what each frame asks for, and how each say is written (protocols.md section 0)."""

import json
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.dialects import Misunderstood
from parley.protocol.dialects.parley_v1 import ParleyV1, Pong

DIALECT = ParleyV1()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
ACTIONS = st.sampled_from(
    ["join", "leave", "signal", "send", "chat", "report", "presence", "token", "ping", "x", "", None, 3]
)
FIELDS = st.sampled_from(
    ["ref", "room", "to", "data", "id", "text", "since", "metadata", "availability", "token", "peers"]
)
PEER = {
    "connectionId": "AAECAwQFBgcICQo=",
    "state": "connected",
    "bytesSent": 1,
    "bytesReceived": 2,
    "packetsReceived": 3,
    "packetsLost": 0,
}
FULL = PEER | {
    "jitterMs": 1.5,
    "roundTripMs": 12,
    "localCandidate": "host",
    "remoteCandidate": "relay",
    "setupMs": 210.0,
    "firstMediaMs": 480.0,
}
MOST = 2**53 - 1


def decode(frame):
    (request,) = DIALECT.decode(json.dumps(frame).encode())
    return request


def refusal(frame):
    with pytest.raises(Misunderstood) as raised:
        DIALECT.decode(frame if isinstance(frame, bytes) else json.dumps(frame).encode())
    return raised.value


@pytest.mark.parametrize(
    ("frame", "request_"),
    [
        ({"action": "join", "room": "r", "ref": "1"}, ask.Join(room="r", ref="1")),
        (
            {"action": "join", "room": "r", "since": {"epoch": "e", "position": 4}, "metadata": {"a": 1}},
            ask.Join(room="r", since=ask.Since("e", 4), metadata={"a": 1}),
        ),
        ({"action": "leave", "room": "r"}, ask.Leave(room="r")),
        ({"action": "presence", "availability": "busy"}, ask.SetPresence(availability="busy")),
        ({"action": "token", "token": "t"}, ask.RefreshToken(token="t")),
        ({"action": "ping", "ref": "p"}, ask.Ping(ref="p")),
        ({"action": "ping", "unknown": "members are ignored"}, ask.Ping()),
    ],
)
def test_a_frame_asks_for(frame, request_):
    assert decode(frame) == request_


@pytest.mark.parametrize("data", [b"{}", b"[1.10]", b'"x"', b"3", b"null"])
def test_chat_may_carry_any_data(data):
    (request,) = DIALECT.decode(b'{"action":"chat","room":"r","id":"1","text":"t","data":%b}' % data)

    again = msgspec.json.decode(msgspec.json.encode(request), type=ask.AnyRequest)
    assert bytes(again.data) == data


def test_data_keeps_the_bytes_that_the_client_wrote():
    """`data` is opaque: digits, order, doubled keys and spaces stay."""
    data = b'{ "n": 1.10, "n": 1e2, "x": 12345678901234567890123 }'

    (request,) = DIALECT.decode(b'{"action":"send","room":"r","data":%b}' % data)
    assert isinstance(request, ask.Send)

    assert bytes(request.data) == data


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"", ErrorCode.BAD_FRAME),
        (b"x", ErrorCode.BAD_FRAME),
        (b"[]", ErrorCode.BAD_FRAME),
        (b'"join"', ErrorCode.BAD_FRAME),
        (b'{"action":"join","room":"\\ud800"}', ErrorCode.BAD_FRAME),
        (b"[" * 100_000, ErrorCode.BAD_FRAME),
        (b'{"action":"send","room":"r","data":' + b"[" * 60_000 + b"]" * 60_000 + b"}", ErrorCode.BAD_FRAME),
        ({}, ErrorCode.BAD_REQUEST),
        ({"action": 3}, ErrorCode.BAD_REQUEST),
        ({"action": "fly"}, ErrorCode.UNKNOWN_ACTION),
        ({"action": "Join", "room": "r"}, ErrorCode.UNKNOWN_ACTION),
        ({"action": "join"}, ErrorCode.BAD_REQUEST),
        ({"action": "join", "room": 3}, ErrorCode.BAD_REQUEST),
        ({"action": "join", "room": ""}, ErrorCode.BAD_REQUEST),
        ({"action": "join", "room": "é" * 513}, ErrorCode.BAD_REQUEST),
        ({"action": "join", "room": "a\0b"}, ErrorCode.BAD_REQUEST),
        ({"action": "join", "room": "r", "metadata": {"a": "\0"}}, ErrorCode.BAD_REQUEST),
        ({"action": "join", "room": "r", "metadata": {"a": "x" * 4096}}, ErrorCode.TOO_LARGE),
        ({"action": "send", "room": "r"}, ErrorCode.BAD_REQUEST),
        ({"action": "report", "room": "", "peers": []}, ErrorCode.BAD_REQUEST),
        ({"action": "report", "room": "a\0b", "peers": []}, ErrorCode.BAD_REQUEST),
        ({"action": "report", "peers": []}, ErrorCode.BAD_REQUEST),
        ({"action": "report", "room": "r"}, ErrorCode.BAD_REQUEST),
        ({"action": "presence", "availability": "inCall"}, ErrorCode.BAD_REQUEST),
        ({"action": "chat", "room": "r", "id": "", "text": "t"}, ErrorCode.BAD_REQUEST),
        ({"action": "chat", "room": "r", "id": "1", "text": "a\0"}, ErrorCode.BAD_REQUEST),
        ({"action": "ping", "ref": 3}, ErrorCode.BAD_REQUEST),
        ({"action": "ping", "ref": "x" * 65}, ErrorCode.BAD_REQUEST),
    ],
)
def test_a_wrong_frame_is_refused_with_its_code(frame, code):
    assert refusal(frame).code == code


def report(*peers):
    return {"action": "report", "ref": "7", "room": "r", "peers": peers}


def test_a_report_says_how_media_goes_with_each_peer():
    quality = ask.PeerQuality(
        connection_id="AAECAwQFBgcICQo=",
        state="connected",
        bytes_sent=1,
        bytes_received=2,
        packets_received=3,
        packets_lost=0,
        jitter_ms=1.5,
        round_trip_ms=12.0,
        local_candidate="host",
        remote_candidate="relay",
        setup_ms=210.0,
        first_media_ms=480.0,
    )

    assert decode(report(FULL)) == ask.Report(ref="7", room="r", peers=(quality,))
    assert decode(report()) == ask.Report(ref="7", room="r", peers=())


@pytest.mark.parametrize(
    "name", ["jitterMs", "roundTripMs", "localCandidate", "remoteCandidate", "setupMs", "firstMediaMs"]
)
def test_what_is_not_known_of_a_peer_may_be_null_or_left_out(name):
    left_out = {key: value for key, value in FULL.items() if key != name}

    assert decode(report(FULL | {name: None})) == decode(report(left_out)) != decode(report(FULL))


@pytest.mark.parametrize("name", PEER)
def test_what_is_always_known_of_a_peer_has_to_be_said(name):
    assert refusal(report(FULL | {name: None})).code is ErrorCode.BAD_REQUEST
    assert refusal(report({key: value for key, value in FULL.items() if key != name})).code is ErrorCode.BAD_REQUEST


COUNTS = ["bytesSent", "bytesReceived", "packetsReceived", "packetsLost"]
TIMES = ["jitterMs", "roundTripMs", "setupMs", "firstMediaMs"]
BAD = {
    **{key: ["-1", "1.5", "1.0", "1e3", '"1"', "true", str(MOST + 1), "1e400", "9" * 400, "[]"] for key in COUNTS},
    **{key: ["-1", "-0.001", '"1"', "true", "9007199254740993", "1e300", "1e400", "-1e400", "{}"] for key in TIMES},
    "state": ['"asleep"', '"Connected"', "1", '""'],
    "localCandidate": ['"HOST"', '""', "0"],
    "remoteCandidate": ['"tcp"', "[]"],
    "connectionId": ['""', '"bob"', '"AAECAwQFBgcICQo"', '"AAECAwQFBgcICQo=\\n"', '"AAECAwQFBgcICQ\\u0000="', "1"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_report_with_a_wrong_value_is_refused_to_its_ref(name, value):
    frame = json.dumps(report(FULL, FULL | {"connectionId": "AAECAwQFBgcICQs=", name: "?"})).replace('"?"', value)

    refused = refusal(frame.encode())

    assert (refused.code, refused.ref) == (ErrorCode.BAD_REQUEST, "7")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_of_json_s_is_no_frame(value):
    refused = refusal(json.dumps(report(FULL | {"jitterMs": "?"})).replace('"?"', value).encode())

    assert (refused.code, refused.ref) == (ErrorCode.BAD_FRAME, "7")


@pytest.mark.parametrize("peers", [None, {}, FULL, "x", [None], [[]], [FULL, "x"], [FULL, FULL]])
def test_the_peers_of_a_report_are_a_list_of_them_each_once(peers):
    refused = refusal({"action": "report", "ref": "7", "room": "r", "peers": peers})

    assert (refused.code, refused.ref) == (ErrorCode.BAD_REQUEST, "7")


def test_a_report_may_name_64_peers():
    def peers(count):
        return [FULL | {"connectionId": f"{number:015}="} for number in range(count)]

    assert len(decode(report(*peers(64))).peers) == 64
    assert refusal(report(*peers(65))).code is ErrorCode.BAD_REQUEST


def test_the_largest_numbers_stay_what_they_are():
    said = dict.fromkeys(COUNTS, MOST) | dict.fromkeys(TIMES, MOST)

    (request,) = DIALECT.decode(json.dumps(report(FULL | said)).encode())

    again = msgspec.json.decode(msgspec.json.encode(request), type=ask.AnyRequest)
    assert again == request
    assert again.peers[0].bytes_sent == again.peers[0].jitter_ms == MOST


def test_a_refusal_carries_the_ref_if_one_could_be_read():
    assert refusal({"action": "fly", "ref": "7"}).ref == "7"
    assert refusal({"action": "join", "ref": "7"}).ref == "7"
    assert refusal({"action": "join", "room": "", "ref": "7"}).ref == "7"
    assert refusal({"action": "join", "ref": ["no", "ref"]}).ref is None


@pytest.mark.parametrize("value", [b'"half an emoji \\ud83d"', b"NaN"])
@pytest.mark.parametrize("field", [b'"room":"r","data":%b', b'"room":"r","data":[{"x":%b}]', b'"room":%b'])
def test_what_is_json_to_others_and_not_to_us_is_refused_to_the_ref_that_waits(field, value):
    """JavaScript writes a text that was cut within an emoji so."""
    refused = refusal(b'{"action":"send","ref":"7",%b}' % (field % value))

    assert (refused.code, refused.ref) == (ErrorCode.BAD_FRAME, "7")


def test_a_ref_that_cannot_be_said_is_not_read():
    assert refusal(b'{"action":"ping","ref":"\\ud83d"}').ref is None
    assert refusal(b'{"action":"ping","ref":"%b","x":NaN}' % (b"x" * 65)).ref is None
    assert refusal(b'{"action":"ping","ref":"7"').ref is None


def test_metadata_may_speak_of_nul_and_not_hold_it():
    frame = {"action": "presence", "metadata": {"path": "C:\\u0000", "\\\\": "\\"}}
    assert decode(frame).metadata == frame["metadata"]

    assert refusal({"action": "presence", "metadata": {"a": "\\\0"}}).code is ErrorCode.BAD_REQUEST
    assert refusal({"action": "presence", "metadata": {"\0": 1}}).code is ErrorCode.BAD_REQUEST


@pytest.mark.parametrize("room", ["a.b", "a b", ">", "*", "a\nb", "😀", "x" * 1024, "a/b", "%2F", " "])
def test_a_room_may_have_any_name(room):
    assert decode({"action": "join", "room": room}) == ask.Join(room=room)


@given(st.one_of(st.binary(), JSON.map(lambda value: json.dumps(value).encode())))
def test_no_bytes_get_more_than_an_answer(frame):
    try:
        requests = DIALECT.decode(frame)
    except Misunderstood:
        return
    assert isinstance(requests[0], ask.Request)


@given(ACTIONS, st.dictionaries(FIELDS, JSON))
def test_no_fields_get_more_than_an_answer(action, fields):
    try:
        requests = DIALECT.decode(json.dumps({"action": action, **fields}).encode())
    except Misunderstood:
        return
    msgspec.json.encode(requests)


SAID: list[says.ToClient] = [
    says.MemberLeft(room="r", position=2, connection_id="c", reason="left"),
    says.Ok(ref="1"),
    says.ChatOk(ref="1", room="r", id="i", position=3, time="t"),
    says.JoinOk(ref="1", room="r", epoch="e", position=1, members=[], recovered=False, missed=[]),
    says.SignalFrom(from_="c", data=msgspec.Raw(b"[1.10]")),
    says.Message(room="r", from_="c", data=msgspec.Raw(b"{}")),
    says.Error(ref="1", code=ErrorCode.ROOM_FULL, message="m"),
    says.ChatPosted(room="r", position=1, id="i", from_="c", user_id=None, text="t", data=ask.NULL, time="t"),
    says.MemberChanged(room="r", connection_id="c", availability="busy", metadata={}),
    says.MemberJoined(
        room="r",
        position=1,
        member=says.Member(
            connection_id="c", user_id="u", device_id=None, metadata={"a": 1}, availability="online", polite=False
        ),
    ),
]


def test_every_kind_of_say_has_an_example_here():
    assert {type(say) for say in SAID} == set(get_args(says.ToAnybody))


@pytest.mark.parametrize("say", SAID, ids=lambda say: type(say).__name__)
def test_a_say_is_written_with_its_type_and_its_place(say):
    frame = json.loads(DIALECT.encode(say, 4096) or b"")

    plain = json.loads(msgspec.json.encode(say))
    assert frame == {**plain, "type": plain["type"].removesuffix(".join").removesuffix(".chat"), "n": 4096}


def test_the_words_of_a_new_member():
    """The names are the SDKs'; none may change."""
    assert json.loads(DIALECT.encode(SAID[-1], 7) or b"") == {
        "type": "member.joined",
        "n": 7,
        "room": "r",
        "position": 1,
        "member": {
            "connectionId": "c",
            "userId": "u",
            "deviceId": None,
            "metadata": {"a": 1},
            "availability": "online",
            "polite": False,
        },
    }


def test_a_member_that_joins_again_is_no_news():
    """Only the workshop's clients are told; the position is one that something else has already."""
    joined = SAID[-1]
    assert isinstance(joined, says.MemberJoined)

    assert DIALECT.encode(replace(joined, again=True), 7) is None


def test_an_error_that_waiting_cures_says_how_long():
    frame = json.loads(DIALECT.refuse(Refusal(ErrorCode.RATE_LIMITED, "Slower."), "1", "c", "q"))

    assert frame == {"type": "error", "ref": "1", "code": "rate_limited", "message": "Slower.", "retryAfterMs": 1000}


def test_an_error_that_waiting_does_not_cure_says_no_time():
    assert b"retryAfterMs" not in DIALECT.refuse(Refusal(ErrorCode.NOT_ALLOWED, "No."), None, "c", "q")


def test_a_pong_tells_the_place():
    assert json.loads(DIALECT.write(Pong(ref="1", time="t", n=5))) == {"type": "pong", "ref": "1", "time": "t", "n": 5}


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_request_may_name_the_trace_it_is_part_of():
    assert decode({"action": "leave", "room": "r", "ref": "1", "traceparent": TRACE}) == ask.Leave(
        room="r", ref="1", traceparent=TRACE
    )


@pytest.mark.parametrize("hostile", [None, 7, "", "rubbish", [TRACE], {"a": TRACE}, TRACE + "\n", TRACE.upper()])
def test_what_is_no_trace_is_as_good_as_none(hostile):
    assert decode({"action": "leave", "room": "r", "traceparent": hostile}) == ask.Leave(room="r")
