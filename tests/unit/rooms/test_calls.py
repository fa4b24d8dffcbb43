"""When a room has a call."""

import json

import msgspec
import pytest
from support.partition import Partition, announced, facts, forwards, heard, id_of, raw

from parley.protocol import commands as c
from parley.protocol import says
from parley.protocol.events import CallEnded
from parley.protocol.requests import Join, Leave, Relay, Send, SetPresence, Signal

OFFER = json.dumps({"description": {"type": "offer", "sdp": "v=0"}})
ANSWER = json.dumps({"description": {"type": "answer", "sdp": "v=0"}})
CANDIDATE = json.dumps({"candidate": {"candidate": "candidate:1", "sdpMid": "0"}})


@pytest.fixture
def partition():
    partition = Partition()
    for name in ("ana", "bob", "cid"):
        partition.opens(name)
        partition.asks(name, Join(room="r"))
    return partition


def negotiated(partition, offerer, answerer):
    return partition.take(c.Negotiated(app="a", pair=(id_of(offerer), id_of(answerer)), time=partition.now))


def test_an_answer_tells_the_partitions_where_both_may_be(partition):
    outputs = partition.asks("bob", Signal(to=id_of("ana"), data=raw(ANSWER)), touched=0b1010)

    assert announced(outputs) == ["negotiation.answered"]
    assert forwards(outputs) == [c.Negotiated(app="a", pair=(id_of("ana"), id_of("bob")), time=partition.now)] * 2


def test_an_offer_and_candidates_tell_nobody(partition):
    offered = partition.asks("bob", Signal(to=id_of("ana"), data=raw(OFFER)), touched=1)
    candidate = partition.asks("bob", Signal(to=id_of("ana"), data=raw(CANDIDATE)), touched=1)

    assert announced(offered) == ["negotiation.offered"]
    assert forwards(offered) == []
    assert announced(candidate) == []


def test_the_first_pair_starts_the_call(partition):
    outputs = negotiated(partition, "ana", "bob")

    assert announced(outputs) == ["call.started"]
    (fact,) = facts(outputs)
    assert [part.connection_id for part in fact.data.participants] == [id_of("ana"), id_of("bob")]
    assert {say.availability for say in heard(outputs, "cid")} == {"inCall"}


def test_the_same_pair_again_changes_nothing(partition):
    negotiated(partition, "ana", "bob")

    assert negotiated(partition, "ana", "bob") == []
    assert negotiated(partition, "bob", "ana") == []


def test_members_who_came_after_the_answer_did_not_negotiate(partition):
    """A forwarded pair may come late, and twice; who left and came again begins anew."""
    old = partition.now
    partition.now += 1
    partition.asks("bob", Leave(room="r"))
    partition.asks("bob", Join(room="r"))

    assert partition.take(c.Negotiated(app="a", pair=(id_of("ana"), id_of("bob")), time=old)) == []


def test_a_third_member_joins_the_call(partition):
    negotiated(partition, "ana", "bob")

    outputs = negotiated(partition, "ana", "cid")

    assert announced(outputs) == []
    assert len(partition.rooms.rows.rooms["a", "r"].call.parts) == 3


def test_the_call_ends_when_one_negotiated_member_remains(partition):
    negotiated(partition, "ana", "bob")
    partition.now += 60_000

    outputs = partition.asks("bob", Leave(room="r"))

    assert announced(outputs) == ["room.left", "call.ended"]
    ended = facts(outputs)[1].data
    assert (ended.duration_ms, ended.reason) == (60_000, "left")
    assert all(part.left_at for part in ended.participants)
    changed = [say for say in heard(outputs, "cid") if isinstance(say, says.MemberChanged)]
    assert [say.availability for say in changed] == ["online"]


def test_the_call_goes_on_while_two_remain(partition):
    negotiated(partition, "ana", "bob")
    negotiated(partition, "ana", "cid")

    assert announced(partition.closes("bob")) == ["room.left"]
    assert "call.ended" in announced(partition.closes("ana"))


def presents(partition, name, availability):
    request = SetPresence(availability=availability)
    profile = c.Profile(availability=availability)
    return partition.take(c.PresenceSet(app="a", connection=id_of(name), request=request, profile=profile))


def test_who_is_not_available_any_more_has_hung_up_and_stays(partition):
    presents(partition, "bob", "available")
    negotiated(partition, "ana", "bob")
    negotiated(partition, "bob", "cid")
    negotiated(partition, "ana", "cid")

    outputs = presents(partition, "bob", "busy")

    room = partition.rooms.rows.rooms["a", "r"]
    assert room.size == 3
    assert [room.call.has(id_of(name)) for name in ("ana", "bob", "cid")] == [True, False, True]
    assert {say.availability for say in heard(outputs, "ana")} == {"busy"}
    assert announced(presents(partition, "cid", "away")) == []
    assert announced(partition.asks("cid", Leave(room="r"))) == ["room.left", "call.ended"]


