"""The rules of one connection, without socket, bus and clock."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.gateway.session import (
    REPEAT_SECONDS,
    Action,
    Check,
    Fault,
    HangUp,
    Publish,
    Rules,
    Say,
    Session,
)
from parley.gateway.stay import AGE_SECONDS, IDLE_SECONDS
from parley.kit.flow import Flow, Rate
from parley.kit.identity import Identity
from parley.protocol import ids
from parley.protocol.apps import App
from parley.protocol.codes import ErrorCode, Refusal
from parley.protocol.commands import Asked, Closed, Moved, Opened, PresenceSet, Profile
from parley.protocol.dialects import Dialect, Hello
from parley.protocol.dialects.apigw import Workshop
from parley.protocol.dialects.kvs import AWS_LONGEST, CHANNEL, CLIENT, Kinesis
from parley.protocol.dialects.parley_v1 import ParleyV1
from parley.protocol.dialects.y_webrtc import MAX_TOPICS, YWebrtc
from parley.protocol.requests import Join, Report
from parley.protocol.says import Attached

NOW = 1_800_000_000.0
PARTITIONS = 16
ID = ids.connection_id(3, b"123456789")
PEER = ids.connection_id(5, b"abcdefghi")
ANYBODY = Identity.anonymous("default")


def session(identity: Identity = ANYBODY, dialect: Dialect | None = None, **rules: int | Rate) -> Session:
    profile = Profile(user_id="ana", metadata={"colour": "red"})
    return Session(ID, dialect or ParleyV1(), identity, profile, Rules(PARTITIONS, **rules), NOW)  # type: ignore[arg-type]


def peer(*, strict: bool = False) -> Session:
    """Return a viewer of Kinesis."""
    channel = Hello("/", {CHANNEL: "arn", CLIENT: "viewer"})
    return Session(ID, Kinesis(60, strict=strict), ANYBODY, Profile(), Rules(PARTITIONS), NOW, channel)


def said(actions: list[Action]) -> dict[str, object]:
    """Return the one frame that answers."""
    (action,) = actions
    assert isinstance(action, Say)
    frame = msgspec.json.decode(action.frame)
    assert isinstance(frame, dict)
    return frame


def published(actions: list[Action]) -> Asked:
    """Return the one command that is written for a request."""
    (action,) = actions
    assert isinstance(action, Publish)
    assert isinstance(action.command, Asked)
    return action.command


def receive(of: Session, frame: str, now: float = NOW, trouble: Refusal | None = None) -> list[Action]:
    return of.receive(frame.encode(), now, 77, trouble)


def identity(**grants: object) -> Identity:
    return Identity(**{"app": "default", "subject": "ana"} | grants)  # type: ignore[arg-type]


def test_it_begins_at_home() -> None:
    publish = session().opened("192.0.2.1", "agent")

    assert publish.partitions == (3,)
    assert isinstance(publish.command, Opened)
    assert publish.command.resumable


def test_a_room_s_requests_go_to_its_partition() -> None:
    actions = receive(session(), '{"action":"send","room":"r","data":1}')

    assert isinstance(actions[0], Publish)
    assert actions[0].partitions == (ids.partition_of("default", "r", PARTITIONS),)


def test_a_signal_goes_to_the_home_of_its_recipient_and_says_where_the_sender_has_been() -> None:
    mine = session()
    receive(mine, '{"action":"join","room":"r"}')

    actions = receive(mine, f'{{"action":"signal","to":"{PEER}","data":{{}}}}')

    assert isinstance(actions[0], Publish)
    assert actions[0].partitions == (5,)
    touched = {3, 5, ids.partition_of("default", "r", PARTITIONS)}
    assert published(actions).touched == sum(1 << partition for partition in touched)


def test_its_end_goes_wherever_it_was_heard_of() -> None:
    mine = session()
    receive(mine, f'{{"action":"signal","to":"{PEER}","data":1}}')

    end = mine.closed(1000, "disconnected", 2, 1)

    assert end.partitions == (3, 5)
    assert isinstance(end.command, Closed)


def test_who_moves_tells_every_partition_how_its_home_knows_it() -> None:
    mine = session()
    profile = Profile(user_id="ana", availability="busy")

    moved = mine.resumed(ID, Attached(partition=3, session=2, profile=profile))

    assert moved.partitions == tuple(partition for partition in range(PARTITIONS) if partition != 3)
    assert moved.command == Moved(app="default", connection=ID, session=2, profile=profile)


def test_presence_goes_wherever_it_was_heard_of_with_the_whole_profile() -> None:
    mine = session()
    receive(mine, f'{{"action":"signal","to":"{PEER}","data":1}}')

    (action,) = receive(mine, '{"action":"presence","availability":"busy","metadata":{"mood":"calm"}}')

    assert isinstance(action, Publish)
    assert isinstance(action.command, PresenceSet)
    assert action.partitions == (3, 5)
    assert action.command.profile.availability == "busy"
    assert action.command.profile.metadata == {"colour": "red", "mood": "calm"}


def test_metadata_does_not_grow_above_its_limit_bit_by_bit() -> None:
    mine = session()

    answers = [receive(mine, f'{{"action":"presence","metadata":{{"k{i}":"{"x" * 900}"}}}}')[0] for i in range(6)]

    assert [type(answer) for answer in answers] == [Publish] * 4 + [Say] * 2
    assert b"too_large" in answers[5].frame  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("frame", "grants"),
    [
        ('{"action":"join","room":"team-a"}', {"rooms": {"team-*": frozenset({"join"})}}),
        ('{"action":"send","room":"team-a","data":1}', {"rooms": {"team-a": frozenset({"send"})}}),
        ('{"action":"chat","room":"team-a","id":"1","text":"x"}', {"rooms": {"*": frozenset({"send"})}}),
        ('{"action":"report","room":"team-a","peers":[]}', {"rooms": {"team-*": frozenset({"join"})}}),
        (f'{{"action":"signal","to":"{PEER}","data":1}}', {"direct": True}),
        ('{"action":"presence","availability":"busy"}', {"presence": True}),
        ('{"action":"presence","metadata":{}}', {"metadata": True}),
    ],
)
def test_a_request_needs_its_grant(frame: str, grants: dict[str, object]) -> None:
    assert isinstance(receive(session(identity(**grants)), frame)[0], Publish)
    assert said(receive(session(identity()), frame))["code"] == "not_allowed"
    other = identity(rooms={"other": frozenset({"join", "send"})})
    assert said(receive(session(other), frame))["code"] == "not_allowed"


def test_reporting_needs_no_more_than_joining() -> None:
    report = '{"action":"report","room":"r","peers":[],"ref":"1"}'
    speaks = session(identity(rooms={"r": frozenset({"send", "history"})}))

    assert isinstance(published(receive(session(), report)).request, Report)
    assert said(receive(speaks, report))["code"] == "not_allowed"


def test_an_app_that_takes_no_reports_says_so() -> None:
    answer = said(receive(session(reports=False), '{"action":"report","room":"r","peers":[],"ref":"1"}'))

    assert (answer["code"], answer["ref"]) == ("not_allowed", "1")
    assert "This app takes no reports" in str(answer["message"])


def test_leaving_needs_no_grant() -> None:
    assert published(receive(session(identity()), '{"action":"leave","room":"r"}'))


def test_a_room_too_many_is_refused_and_leaving_makes_room() -> None:
    mine = session(rooms=2)
    receive(mine, '{"action":"join","room":"a"}')
    receive(mine, '{"action":"join","room":"b"}')

    assert said(receive(mine, '{"action":"join","room":"c","ref":"1"}'))["code"] == "not_allowed"
    assert published(receive(mine, '{"action":"join","room":"a"}'))
    receive(mine, '{"action":"leave","room":"a"}')
    assert published(receive(mine, '{"action":"join","room":"c"}'))


def test_rooms_that_were_joined_before_a_resume_count() -> None:
    mine = session(rooms=3)
    mine.resumed(ID, Attached(partition=3, session=2, rooms=("a",)))
    mine.is_in(("b", "c"))

    assert said(receive(mine, '{"action":"join","room":"d","ref":"1"}'))["code"] == "not_allowed"
    assert published(receive(mine, '{"action":"join","room":"b"}'))
    receive(mine, '{"action":"leave","room":"c"}')
    assert published(receive(mine, '{"action":"join","room":"d"}'))


def test_a_repeated_request_that_was_answered_is_dropped_once() -> None:
    mine = session()
    mine.answered("7")
    mine.live(NOW)

    assert receive(mine, '{"action":"join","room":"a","ref":"7"}', NOW + REPEAT_SECONDS) == []
    assert published(receive(mine, '{"action":"join","room":"a","ref":"7"}', NOW + REPEAT_SECONDS))


def test_a_ref_that_is_used_anew_later_is_another_request() -> None:
    """Its client had read the answer before it could repeat the question."""
    mine = session()
    mine.answered("7")
    mine.answered("8")
    mine.live(NOW)

    assert published(receive(mine, '{"action":"join","room":"a","ref":"7"}', NOW + REPEAT_SECONDS + 0.001))
    assert published(receive(mine, '{"action":"join","room":"b","ref":"8"}', NOW + REPEAT_SECONDS - 1))


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("nonsense", "bad_frame"),
        ("[]", "bad_frame"),
        ("", "bad_frame"),
        ('{"action":"dance","ref":"1"}', "unknown_action"),
        ('{"action":"join","ref":"1"}', "bad_request"),
        ('{"action":"signal","to":"nobody","data":1,"ref":"1"}', "not_found"),
    ],
)
def test_what_is_wrong_is_answered_with_its_ref(frame: str, code: str) -> None:
    answer = said(receive(session(), frame))

    assert answer["code"] == code
    assert answer.get("ref") == ("1" if "ref" in frame else None)


def test_a_dialect_may_know_a_pace_for_each_kind_of_letter() -> None:
    viewer = peer(strict=True)

    def offer(now: float, action: str = "SDP_OFFER") -> Action:
        return receive(viewer, f'{{"action":"{action}","messagePayload":"e30=","correlationId":"c"}}', now)[0]

    assert [isinstance(offer(NOW), Publish) for _ in range(6)] == [True] * 5 + [False]
    assert isinstance(offer(NOW, "ICE_CANDIDATE"), Publish)
    assert isinstance(offer(NOW + 0.2), Publish)
    assert isinstance(offer(NOW + 0.2), Say)


def test_a_ping_is_answered_with_the_place_of_deliveries() -> None:
    answer = said(receive(session(), '{"action":"ping","ref":"p"}'))

    assert answer == {"type": "pong", "ref": "p", "time": "2027-01-15T08:00:00.000Z", "n": 77}


def test_above_the_rate_a_frame_is_refused_with_its_ref_and_not_processed() -> None:
    mine = session(rate=Rate(per_second=1, burst=1))
    receive(mine, '{"action":"ping"}')

    answer = said(receive(mine, '{"action":"join","room":"r","ref":"x"}'))

    assert (answer["code"], answer["ref"], answer["retryAfterMs"]) == ("rate_limited", "x", 1000)


@pytest.mark.parametrize("frame", ["ping", "text", "rubbish"])
def test_a_lasting_flood_ends_the_connection(frame: str) -> None:
    mine = session(rate=Rate(per_second=10, burst=10, flood_seconds=10))
    text = {"text": '{"action":"ping"}', "rubbish": "{"}.get(frame, "")

    ends = []
    for tick in range(2000):
        now = NOW + tick / 100
        actions = mine.pinged(now) if frame == "ping" else receive(mine, text, now)
        ends += [(now, action) for action in actions if isinstance(action, HangUp)]

    assert ends[0][1].code == 4029
    assert 10 < ends[0][0] - NOW < 13


def test_while_the_log_takes_nothing_only_the_gateway_answers() -> None:
    trouble = Refusal(ErrorCode.DEGRADED, "Away.")

    answer = said(receive(session(), '{"action":"join","room":"r","ref":"x"}', trouble=trouble))

    assert (answer["code"], answer["ref"], answer["retryAfterMs"]) == ("degraded", "x", 2000)
    assert said(receive(session(), '{"action":"ping"}', trouble=trouble))["type"] == "pong"


def test_an_expired_token_ends_the_connection_at_its_next_request() -> None:
    mine = session(identity(expires_at=int(NOW * 1000) + 1000, rooms={"*": frozenset({"join"})}))
    assert published(receive(mine, '{"action":"join","room":"r"}'))

    error, end = receive(mine, '{"action":"join","room":"r","ref":"x"}', NOW + 2)

    assert isinstance(error, Say)
    assert b"token_expired" in error.frame
    assert isinstance(end, HangUp)
    assert end.code == 4501


def test_an_expired_token_ends_a_silent_connection_too() -> None:
    mine = session(identity(expires_at=int(NOW * 1000) + 1000))

    assert mine.looked_at(NOW, 0) == []
    assert isinstance(mine.looked_at(NOW + 2, 0)[-1], HangUp)


def strict(requests: Flow | None = None) -> Session:
    """Return the session of a client that is held to API Gateway's quotas."""
    requests = requests or Flow(Rate(), NOW)
    return Session(ID, Workshop(App()), ANYBODY, Profile(), Rules(PARTITIONS), NOW, requests=requests)


