"""The rules of presence: what becomes known of whom."""

from collections.abc import Sequence

from msgspec.structs import replace
from support.flat import flat
from support.presence import HOME, Log, calling, closed, id_of, in_room, opened, set_to

from parley.protocol import commands as c
from parley.protocol import events
from parley.protocol.envelope import CloudEvent, Place
from parley.protocol.events import Data
from parley.protocol.outputs import Fact
from parley.protocol.registry import GRACE_MS

ANA, BOB, CID = (id_of(number) for number in (1, 2, 3))


def test_a_connection_is_known_from_its_opening_to_its_end() -> None:
    log = Log()

    assert log.says(opened(ANA, user_id="ana", device_id="phone", metadata={"storeId": "s"})) == [
        events.ConnectionOpened(
            app="a",
            connection_id=ANA,
            user_id="ana",
            device_id="phone",
            metadata={"storeId": "s"},
            dialect="parley.v1",
        )
    ]
    assert log.known == [ANA]
    assert log.says(closed(ANA), after=500) == [
        events.ConnectionClosed(
            app="a",
            connection_id=ANA,
            user_id="ana",
            device_id="phone",
            reason="disconnected",
            code=1001,
            duration_ms=500,
            frames_in=3,
            frames_out=4,
        )
    ]
    assert log.known == []


def test_an_end_is_told_once() -> None:
    log = Log()
    log.says(opened(ANA), closed(ANA))

    assert log.says(closed(ANA), c.Remove(app="a", connection=ANA)) == []


def test_the_same_device_replaces_its_older_connection() -> None:
    log = Log()
    log.says(opened(ANA, user_id="ana", device_id="phone"), in_room(ANA, "r"))

    ended, began = log.says(opened(BOB, user_id="ana", device_id="phone"))

    assert isinstance(ended, events.ConnectionClosed)
    assert (ended.connection_id, ended.reason, ended.code) == (ANA, "replaced", 4503)
    assert isinstance(began, events.ConnectionOpened)
    assert log.known == [BOB]
    assert list(log.state.rows.memberships) == []


def test_availability_and_metadata_that_change_become_known() -> None:
    log = Log()
    log.says(opened(ANA, user_id="ana"))

    said = log.says(set_to(ANA, user_id="ana", availability="busy", metadata={"mood": "good"}))

    assert said == [
        events.PresenceChanged(
            app="a",
            connection_id=ANA,
            user_id="ana",
            device_id=None,
            availability="busy",
            metadata={"mood": "good"},
        )
    ]


def test_what_stays_the_same_is_no_news() -> None:
    log = Log()
    log.says(opened(ANA), set_to(ANA, availability="busy"))

    assert log.says(set_to(ANA, availability="busy")) == []


def availability(said: Sequence[Data]) -> list[str]:
    return [data.availability for data in said if isinstance(data, events.PresenceChanged)]


def test_whoever_is_in_a_call_is_in_call_whatever_it_declares() -> None:
    log = Log()
    log.says(opened(ANA, availability="available"))

    assert availability(log.says(calling(ANA, "c1", lasting=True))) == ["inCall"]
    assert availability(log.says(set_to(ANA, availability="busy"))) == [], "it is in call still"
    assert availability(log.says(calling(ANA, "c1", lasting=False))) == ["busy"]


def test_the_last_of_several_calls_ends_being_in_call() -> None:
    log = Log()
    log.says(opened(ANA), calling(ANA, "c1", lasting=True), calling(ANA, "c2", lasting=True))

    assert log.says(calling(ANA, "c1", lasting=False)) == []
    assert availability(log.says(calling(ANA, "c2", lasting=False))) == ["online"]


def test_a_call_told_twice_is_one_call() -> None:
    log = Log()
    log.says(opened(ANA), calling(ANA, "c1", lasting=True))

    assert log.says(calling(ANA, "c1", lasting=True)) == []
    assert availability(log.says(calling(ANA, "c1", lasting=False))) == ["online"]
    assert log.says(calling(ANA, "c1", lasting=False)) == []


def test_a_call_or_room_of_nobody_is_nothing() -> None:
    log = Log()
    log.says(opened(ANA), closed(ANA))

    assert log.says(calling(ANA, "c", lasting=True), in_room(ANA, "r"), in_room(BOB, "r", member=False)) == []
    assert list(log.state.rows.memberships) == []


def test_rooms_are_known_until_they_are_left() -> None:
    log = Log()
    log.says(opened(ANA), in_room(ANA, "r"), in_room(ANA, "s"), in_room(ANA, "r"), in_room(ANA, "s", member=False))

    assert list(log.state.rows.memberships) == [(ANA, "r")]


def test_a_removal_takes_effect_in_its_own_app_alone() -> None:
    log = Log()
    log.says(opened(ANA))

    assert log.says(c.Remove(app="b", connection=ANA)) == []
    (ended,) = log.says(c.Remove(app="a", connection=ANA))

    assert isinstance(ended, events.ConnectionClosed)
    assert (ended.reason, ended.code) == ("removed", 4504)


def test_an_end_carries_the_code_that_the_socket_sees() -> None:
    """Clients of other dialects than ours know no 4504."""
    log = Log()
    log.says(replace(opened(ANA), dialect="workshop"))

    (ended,) = log.says(c.Remove(app="a", connection=ANA))

    assert isinstance(ended, events.ConnectionClosed)
    assert (ended.reason, ended.code) == ("removed", 1000)


