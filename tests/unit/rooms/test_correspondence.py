"""Letters that somebody without a connection writes, and the answers that come back."""

import pytest
from support.partition import Partition, heard, raw, replies

from parley.protocol import says
from parley.protocol.codes import ErrorCode
from parley.protocol.commands import Tick, WriteLetter
from parley.protocol.requests import Letter, Register


@pytest.fixture
def partition():
    partition = Partition()
    for name in ("master", "viewer"):
        partition.opens(name)
    return partition


def written(reply="_INBOX.1", sender="alexa", data='{"n":1.10}'):
    return WriteLetter(
        app="a",
        box="box",
        name="",
        sender=sender,
        kind="OFFER",
        data=data,
        answer="ANSWER",
        keep_ms=60_000,
        reply=reply,
    )


def answer(name="alexa", kind="ANSWER", ref=None):
    return Letter(ref=ref, box="box", name=name, sender="", kind=kind, data=raw('{"answer":2.20}'), keep_ms=60_000)


def bodies(outputs):
    return [{key: bytes(value) for key, value in body.items()} for body in replies(outputs)]


def test_it_reaches_who_holds_the_address_and_the_answer_goes_back(partition):
    partition.asks("master", Register(box="box", name=""))
    outputs = partition.take(written())
    back = partition.asks("master", answer(ref="r"))

    assert [(say.sender, say.kind, bytes(say.data)) for say in heard(outputs, "master")] == [
        ("alexa", "OFFER", b'{"n":1.10}')
    ]
    assert bodies(back) == [{"data": b'{"answer":2.20}'}]
    assert heard(back, "master") == [says.Ok(ref="r")]
    assert replies(partition.asks("master", answer())) == []  # it was answered


def test_it_waits_for_whoever_takes_the_address(partition):
    assert replies(partition.take(written())) == []
    outputs = partition.asks("master", Register(box="box", name=""))

    assert [say.kind for say in heard(outputs, "master") if isinstance(say, says.LetterCame)] == ["OFFER"]
    assert len(replies(partition.asks("master", answer()))) == 1


def test_only_the_answer_to_its_name_is_one(partition):
    partition.asks("viewer", Register(box="box", name="alexa"))
    partition.take(written())

    assert replies(partition.asks("master", answer(name="other"))) == []
    outputs = partition.asks("master", answer(kind="CANDIDATE"))

    assert replies(outputs) == []
    assert [say.kind for say in heard(outputs, "viewer")] == ["CANDIDATE"]


def test_who_waits_in_vain_is_told_once(partition):
    def ticks(after):
        partition.now += after
        return partition.take(Tick(app=""))

    partition.take(written())
    assert partition.rooms.waiting()

    assert replies(ticks(59_999)) == []
    assert [body["code"] for body in replies(ticks(1))] == [ErrorCode.GONE]
    assert replies(ticks(1)) == []
    assert replies(partition.asks("master", answer())) == []


def test_of_two_in_one_name_the_newer_waits(partition):
    partition.take(written("_INBOX.1"))
    outputs = partition.take(written("_INBOX.2"))

    assert [body["code"] for body in replies(outputs)] == [ErrorCode.GONE]
    assert replies(partition.take(written("_INBOX.2"))) == []  # said twice, asked once
    assert len(replies(partition.asks("master", answer()))) == 1