GOES = [HangUp(1001, "Going away")]


def test_api_gateway_ends_a_connection_on_which_nothing_is_said_for_ten_minutes() -> None:
    mine = strict()

    assert mine.looked_at(NOW + IDLE_SECONDS - 1, 0) == []
    mine.pinged(NOW + IDLE_SECONDS - 1)
    assert mine.looked_at(NOW + IDLE_SECONDS, 0) == GOES


def test_a_message_either_way_keeps_it() -> None:
    mine = strict()

    assert mine.looked_at(NOW + IDLE_SECONDS, 1) == []
    assert mine.looked_at(NOW + 2 * IDLE_SECONDS - 1, 1) == []
    assert mine.looked_at(NOW + 2 * IDLE_SECONDS, 2) == []
    assert mine.looked_at(NOW + 3 * IDLE_SECONDS, 2) == GOES


def test_api_gateway_ends_every_connection_after_two_hours() -> None:
    mine = strict()

    looks = {at: mine.looked_at(NOW + at, at) for at in range(25, AGE_SECONDS + 25, 25)}

    assert [at for at, actions in looks.items() if actions] == [AGE_SECONDS]
    assert looks[AGE_SECONDS] == GOES


def test_others_are_kept_for_ever() -> None:
    assert session(dialect=Workshop(App())).looked_at(NOW + 100 * AGE_SECONDS, 0) == []


