"""What is said to nobody waits for whoever comes next."""

import pytest
from support.partition import Partition, announced, heard, raw

from parley.protocol import commands as c
from parley.protocol import says
from parley.protocol.codes import ErrorCode
from parley.protocol.requests import Join, Leave, Letter, Register, Send
from parley.rooms.addresses import MOST_WAITING


@pytest.fixture
def partition():
    partition = Partition()
    for name in ("ana", "bob", "cid"):
        partition.opens(name, gateway=f"g-{name}")
    return partition


def talks(partition, name, text, **fields):
    return partition.asks(name, Send(room="r", data=raw(f'"{text}"'), waits=True), **fields)


def hears(outputs, name):
    return [bytes(say.data).decode() for say in heard(outputs, name) if isinstance(say, says.Message)]


def test_what_is_said_to_nobody_waits_for_who_comes_next(partition):
    partition.asks("ana", Join(room="r"))
    for text in ("one", "two"):
        assert hears(talks(partition, "ana", text), "ana") == []
    partition.now += 3_600_000
    partition.take(c.Tick(app=""))
    outputs = partition.asks("bob", Join(room="r"))

    assert hears(outputs, "bob") == ['"one"', '"two"']
    assert hears(outputs, "ana") == []
    assert hears(partition.asks("cid", Join(room="r")), "cid") == []
    assert hears(talks(partition, "ana", "three"), "bob") == ['"three"']


def test_it_waits_as_long_as_its_sender_stays(partition):
    partition.asks("ana", Join(room="r"))
    talks(partition, "ana", "gone")
    partition.asks("ana", Leave(room="r"))
    partition.asks("bob", Join(room="r"))
    outputs = partition.asks("cid", Join(room="r"))

    assert hears(outputs, "bob") == hears(outputs, "cid") == []
    assert not partition.rooms.waiting()


def test_too_much_is_not_kept_for_who_comes_next(partition):
    partition.asks("ana", Join(room="r"))
    for number in range(MOST_WAITING):
        assert heard(talks(partition, "ana", number), "ana") == []

    (error,) = heard(talks(partition, "ana", "more"), "ana")
    assert error.code == ErrorCode.RATE_LIMITED
    assert len(hears(partition.asks("bob", Join(room="r")), "bob")) == MOST_WAITING


def test_an_offer_that_has_waited_and_its_answer_are_a_call(partition):
    offer, answer = (raw(f'"{{\\"type\\":\\"{kind}\\",\\"sdp\\":\\"v=0\\"}}"') for kind in ("offer", "answer"))
    partition.asks("ana", Join(room="r"))
    partition.asks("ana", Send(room="r", data=offer, waits=True))
    partition.asks("bob", Join(room="r"))
    outputs = partition.asks("bob", Send(room="r", data=answer, waits=True))

    assert announced(outputs) == ["negotiation.answered", "call.started"]


def test_what_is_a_member_s_and_what_a_channel_s_are_kept_apart(partition):
    offer = Letter(box="r", name="", sender="a", kind="OFFER", keep_ms=5000)
    partition.asks("ana", offer)
    assert heard(partition.asks("bob", Join(room="r")), "bob") == []
    talks(partition, "bob", "for a member")

    (_, came) = heard(partition.asks("cid", Register(box="r", name="")), "cid")
    assert came.kind == "OFFER"
    assert hears(partition.asks("cid", Join(room="r")), "cid") == ['"for a member"']
