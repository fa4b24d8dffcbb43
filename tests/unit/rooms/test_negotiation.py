"""What rooms understands of WebRTC: stale candidates are dropped, offers that nobody answers are announced."""

import json

import pytest
from support.partition import Partition, announced, facts, heard, id_of, raw

from parley.protocol import commands as c
from parley.protocol import says
from parley.protocol.requests import Join, Relay, Send, Signal


@pytest.fixture
def partition():
    partition = Partition()
    for name in ("ana", "bob"):
        partition.opens(name)
        partition.asks(name, Join(room="r"))
    return partition


def description(kind, *ufrags):
    sdp = "v=0\r\n" + "".join(f"a=ice-ufrag:{ufrag}\r\n" for ufrag in ufrags)
    return json.dumps({"description": {"type": kind, "sdp": sdp}})


def candidate(ufrag):
    return json.dumps({"candidate": {"candidate": "candidate:1", "usernameFragment": ufrag}})


def signal(partition, name, to, text, **stamps):
    return partition.asks(name, Signal(to=id_of(to), data=raw(text), ref="1"), **stamps)


def heard_signals(outputs, name):
    return [say for say in heard(outputs, name) if isinstance(say, says.SignalFrom)]


def test_a_candidate_of_an_earlier_negotiation_is_not_delivered(partition):
    signal(partition, "ana", "bob", description("offer", "u1"))
    signal(partition, "ana", "bob", description("offer", "u2"))

    outputs = signal(partition, "ana", "bob", candidate("u1"))

    assert heard_signals(outputs, "bob") == []
    assert heard(outputs, "ana") == [says.Ok(ref="1")]


@pytest.mark.parametrize("ufrag", ["u2", "unknown", None])
def test_other_candidates_pass(partition, ufrag):
    signal(partition, "ana", "bob", description("offer", "u1"))
    signal(partition, "ana", "bob", description("offer", "u2"))

    assert len(heard_signals(signal(partition, "ana", "bob", candidate(ufrag)), "bob")) == 1


def test_an_offer_that_is_repeated_makes_nothing_stale(partition):
    for _ in range(2):
        signal(partition, "ana", "bob", description("offer", "u1"))

    assert len(heard_signals(signal(partition, "ana", "bob", candidate("u1")), "bob")) == 1


def test_who_goes_back_to_an_earlier_description_has_its_candidates_heard(partition):
    """A rollback describes anew what was described before."""
    for ufrag in ("u1", "u2", "u1"):
        signal(partition, "ana", "bob", description("offer", ufrag))

    assert len(heard_signals(signal(partition, "ana", "bob", candidate("u1")), "bob")) == 1


def test_the_other_direction_has_its_own_descriptions(partition):
    signal(partition, "ana", "bob", description("offer", "u1"))
    signal(partition, "ana", "bob", description("offer", "u2"))

    assert len(heard_signals(signal(partition, "bob", "ana", candidate("u1")), "ana")) == 1


def test_a_workshop_s_duplicates_are_delivered(partition):
    """Its clients rely on them."""
    for ufrag in ("u1", "u2"):
        partition.asks("ana", Relay(room="r", text=description("offer", ufrag)))

    assert len(heard(partition.asks("ana", Relay(room="r", text=candidate("u1"))), "bob")) == 1


def test_an_offer_that_nobody_answers_is_announced_once(partition):
    signal(partition, "ana", "bob", description("offer", "u1"), answer_ms=5_000)
    assert partition.rooms.waiting()

    partition.now += 4_999
    assert announced(partition.take(c.Tick(app=""))) == []
    partition.now += 1
    (fact,) = facts(partition.take(c.Tick(app="")))

    assert (fact.data.connection_id, fact.data.to, fact.data.room) == (id_of("ana"), id_of("bob"), None)
    assert announced(partition.take(c.Tick(app=""))) == []
    assert not partition.rooms.waiting()


def test_an_offer_that_was_answered_is_not(partition):
    """The answer passes the offerer's home, which tells the partitions that the answerer touched."""
    signal(partition, "ana", "bob", description("offer", "u1"))
    partition.take(c.Negotiated(app="a", pair=(id_of("ana"), id_of("bob")), time=partition.now))

    partition.now += 60_000

    assert announced(partition.take(c.Tick(app=""))) == []


def test_an_offer_to_a_room_that_nobody_answers_is_an_event_of_the_room(partition):
    partition.asks("ana", Send(room="r", data=raw(description("offer", "u1"))))

    partition.now += 30_000
    (fact,) = facts(partition.take(c.Tick(app="")))

    assert (fact.data.room, fact.sequence) == ("r", 5)


def test_an_answer_in_the_room_ends_the_wait(partition):
    partition.asks("ana", Send(room="r", data=raw(description("offer", "u1"))))
    partition.asks("bob", Send(room="r", data=raw(description("answer", "u2"))))

    assert not partition.rooms.waiting()


def test_nothing_is_left_of_who_has_gone(partition):
    signal(partition, "ana", "bob", description("offer", "u1"))

    partition.closes("ana")

    assert not partition.rooms.waiting()
    assert len(partition.rooms.rows.negotiations.sides) == 0


def test_what_is_kept_of_a_description_is_bounded(partition):
    """It is kept for each pair: one client could fill our memory."""
    for round_ in range(30):
        long = [f"{round_}-{number}-" + "x" * 300 for number in range(10)]
        many = [f"{round_}-{number}" for number in range(1000)]
        signal(partition, "ana", "bob", description("offer", *long, *many))

    (side,) = (row for _, row in partition.rooms.rows.negotiations.sides.rows())

    assert len(side.current) <= 64
    assert len(side.earlier) <= 16
    assert max(map(len, side.current)) <= 256