def test_a_strict_kinesis_asks_its_clients_to_go_after_an_hour_and_closes_a_minute_later() -> None:
    mine = peer(strict=True)

    looks = {at: mine.looked_at(NOW + at, at) for at in range(25, AWS_LONGEST + 100, 25)}

    assert [(at, actions) for at, actions in looks.items() if actions] == [
        (AWS_LONGEST, [Say(b'{"messageType":"GO_AWAY"}')]),
        (AWS_LONGEST + 75, GOES),
    ]
    assert peer().looked_at(NOW + 100 * AWS_LONGEST, 0) == []


def test_a_strict_kinesis_closes_after_ten_silent_minutes_and_a_ping_breaks_the_silence() -> None:
    mine = peer(strict=True)
    mine.pinged(NOW + 5)

    assert mine.looked_at(NOW + IDLE_SECONDS, 0) == []
    assert mine.looked_at(NOW + IDLE_SECONDS + 5, 0) == GOES


def test_clients_of_a_strict_app_share_its_requests() -> None:
    requests = Flow(Rate(per_second=1, burst=2), NOW)
    ana, ben = strict(requests), strict(requests)
    join = '{"action":"joinRoom","roomId":"r"}'

    assert published(receive(ana, join))
    assert published(receive(ben, join))
    assert said(receive(ana, join))["message"] == "Too Many Requests"
    assert said(receive(ben, join, NOW + 0.5))["message"] == "Too Many Requests"
    assert published(receive(ben, join, NOW + 1))


