"""Addresses and letters: how peers that know names and no connection ids find one another."""

import pytest
from support.partition import Partition, announced, heard, id_of, raw

from parley.protocol import commands as c
from parley.protocol import says
from parley.protocol.codes import ErrorCode
from parley.protocol.requests import Join, Letter, Publish, Register
from parley.rooms.addresses import MOST_WAITING


@pytest.fixture
def partition():
    partition = Partition()
    for name in ("ana", "bob", "cid"):
        partition.opens(name, gateway=f"g-{name}")
    return partition


def letter(**fields):
    return Letter(**{"box": "box", "name": "b", "sender": "a", "kind": "OFFER", "data": raw('{"n":1.10}')} | fields)


def came(outputs, name):
    return [(say.kind, bytes(say.data)) for say in heard(outputs, name) if isinstance(say, says.LetterCame)]


def test_a_letter_reaches_who_holds_the_address_as_it_was_written(partition):
    (registered,) = heard(partition.asks("bob", Register(box="box", name="b")), "bob")
    outputs = partition.asks("ana", letter())

    assert registered.outcome == "new"
    (said,) = heard(outputs, "bob")
    assert said == says.LetterCame(box="box", name="b", sender="a", kind="OFFER", data=raw('{"n":1.10}'))
    assert heard(outputs, "ana") == heard(outputs, "cid") == []


def test_the_newest_holder_is_the_one_and_the_displaced_stays_connected(partition):
    partition.asks("bob", Register(box="box", name="b"))
    outputs = partition.asks("cid", Register(box="box", name="b"))

    assert [say.outcome for say in heard(outputs, "cid")] == ["new"]
    assert heard(outputs, "bob") == []
    assert came(partition.asks("ana", letter()), "cid") == [("OFFER", b'{"n":1.10}')]


def test_an_address_with_a_secret_is_taken_for_all_others(partition):
    partition.asks("bob", Register(box="box", name="b", secret="s"))
    outputs = partition.asks("cid", Register(box="box", name="b", secret="other"))

    registered, close = heard(outputs, "cid")
    assert registered.outcome == "taken"
    assert isinstance(close, says.Close)
    assert came(partition.asks("ana", letter()), "bob") == [("OFFER", b'{"n":1.10}')]


def test_the_same_secret_takes_its_address_over_and_hears_when_the_old_connection_is_closed(partition):
    for name in ("dan", "eve"):
        partition.opens(name)
    partition.asks("dan", Register(box="box", name="b", secret="s"))
    outputs = partition.asks("eve", Register(box="box", name="b", secret="s"))
    later = partition.take(c.Closed(app="a", connection=id_of("dan"), reason="disconnected", code=1006))

    assert [say.outcome for say in heard(outputs, "eve")] == ["again"]
    assert [say.outcome for say in heard(later, "eve")] == ["new"]
    assert came(partition.asks("ana", letter()), "eve") == [("OFFER", b'{"n":1.10}')]


def test_who_takes_its_own_address_twice_still_hears_when_the_old_connection_is_closed(partition):
    for name in ("dan", "eve"):
        partition.opens(name)
    for name in ("dan", "eve", "eve"):
        outputs = partition.asks(name, Register(box="box", name="b", secret="s"))
    later = partition.take(c.Closed(app="a", connection=id_of("dan"), reason="disconnected", code=1006))

    assert [say.outcome for say in heard(outputs, "eve")] == ["again"]
    assert [say.outcome for say in heard(later, "eve")] == ["new"]


def test_who_comes_back_to_another_gateway_is_greeted_as_the_first_time(partition):
    """Its old gateway may be dead and not yet missed: to the client there was a server, and there is another now."""
    partition.asks("bob", Register(box="box", name="b", secret="s"), gateway="g-bob")
    outputs = partition.asks("cid", Register(box="box", name="b", secret="s"), gateway="g-cid")

    assert [say.outcome for say in heard(outputs, "cid")] == ["new"]
    assert came(partition.asks("ana", letter()), "cid") == [("OFFER", b'{"n":1.10}')]


def test_an_address_is_free_when_its_holder_is_closed(partition):
    partition.asks("bob", Register(box="box", name="b", secret="s"))
    partition.take(c.Closed(app="a", connection=id_of("bob"), reason="disconnected", code=1006))

    assert heard(partition.asks("ana", letter()), "bob") == []
    outputs = partition.asks("cid", Register(box="box", name="b", secret="other"))
    assert [say.outcome for say in heard(outputs, "cid")] == ["new"]