def test_who_was_never_available_may_call_itself_busy_in_a_call(partition):
    negotiated(partition, "ana", "bob")

    outputs = presents(partition, "bob", "busy")

    assert {say.availability for say in heard(outputs, "ana")} == {"inCall"}
    assert announced(outputs) == []


def test_who_has_hung_up_can_negotiate_again(partition):
    presents(partition, "bob", "available")
    negotiated(partition, "ana", "bob")

    assert announced(presents(partition, "bob", "busy")) == ["call.ended"]
    late = negotiated(partition, "ana", "bob")  # an answer that was on its way
    partition.now += 1
    presents(partition, "bob", "available")

    assert late == []
    assert announced(negotiated(partition, "ana", "bob")) == ["call.started"]


def test_the_home_learns_who_is_in_a_call(partition):
    started = [out for out in forwards(negotiated(partition, "ana", "bob")) if isinstance(out, c.Calling)]
    ended = [out for out in forwards(partition.asks("ana", Leave(room="r"))) if isinstance(out, c.Calling)]

    assert [(out.connection, out.lasting) for out in started] == [(id_of("ana"), True), (id_of("bob"), True)]
    assert {(out.connection, out.lasting) for out in ended} == {(id_of("ana"), False), (id_of("bob"), False)}
    assert len({out.call for out in started + ended}) == 1


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        (Relay(room="r", text='{"type":"offer","offer":{}}'), Relay(room="r", text='{"type":"answer","answer":{}}')),
        (Send(room="r", data=raw(OFFER)), Send(room="r", data=raw(ANSWER))),
    ],
)
def test_an_answer_to_the_whole_room_is_for_its_last_offerer(partition, offer, answer):
    partition.asks("ana", offer)

    outputs = partition.asks("bob", answer)

    assert announced(outputs) == ["negotiation.answered", "call.started"]
    assert facts(outputs)[0].data.to == id_of("ana")


def test_an_answer_without_an_offer_starts_nothing(partition):
    assert announced(partition.asks("bob", Send(room="r", data=raw(ANSWER)))) == ["negotiation.answered"]


def test_a_call_whose_people_come_and_go_ends_with_an_event_that_the_bus_can_take(partition):
    """Else nobody could leave any more: an event that cannot be said changes nothing."""
    negotiated(partition, "ana", "bob")
    for number in range(200):
        name = f"guest{number}"
        partition.opens(name)
        partition.asks(name, Join(room="r"), profile=c.Profile(user_id="u" * 4000))
        negotiated(partition, "bob", name)
        partition.asks(name, Leave(room="r"))

    outputs = partition.asks("bob", Leave(room="r"))

    (ended,) = [fact for fact in facts(outputs) if isinstance(fact.data, CallEnded)]
    assert len(msgspec.json.encode(ended.data)) < 400_000
    present = {part.connection_id for part in ended.data.participants}
    assert {id_of("ana"), id_of("bob"), id_of("guest199")} <= present
    assert id_of("guest0") not in present


def test_an_answer_that_starts_two_calls_gives_them_two_names(partition):
    for name in ("ana", "bob"):
        partition.asks(name, Join(room="s"))

    outputs = negotiated(partition, "ana", "bob")

    assert announced(outputs) == ["call.started"] * 2
    assert len({fact.data.call_id for fact in facts(outputs)}) == 2


def test_a_trace_is_told_which_call_a_command_belongs_to(partition):
    """By its room, by the two who negotiate, or by whom it is for, whose home has heard of the call."""
    started = facts(negotiated(partition, "ana", "bob"))[0].data.call_id
    partition.take(c.Calling(app="a", connection=id_of("bob"), call=started, lasting=True))

    def call_of(asked, name="ana"):
        return partition.rooms.call_of(c.Asked(app="a", connection=id_of(name), request=asked))

    assert call_of(Send(room="r", data=raw("1"))) == started
    assert call_of(Signal(to=id_of("bob"), data=raw("1"))) == started
    assert partition.rooms.call_of(c.Negotiated(app="a", pair=(id_of("ana"), id_of("bob")), time=1)) == started
    assert partition.rooms.call_of(c.Closed(app="a", connection=id_of("ana"), reason="left", code=1000)) == started
    assert call_of(Send(room="other", data=raw("1"))) is None
    assert call_of(Signal(to=id_of("cid"), data=raw("1"))) is None
    assert partition.rooms.call_of(c.Tick(app="")) is None
    partition.take(c.Calling(app="a", connection=id_of("bob"), call=started, lasting=False))
    assert call_of(Signal(to=id_of("bob"), data=raw("1"))) is None
    partition.take(c.Calling(app="a", connection=id_of("cid"), call=started, lasting=True))
    partition.closes("cid")
    assert call_of(Signal(to=id_of("cid"), data=raw("1"))) is None