def test_a_fresh_token_brings_its_grants_and_its_time() -> None:
    mine = session(identity(expires_at=int(NOW * 1000) + 1000))
    (check,) = receive(mine, '{"action":"token","token":"jwt","ref":"t"}')
    assert check == Check("jwt", "t")

    answer = said(mine.renewed(identity(expires_at=int(NOW * 1000) + 60_000, rooms={"r": frozenset({"join"})}), "t"))

    assert answer == {"type": "ok", "ref": "t", "expiresAt": "2027-01-15T08:01:00.000Z"}
    assert published(receive(mine, '{"action":"join","room":"r"}', NOW + 30))


def test_a_fresh_token_of_somebody_else_is_refused() -> None:
    mine = session(identity())

    assert said(mine.renewed(identity(subject="eve"), "t"))["code"] == "unauthorized"


def test_a_client_of_api_gateway_does_not_come_back() -> None:
    mine, theirs = session(), session(dialect=Workshop(App()))

    assert [mine.comes_back(code) for code in (1000, 1001, 1005, 1006, 1012, 4008)] == [False, False, *[True] * 4]
    assert not theirs.comes_back(1006)


def test_moving_to_another_room_leaves_the_first() -> None:
    mine = session(dialect=Workshop(App()))
    receive(mine, '{"action":"joinRoom","roomId":"a"}')

    leave, join = receive(mine, '{"action":"joinRoom","roomId":"b"}')

    assert isinstance(leave, Publish)
    assert isinstance(join, Publish)
    assert isinstance(leave.command, Asked)
    assert isinstance(join.command, Asked)
    assert type(leave.command.request).__name__ == "Leave"
    assert join.command.capacity == 1000