def test_letters_wait_in_order_and_are_handed_over_once(partition):
    for kind in ("OFFER", "CANDIDATE", "CANDIDATE"):
        partition.asks("ana", letter(kind=kind, keep_ms=5000))
    outputs = partition.asks("bob", Register(box="box", name="b"))

    assert isinstance(heard(outputs, "bob")[0], says.Registered)
    assert [kind for kind, _ in came(outputs, "bob")] == ["OFFER", "CANDIDATE", "CANDIDATE"]
    assert came(partition.asks("cid", Register(box="box", name="b")), "cid") == []


def test_a_letter_that_is_not_to_wait_is_dropped(partition):
    partition.asks("ana", letter())

    assert came(partition.asks("bob", Register(box="box", name="b")), "bob") == []


def test_a_newer_letter_takes_the_place_of_one_of_its_kind_and_sender(partition):
    partition.asks("ana", letter(data=raw("1"), keep_ms=5000, replaces=True))
    partition.asks("ana", letter(kind="ICE", data=raw("2"), keep_ms=5000))
    partition.asks("ana", letter(sender="other", data=raw("3"), keep_ms=5000, replaces=True))
    partition.asks("ana", letter(data=raw("4"), keep_ms=5000, replaces=True))
    outputs = partition.asks("bob", Register(box="box", name="b"))

    assert [data for _, data in came(outputs, "bob")] == [b"2", b"3", b"4"]


def test_who_wants_to_know_hears_once_that_its_letters_waited_in_vain(partition):
    partition.asks("ana", letter(keep_ms=5000, notify=True))
    partition.asks("ana", letter(kind="CANDIDATE", keep_ms=5000, notify=True))
    partition.asks("cid", letter(sender="c", keep_ms=5000))

    assert partition.rooms.waiting()
    partition.now += 4000
    assert partition.take(c.Tick(app="")) == []
    partition.now += 1000
    outputs = partition.take(c.Tick(app=""))
    assert heard(outputs, "ana") == [says.LetterExpired(box="box", name="b", sender="a")]
    assert heard(outputs, "cid") == []
    assert not partition.rooms.waiting()


def test_what_came_later_goes_with_the_first_that_is_late_so_its_sender_hears_once(partition):
    """PeerJS's candidates come one by one; each `EXPIRE` is an error to its client's page."""
    for _ in range(3):
        partition.asks("ana", letter(kind="CANDIDATE", keep_ms=5000, notify=True))
        partition.now += 1000
    partition.asks("cid", letter(sender="c", keep_ms=5000, notify=True))
    partition.now += 2000

    assert heard(partition.take(c.Tick(app="")), "ana") == [says.LetterExpired(box="box", name="b", sender="a")]
    partition.now += 3000
    outputs = partition.take(c.Tick(app=""))
    assert heard(outputs, "ana") == []
    assert heard(outputs, "cid") == [says.LetterExpired(box="box", name="b", sender="c")]


def test_only_so_many_letters_wait(partition):
    for _ in range(MOST_WAITING):
        partition.asks("ana", letter(keep_ms=5000))
    (error,) = heard(partition.asks("ana", letter(keep_ms=5000, ref="1")), "ana")

    assert (error.code, error.ref) == (ErrorCode.RATE_LIMITED, "1")


def test_who_knows_no_refusals_hears_that_nobody_came_for_what_is_too_much(partition):
    for _ in range(MOST_WAITING):
        partition.asks("ana", letter(keep_ms=5000, notify=True))
    outputs = partition.asks("ana", letter(keep_ms=5000, notify=True))

    assert says.LetterExpired(box="box", name="b", sender="a") in heard(outputs, "ana")


def test_another_app_s_address_is_another_one(partition):
    partition.asks("bob", Register(box="box", name="b"))

    assert heard(partition.take(c.Asked(app="x", connection=id_of("eve"), request=letter())), "bob") == []


def test_an_answer_between_members_of_the_box_s_room_starts_a_call(partition):
    for name, address in (("ana", ""), ("bob", "b")):
        partition.asks(name, Join(room="box"), gateway=f"g-{name}")
        partition.asks(name, Register(box="box", name=address))
    partition.asks("bob", letter(name="", sender="b", step="offer"))
    outputs = partition.asks("ana", letter(name="b", sender="", kind="ANSWER", step="answer"))

    assert announced(outputs)[:2] == ["negotiation.answered", "call.started"]


def test_a_published_thing_reaches_every_member_and_the_sender(partition):
    for name in ("ana", "bob"):
        partition.asks(name, Join(room="topic"))
    outputs = partition.asks("ana", Publish(room="topic", data=raw("1")))
    said = says.Published(room="topic", from_=id_of("ana"), data=raw("1"), members=2)

    assert heard(outputs, "ana") == heard(outputs, "bob") == [said]
    (heard_by_member,) = heard(partition.asks("cid", Publish(room="topic", data=raw("2"))), "bob")
    assert heard_by_member.from_ == id_of("cid")
    assert partition.asks("cid", Publish(room="nobody", data=raw("3"))) == []
