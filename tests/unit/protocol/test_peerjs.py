"""PeerJS's frames (protocols.md 7)."""

import json

import pytest
from msgspec import Raw

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.codes import Refusal
from parley.protocol.dialects import Hello
from parley.protocol.dialects.peerjs import EXPIRE_MS, PeerJs

DIALECT = PeerJs("peerjs")
QUERY = {"id": "ana", "token": "t", "key": "peerjs", "version": "1.5.5"}


@pytest.fixture
def peer():
    return DIALECT.conversation(Hello("/peerjs", QUERY))


def decode(peer, frame):
    return list(peer.decode(frame if isinstance(frame, bytes) else json.dumps(frame).encode()))


def test_a_peer_takes_its_id_as_its_address(peer):
    assert peer.opening() == (ask.Register(box="ana", name="", secret="t"),)


@pytest.mark.parametrize(("kind", "step"), [("OFFER", "offer"), ("ANSWER", "answer"), ("CANDIDATE", "candidate")])
def test_signaling_waits_for_its_peer(peer, kind, step):
    (letter,) = decode(peer, {"type": kind, "payload": {"n": 1}, "dst": "bob", "src": "eve", "more": 1})

    assert (letter.box, letter.sender, letter.kind, letter.step) == ("bob", "ana", kind, step)
    assert (letter.keep_ms, letter.notify) == (EXPIRE_MS, True)


def test_a_relayed_frame_has_its_sender_s_own_id_and_its_payload_s_bytes(peer):
    (letter,) = decode(peer, b'{"type":"OFFER","payload":{"sdp": 1.10 },"dst":"bob","src":"eve"}')
    came = says.LetterCame(box="bob", name="", sender="ana", kind="OFFER", data=letter.data)

    assert DIALECT.encode(came, 1) == b'{"type":"OFFER","src":"ana","dst":"bob","payload":{"sdp": 1.10 }}'


def test_an_absent_payload_stays_absent(peer):
    (letter,) = decode(peer, {"type": "LEAVE", "dst": "bob"})
    came = says.LetterCame(box="bob", name="", sender="ana", kind="LEAVE", data=letter.data)

    assert letter.keep_ms == 0
    assert DIALECT.encode(came, 1) == b'{"type":"LEAVE","src":"ana","dst":"bob"}'


def test_peers_may_tell_one_another_that_something_is_over(peer):
    """The server that PeerJS has relays EXPIRE, too; it waits for nobody."""
    (letter,) = decode(peer, {"type": "EXPIRE", "dst": "bob", "payload": None})
    came = says.LetterCame(box="bob", name="", sender="ana", kind="EXPIRE", data=letter.data)

    assert letter.keep_ms == 0
    assert DIALECT.encode(came, 1) == b'{"type":"EXPIRE","src":"ana","dst":"bob","payload":null}'


@pytest.mark.parametrize("nobody", [{}, {"dst": None}, {"dst": ""}, {"dst": 0}, {"dst": False}])
def test_leaving_nobody_leaves_the_server(peer, nobody):
    assert decode(peer, {"type": "LEAVE", **nobody}) == [ask.Release(box="ana", name="")]
    assert decode(peer, {"type": "OFFER", **nobody}) == []


@pytest.mark.parametrize(
    "frame",
    [
        b"junk",
        b"[]",
        b"{}",
        b'{"type":"HEARTBEAT"}',
        b'{"type":"OTHER","dst":"b"}',
        b'{"type":"OFFER"}',
        b'{"type":"OFFER","dst":7}',
        b'{"type":"LEAVE","dst":[]}',
        b'{"type":["OFFER"],"dst":"b"}',
        b"[" * 5000,
    ],
)
def test_the_rest_asks_for_nothing(peer, frame):
    assert decode(peer, frame) == []


def test_what_the_server_says():
    def registered(outcome):
        return DIALECT.encode(says.Registered(box="ana", name="", outcome=outcome), 1)

    assert registered("new") == b'{"type":"OPEN"}'
    assert registered("again") is None
    assert registered("taken") == b'{"type":"ID-TAKEN","payload":{"msg":"ID is taken"}}'
    expired = DIALECT.encode(says.LetterExpired(box="bob", name="", sender="ana"), 1)
    assert expired == b'{"type":"EXPIRE","src":"bob","dst":"ana"}'
    joined = says.Message(data=Raw(b"1"))
    assert DIALECT.encode(joined, 1) is None


@pytest.mark.parametrize("missing", ["id", "token", "key"])
def test_who_does_not_say_all_is_told_what(missing):
    for query in ({**QUERY, missing: ""}, {key: value for key, value in QUERY.items() if key != missing}):
        with pytest.raises(Refusal, match="No id, token, or key supplied to websocket server") as refused:
            DIALECT.check(Hello("/peerjs", query))
        said = DIALECT.dismiss(refused.value).frame
        assert json.loads(said) == {
            "type": "ERROR",
            "payload": {"msg": "No id, token, or key supplied to websocket server"},
        }


def test_another_app_s_key_is_wrong():
    with pytest.raises(Refusal, match="Invalid key provided"):
        DIALECT.check(Hello("/peerjs", {**QUERY, "key": "other"}))