@given(st.binary(max_size=200), st.sampled_from([ParleyV1(), Workshop(App())]))
def test_no_frame_does_worse_than_be_refused(frame: bytes, dialect: Dialect) -> None:
    session(dialect=dialect).receive(frame, NOW, 0)


@given(
    st.dictionaries(
        st.sampled_from(["action", "room", "roomId", "ref", "data", "to", "text", "id", "since", "metadata", "token"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["join", "joinRoom"]),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=5,
        ),
    ),
    st.sampled_from([ParleyV1(), Workshop(App())]),
)
def test_no_object_does_worse_than_be_refused(frame: dict[str, object], dialect: Dialect) -> None:
    session(dialect=dialect).receive(msgspec.json.encode(frame), NOW, 0)


def test_a_flood_of_frames_that_ask_for_nothing_is_a_flood() -> None:
    of = session(dialect=YWebrtc(), rate=Rate(1, 1, 0.1))

    assert receive(of, "junk") == receive(of, "junk") == []
    (end,) = receive(of, "junk", NOW + 0.2)
    assert isinstance(end, HangUp)


def test_all_topics_may_be_subscribed_to_in_one_frame_but_not_again_and_again() -> None:
    """Each is a message in the log: twenty such frames of one client kept everybody else waiting for a minute."""
    of = session(dialect=YWebrtc())
    topics = ",".join(f'"{number}"' for number in range(10_000))

    assert len(receive(of, f'{{"type":"subscribe","topics":[{topics}]}}')) == 10_000
    assert len(receive(of, f'{{"type":"unsubscribe","topics":[{topics}]}}')) == 10_000
    assert receive(of, f'{{"type":"subscribe","topics":[{topics}]}}') == []
    assert len(receive(of, '{"type":"publish","topic":"1"}')) == 1
    assert len(receive(of, '{"type":"subscribe","topics":["1","2"]}', NOW + 10.5)) == 2


def test_topics_that_are_not_granted_keep_nobody_from_the_others() -> None:
    """A page subscribes to all its documents in one frame, and is told of none that it may not have."""
    of = session(identity(rooms={"team-*": {"join"}}), YWebrtc())

    actions = receive(of, '{"type":"subscribe","topics":["secret","team-a","other","team-b"]}')

    assert [published([action]).request.room for action in actions] == ["team-a", "team-b"]  # type: ignore[union-attr]


def test_a_page_has_as_many_topics_as_it_may_and_keeps_them_when_it_wants_more() -> None:
    of = session(dialect=YWebrtc())
    topics = [str(number) for number in range(MAX_TOPICS + 1)]

    actions = receive(of, msgspec.json.encode({"type": "subscribe", "topics": topics}).decode())

    assert len(actions) == MAX_TOPICS
    assert receive(of, '{"type":"subscribe","topics":["one more"]}') == []
    receive(of, '{"type":"unsubscribe","topics":["7"]}')
    assert published(receive(of, '{"type":"subscribe","topics":["one more"]}')).request == Join(room="one more")


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "frame", [{"action": "signal", "to": PEER, "data": 1}, {"action": "presence", "availability": "busy"}]
)
def test_the_clients_trace_travels_beside_the_command_and_not_in_it(frame: dict[str, object]) -> None:
    (traced,) = receive(session(), json.dumps(frame | {"traceparent": TRACE}))
    (plain,) = receive(session(), json.dumps(frame))

    assert isinstance(traced, Publish)
    assert isinstance(plain, Publish)
    assert (traced.traceparent, plain.traceparent) == (TRACE, None)
    assert traced.command == plain.command


def test_a_refusal_says_whether_the_client_is_to_blame() -> None:
    trouble = Refusal(ErrorCode.DEGRADED, "The log takes nothing.")
    frame = json.dumps({"action": "signal", "to": PEER, "data": 1, "traceparent": TRACE})

    (ours,) = receive(session(), frame, trouble=trouble)
    (theirs,) = receive(session(), '{"action":"signal","to":"nobody","data":1}')

    assert isinstance(ours, Say)
    assert isinstance(theirs, Say)
    assert (ours.fault, theirs.fault) == (Fault(ErrorCode.DEGRADED, TRACE), None)
