"""The frames of Kinesis Video Streams' signaling (protocols.md 6.4 and 6.5)."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.dialects import Hello, Misunderstood
from parley.protocol.dialects.kvs import CHANNEL, CLIENT, MAX_FRAME, MAX_PAYLOAD, Kinesis, Peer, is_client_id

ARN = "arn:aws:kinesisvideo:eu-west-1:123456789012:channel/demo/1700000000000"
DIALECT = Kinesis(ttl=60)
MASTER = DIALECT.conversation(Hello("/", {CHANNEL: ARN}))
VIEWER = DIALECT.conversation(Hello("/", {CHANNEL: ARN, CLIENT: "viewer-1"}))


def frame(**members: Any) -> bytes:
    return json.dumps({"action": "SDP_OFFER", "messagePayload": "e30="} | members).encode()


def letter(peer: Peer, said: bytes) -> ask.Letter:
    (request,) = peer.decode(said)
    assert isinstance(request, ask.Letter)
    return request


def heard(request: ask.Letter) -> dict[str, Any]:
    """Return what the receiver of a letter is told."""
    came = says.LetterCame(
        box=request.box, name=request.name, sender=request.sender, kind=request.kind, data=request.data
    )
    written = DIALECT.encode(came, 1)
    assert written is not None
    found: dict[str, Any] = json.loads(written)
    return found


def misunderstood(peer: Peer, said: bytes) -> Misunderstood:
    with pytest.raises(Misunderstood) as refusal:
        peer.decode(said)
    return refusal.value


def status(refusal: Misunderstood) -> dict[str, Any] | None:
    written = DIALECT.refuse(refusal, refusal.ref, "connection", "request")
    return None if written is None else json.loads(written)["statusResponse"]


class TestForwarding:
    def test_a_viewers_goes_to_the_master_whomever_it_names_and_says_whose_it_is(self) -> None:
        said = letter(VIEWER, frame(recipientClientId="viewer-2"))

        assert (said.box, said.name, said.sender) == (ARN, "", "viewer-1")
        assert heard(said) == {"senderClientId": "viewer-1", "messageType": "SDP_OFFER", "messagePayload": "e30="}

    def test_a_masters_goes_to_the_viewer_that_it_names_and_says_no_sender(self) -> None:
        said = letter(MASTER, frame(action="SDP_ANSWER", recipientClientId="viewer-1"))

        assert (said.box, said.name) == (ARN, "viewer-1")
        assert heard(said) == {"messageType": "SDP_ANSWER", "messagePayload": "e30="}

    @pytest.mark.parametrize(
        ("action", "step", "replaces"),
        [("SDP_OFFER", "offer", True), ("SDP_ANSWER", "answer", True), ("ICE_CANDIDATE", "candidate", False)],
    )
    def test_it_waits_as_long_as_the_channel_says_and_descriptions_replace_each_other(
        self, action: str, step: str, replaces: bool
    ) -> None:
        said = letter(VIEWER, frame(action=action))

        assert (said.kind, said.step, said.keep_ms, said.replaces) == (action, step, 60_000, replaces)

    def test_a_payload_is_passed_to_the_letter_though_it_decodes_to_no_text(self) -> None:
        payload = "6Q=="  # é as one byte: what btoa makes of it

        assert heard(letter(VIEWER, frame(messagePayload=payload)))["messagePayload"] == payload

    def test_names_of_members_are_in_any_case(self) -> None:
        """As the C SDK writes them, with all of them there."""
        said = json.dumps(
            {
                "action": "SDP_ANSWER",
                "RecipientClientId": "viewer-1",
                "MessagePayload": "e30=",
                "CorrelationId": "c-1",
            }
        ).encode()

        assert letter(MASTER, said).ref == "c-1"
        assert letter(MASTER, said).name == "viewer-1"

    def test_a_c_clients_empty_members_are_as_if_absent(self) -> None:
        said = json.dumps(
            {"action": "SDP_OFFER", "RecipientClientId": "", "MessagePayload": "e30=", "CorrelationId": ""}
        ).encode()

        assert letter(VIEWER, said).ref is None
        assert "recipientClientId" in misunderstood(MASTER, said).message

    def test_the_ice_servers_in_a_c_clients_offer_reach_the_master_where_they_fit(self) -> None:
        servers = [{"Password": "p", "Ttl": 300, "Uris": ["turn:h:443"], "Username": "u"}]

        said = letter(VIEWER, frame(IceServerList=servers))
        large = letter(VIEWER, frame(IceServerList=servers * 3, messagePayload="A" * MAX_PAYLOAD))

        assert heard(said)["IceServerList"] == servers
        assert heard(large).keys() == {"senderClientId", "messageType", "messagePayload"}
        assert len(json.dumps(heard(large), separators=(",", ":"))) <= MAX_FRAME
        junk: Any
        for junk in (7, {}, [7], [{"Uris": 7}], [{"Ttl": 1}]):
            assert "IceServerList" not in heard(letter(VIEWER, frame(IceServerList=junk)))

    def test_coming_in_takes_ones_address_in_the_channel(self) -> None:
        assert VIEWER.opening() == (ask.Join(room=ARN), ask.Register(box=ARN, name="viewer-1"))
        assert MASTER.opening() == (ask.Join(room=ARN), ask.Register(box=ARN, name=""))


class TestStatus:
    @pytest.mark.parametrize(
        ("peer", "said"),
        [
            (MASTER, {}),
            (MASTER, {"recipientClientId": ""}),
            (MASTER, {"recipientClientId": "a b"}),
            (MASTER, {"recipientClientId": "AWS_x"}),
            (MASTER, {"recipientClientId": 7}),
            (VIEWER, {"action": "OTHER"}),
            (VIEWER, {"action": None}),
            (VIEWER, {"messagePayload": "not base64!"}),
            (VIEWER, {"messagePayload": ""}),
            (VIEWER, {"messagePayload": None}),
            (VIEWER, {"messagePayload": {"type": "offer"}}),
            (VIEWER, {"messagePayload": "A" * (MAX_PAYLOAD + 1)}),
            (VIEWER, {"messagePayload": "e30=\n"}),
        ],
    )
    def test_what_cannot_be_forwarded_is_said_to_who_can_tell_what_it_was(self, peer: Peer, said: Any) -> None:
        found = status(misunderstood(peer, frame(correlationId="corr-2", **said)))

        assert found is not None
        assert found.pop("description")
        assert found == {"correlationId": "corr-2", "errorType": "InvalidArgumentException", "statusCode": "400"}
        assert status(misunderstood(peer, frame(**said))) is None

    @pytest.mark.parametrize(
        "said", [b"", b"junk", b"[]", b"7", b'"x"', b"{", b"\xff", b"[" * 5000, b'{"a":' * 5000, b'{"action":"\xff"}']
    )
    def test_junk_is_dropped(self, said: bytes) -> None:
        assert status(misunderstood(VIEWER, said)) is None

    @pytest.mark.parametrize("ref", ["a b", "x" * 257, 7, None, "\n"])
    def test_what_is_no_correlation_id_gets_no_answer(self, ref: Any) -> None:
        assert status(misunderstood(MASTER, frame(correlationId=ref))) is None

    def test_only_a_limit_has_another_name(self) -> None:
        for code, kind in (
            (ErrorCode.RATE_LIMITED, "ClientLimitExceededException"),
            (ErrorCode.DEGRADED, "ClientLimitExceededException"),
            (ErrorCode.TOO_LARGE, "InvalidArgumentException"),
        ):
            found = status(Misunderstood(code, "A sentence.", "c"))
            assert found is not None
            assert (found["errorType"], found["description"]) == (kind, "A sentence.")

    def test_an_owners_error_is_one_too(self) -> None:
        written = DIALECT.encode(says.Error(ref="c", code=ErrorCode.RATE_LIMITED, message="Full."), 1)

        assert written is not None
        assert json.loads(written)["statusResponse"]["errorType"] == "ClientLimitExceededException"

    def test_success_and_who_comes_and_goes_are_silent(self) -> None:
        member = says.Member(
            connection_id="c", user_id=None, device_id=None, metadata={}, availability="online", polite=True
        )
        for say in (
            says.Ok(ref="c"),
            says.Registered(box=ARN, name="", outcome="new"),
            says.MemberJoined(room=ARN, position=1, member=member),
            says.MemberLeft(room=ARN, position=2, connection_id="c", reason="left"),
            says.SignalFrom(from_="c", data=Raw(b"{}")),
        ):
            assert DIALECT.encode(say, 1) is None


@pytest.mark.parametrize(
    ("text", "fine"),
    [("viewer-1", True), ("a.B_9-", True), ("x" * 256, True), ("x" * 257, False), ("", False), ("aws_x", False)],
)
def test_a_viewers_id_is_one_of_theirs(text: str, fine: bool) -> None:
    assert is_client_id(text) is fine


_SOUND = frame(recipientClientId="v", correlationId="c", IceServerList=[{"Uris": ["turn:h"]}])


_PIECES = [
    b"null",
    b'"":',
    b"[[[[",
    b'"\\ud800"',
    b'"Action":7,',
    b'"MESSAGEPAYLOAD":"QQ==",',
    b"1e999",
    b"\x00",
    b"\xff",
]


def damaged(dice: random.Random) -> bytes:
    """Return a good frame in which some bytes are gone and others in their place; or something else altogether."""
    if dice.random() < 0.1:
        return dice.randbytes(dice.randrange(60))
    start = dice.randrange(len(_SOUND))
    end = start + dice.randrange(20)
    return _SOUND[:start] + dice.choice([*_PIECES, dice.randbytes(4)]) + _SOUND[end:]


@settings(max_examples=1000, deadline=None)
@given(st.integers(0, 1 << 64), st.booleans())
def test_whatever_comes_is_forwarded_as_it_was_or_refused(seed: int, master: bool) -> None:
    """A hundred frames an example, as an example costs Hypothesis much more than a frame costs us."""
    dice = random.Random(seed)
    for _ in range(100):
        _is_forwarded_or_refused(MASTER if master else VIEWER, damaged(dice))


def _is_forwarded_or_refused(peer: Peer, said: bytes) -> None:
    try:
        request = letter(peer, said)
    except Misunderstood as misunderstood:
        refusal = misunderstood
    else:
        found = heard(request)
        assert (found["messageType"], found["messagePayload"].encode() in said) == (request.kind, True), said
        assert ("senderClientId" in found) == (peer is VIEWER), said
        return
    assert (status(refusal) is None) == (refusal.ref is None), said


def test_a_refusal_of_the_gateways_own_without_an_id_is_silent() -> None:
    assert DIALECT.refuse(Refusal(ErrorCode.RATE_LIMITED, "Too many."), None, "c", "r") is None
