"""What becomes of a member's report on how media goes."""

from typing import Any

import msgspec
import pytest
from support.partition import Partition, announced, facts, heard, id_of

from parley.protocol import commands as c
from parley.protocol import says
from parley.protocol.codes import ErrorCode
from parley.protocol.dialects.parley_v1 import MAX_PEERS
from parley.protocol.events import CallQuality
from parley.protocol.requests import Join, Leave, PeerQuality, Report


def quality(name: str, **known: object) -> PeerQuality:
    counts = {"bytes_sent": 1, "bytes_received": 2, "packets_received": 3, "packets_lost": 0}
    return PeerQuality(connection_id=id_of(name), state="connected", **(counts | known))  # type: ignore[arg-type]


BOB = quality("bob", round_trip_ms=12.5)


@pytest.fixture
def partition():
    partition = Partition()
    for name in ("ana", "bob"):
        partition.opens(name)
        partition.asks(name, Join(room="r"))
    partition.opens("dan")
    return partition


def negotiated(partition):
    return partition.take(c.Negotiated(app="a", pair=(id_of("ana"), id_of("bob")), time=partition.now))


def test_a_report_is_one_event_and_nobody_else_hears_of_it(partition):
    room = partition.rooms.rows.rooms["a", "r"]

    outputs = partition.asks("ana", Report(room="r", peers=(BOB,), ref="1"))

    (fact,) = facts(outputs)
    assert fact.data == CallQuality(
        app="a",
        room="r",
        epoch=room.epoch,
        call_id=None,
        connection_id=id_of("ana"),
        user_id="ana",
        peers=(BOB,),
    )
    assert fact.subject == "r"
    assert heard(outputs, "ana") == [says.Ok(ref="1")]
    assert heard(outputs, "bob") == []


def test_without_a_ref_nothing_answers(partition):
    outputs = partition.asks("ana", Report(room="r", peers=(BOB,)))

    assert announced(outputs) == ["call.quality"]
    assert heard(outputs, "ana") == []


def test_it_names_the_call_while_one_lasts(partition):
    (started,) = facts(negotiated(partition))

    during = partition.asks("ana", Report(room="r", peers=(BOB,)))
    partition.asks("bob", Leave(room="r"))
    after = partition.asks("ana", Report(room="r", peers=(BOB,)))

    assert [fact.data.call_id for fact in facts(during + after)] == [started.data.call_id, None]


def test_it_counts_in_the_room_s_sequence_and_takes_no_position(partition):
    before = partition.rooms.rows.rooms["a", "r"]

    counted = [facts(partition.asks(name, Report(room="r", peers=())))[0].sequence for name in ("ana", "bob", "ana")]

    after = partition.rooms.rows.rooms["a", "r"]
    assert counted == [before.sequence + 1, before.sequence + 2, before.sequence + 3]
    assert (after.sequence, after.position) == (before.sequence + 3, before.position)


@pytest.mark.parametrize("room", ["r", "nowhere"])
def test_only_members_report(partition, room):
    outputs = partition.asks("dan", Report(room=room, peers=(BOB,), ref="1"))

    (error,) = heard(outputs, "dan")
    assert (error.code, error.ref) == (ErrorCode.NOT_MEMBER, "1")
    assert announced(outputs) == []


def test_who_has_left_reports_no_more(partition):
    partition.asks("bob", Leave(room="r"))

    outputs = partition.asks("bob", Report(room="r", peers=(quality("ana"),)))

    assert [error.code for error in heard(outputs, "bob")] == [ErrorCode.NOT_MEMBER]
    assert announced(outputs) == []


def test_a_room_of_another_app_has_other_members(partition):
    command = c.Asked(app="b", connection=id_of("eve"), request=Report(room="r", peers=(BOB,), ref="1"))

    assert announced(partition.take(command)) == []


def test_the_event_says_of_each_peer_all_there_is_to_say_even_if_nobody_knows_it(partition):
    (fact,) = facts(partition.asks("ana", Report(room="r", peers=(quality("bob"),))))

    (peer,) = msgspec.json.decode(msgspec.json.encode(fact.data))["peers"]
    assert peer == {
        "connectionId": id_of("bob"),
        "state": "connected",
        "bytesSent": 1,
        "bytesReceived": 2,
        "packetsReceived": 3,
        "packetsLost": 0,
        "jitterMs": None,
        "roundTripMs": None,
        "localCandidate": None,
        "remoteCandidate": None,
        "setupMs": None,
        "firstMediaMs": None,
    }


def test_the_longest_report_is_much_less_than_a_frame_may_have():
    """It may have 128 KiB, and an event more than that."""
    most = 2**53 - 1
    longest: dict[str, Any] = {
        "state": "disconnected",
        **dict.fromkeys(("bytes_sent", "bytes_received", "packets_received", "packets_lost"), most),
        **dict.fromkeys(("jitter_ms", "round_trip_ms", "setup_ms", "first_media_ms"), 1234567890123.1234),
        **dict.fromkeys(("local_candidate", "remote_candidate"), "srflx"),
    }
    peers = tuple(PeerQuality(connection_id="x" * 15 + "=", **longest) for _ in range(MAX_PEERS))

    assert len(msgspec.json.encode(peers)) < 32 * 1024