def test_a_lost_gateway_ends_what_cannot_resume_at_once_and_the_rest_after_the_grace() -> None:
    log = Log()
    log.says(opened(ANA), opened(BOB, resumable=False), opened(CID), writer="g1")
    log.says(opened(CID), writer="g2")
    assert set(log.state.gateways()) == {("g1", False), ("g2", False)}
    assert not log.state.waiting()

    lost = c.GatewayLost(app="", gateway="g1")
    assert [(data.connection_id, data.reason) for data in ends(log.says(lost))] == [(BOB, "disconnected")]
    assert log.says(lost) == [], "every owner writes it"
    assert ("g1", True) in set(log.state.gateways())
    assert log.state.waiting()

    assert log.says(c.Tick(app=""), after=GRACE_MS - 2) == []
    assert [(data.connection_id, data.reason) for data in ends(log.says(c.Tick(app="")))] == [(ANA, "expired")]
    assert log.known == [CID]
    assert not log.state.waiting()


def ends(said: Sequence[Data]) -> list[events.ConnectionClosed]:
    return [data for data in said if isinstance(data, events.ConnectionClosed)]


def test_a_gateway_that_was_only_asleep_keeps_its_connections() -> None:
    log = Log()
    log.says(opened(ANA), c.GatewayLost(app="", gateway="g1"), c.GatewayBack(app="", gateway="g1"))

    assert log.says(c.Tick(app=""), after=GRACE_MS * 2) == []
    assert log.known == [ANA]


def test_a_gateway_that_takes_in_a_connection_of_another_home_is_not_lost() -> None:
    """Rooms sees it so at the same place in the log, and both must end what the gateway held at the same place."""
    log = Log()
    elsewhere = id_of(9, home=HOME + 1)
    log.says(opened(ANA), c.GatewayLost(app="", gateway="g1"), c.Moved(app="a", connection=elsewhere, session=2))

    assert log.says(c.Tick(app=""), after=GRACE_MS * 2) == []
    assert log.known == [ANA]


def test_a_connection_that_moves_is_the_same_connection() -> None:
    log = Log()
    log.says(opened(ANA, user_id="ana"), in_room(ANA, "r"), writer="g1")

    assert log.says(c.Resume(app="a", connection=ANA, session=0, attempt="1"), writer="g2") == []
    assert list(log.state.gateways()) == [("g2", False)]
    assert log.says(closed(ANA, session=1), c.GatewayLost(app="", gateway="g1"), writer="g1") == []
    assert log.known == [ANA]
    assert len(ends(log.says(closed(ANA, session=2)))) == 1


def test_commands_that_tell_other_partitions_are_nothing_here() -> None:
    log = Log(partition=HOME + 1)

    assert log.says(set_to(ANA, availability="busy"), closed(ANA)) == []
    assert len(log.state.rows.registry.connections) == 0


def test_a_connection_whose_opening_was_lost_with_the_log_is_known_when_it_speaks() -> None:
    log = Log()

    began, changed = log.says(set_to(ANA, user_id="ana", availability="busy"))

    assert isinstance(began, events.ConnectionOpened)
    assert availability([changed]) == ["busy"]
    assert log.known == [ANA]


def test_when_the_log_is_lost_everything_is_closed() -> None:
    log = Log()
    log.says(opened(BOB), opened(ANA), in_room(ANA, "r"), c.GatewayLost(app="", gateway="g1"))

    outputs = list(flat(log.state.log_lost(Place(HOME, 0, 0, 5_000, ""))))

    assert sorted((ANA, BOB)) == [
        data.connection_id for data in ends([out.data for out in outputs if isinstance(out, Fact)])
    ]
    assert log.known == []
    assert not log.state.waiting()
    assert list(log.state.gateways()) == []


def test_a_command_that_raises_becomes_known_and_changes_nothing() -> None:
    log = Log()
    event = CloudEvent[c.AnyCommand](id="1", source="test", type="parley.opened", data=opened(ANA))

    (said,) = log.state.failed(event, Place(HOME, 7, 0, 1, "g1"), KeyError("secret"))

    assert isinstance(said, Fact)
    assert said.data == events.EventFailed(
        app="a", service="presence", command="parley.opened", connection_id=ANA, error="KeyError at 2:7:0"
    )


def test_the_same_log_yields_the_same_words() -> None:
    commands: list[c.AnyCommand] = [
        opened(BOB, resumable=False), opened(ANA, user_id="ana", device_id="d"), in_room(ANA, "r"),
        calling(ANA, "c", lasting=True), opened(CID, user_id="ana", device_id="d"), c.GatewayLost(app="", gateway="g1"),
        c.Tick(app=""),
    ]  # fmt: skip

    assert Log().says(*commands) == Log().says(*commands)


def test_a_connection_is_described_to_its_own_app_while_it_lives() -> None:
    log = Log()
    log.says(opened(ANA), c.Resume(app="a", connection=ANA, attempt="1"), writer="g1")
    log.says(
        c.Describe(app="a", connection=ANA, reply="mine"),
        c.Describe(app="b", connection=ANA, reply="another's"),
        c.Describe(app="a", connection=BOB, reply="nobody"),
    )
    log.says(closed(ANA, session=2), c.Describe(app="a", connection=ANA, reply="over"))

    mine, *others = log.answered
    assert (mine.subject, mine.body) == (
        "mine",
        {"gateway": "g1", "session": 2, "connectedAt": 1_001, "address": "192.0.2.1", "agent": "UA"},
    )
    assert [answer.subject for answer in others] == ["another's", "nobody", "over"]
    assert {answer.body["code"] for answer in others} == {"gone"}
