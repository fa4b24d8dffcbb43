"""Who is a member, what the others are told, and where the positions stand."""

import pytest
from msgspec.structs import replace
from support.flat import flat
from support.partition import Partition, announced, facts, forwards, heard, id_of, raw, replies

from parley.protocol import commands as c
from parley.protocol import says
from parley.protocol.codes import ErrorCode
from parley.protocol.outputs import Deliver
from parley.protocol.registry import GRACE_MS
from parley.protocol.requests import Chat, Join, Leave, Send, SetPresence, Since
from parley.rooms.room import Kept, Window


@pytest.fixture
def partition():
    return Partition()


def join(partition, name, **fields):
    outputs = partition.asks(name, Join(room="r", ref="j", **fields), capacity=1000)
    (answer,) = heard(outputs, name)
    return answer


def test_the_first_to_join_creates_the_room(partition):
    outputs = partition.asks("ana", Join(room="r", ref="1"))

    assert announced(outputs) == ["room.created", "room.joined"]
    assert [fact.sequence for fact in facts(outputs)] == [1, 2]
    (ok,) = heard(outputs, "ana")
    assert (ok.position, ok.members, ok.recovered) == (1, [], False)


def test_the_members_are_told_and_the_newcomer_learns_who_is_there(partition):
    partition.opens("ana", gateway="g2")
    partition.asks("ana", Join(room="r"), gateway="g2")

    outputs = partition.asks("bob", Join(room="r", ref="1"))

    (joined,) = heard(outputs, "ana")
    assert (joined.member.connection_id, joined.position) == (id_of("bob"), 2)
    (ok,) = heard(outputs, "bob")
    assert [member.connection_id for member in ok.members] == [id_of("ana")]
    assert ok.position == 2


def test_of_two_members_the_earlier_is_impolite(partition):
    join(partition, "ana")
    answer = join(partition, "bob")

    assert answer.members[0].polite
    (joined,) = [say for say in heard(partition.outputs, "ana") if isinstance(say, says.MemberJoined)]
    assert not joined.member.polite
    assert not join(partition, "ana").members[0].polite


def test_joining_twice_changes_nothing_and_is_answered_again(partition):
    join(partition, "ana")
    join(partition, "bob")

    outputs = partition.asks("bob", Join(room="r", ref="again"))

    assert announced(outputs) == []
    assert heard(outputs, "ana") == []
    assert heard(outputs, "bob")[0].position == 2


def test_a_full_room_refuses_and_stays_as_it_is(partition):
    partition.asks("ana", Join(room="r"), capacity=1)

    outputs = partition.asks("bob", Join(room="r", ref="1"), capacity=1)

    (error,) = heard(outputs, "bob")
    assert (error.code, error.ref) == (ErrorCode.ROOM_FULL, "1")
    assert announced(outputs) == []


def test_without_a_ref_only_errors_answer(partition):
    assert heard(partition.asks("ana", Join(room="r")), "ana") == []


def test_leaving_tells_the_others_and_not_the_one_who_left(partition):
    join(partition, "ana")
    join(partition, "bob")

    outputs = partition.asks("bob", Leave(room="r", ref="1"))

    (left,) = heard(outputs, "ana")
    assert (left.connection_id, left.reason, left.position) == (id_of("bob"), "left", 3)
    assert heard(outputs, "bob") == [says.Ok(ref="1")]


def test_the_last_to_leave_closes_the_room(partition):
    join(partition, "ana")

    outputs = partition.asks("ana", Leave(room="r"))

    assert announced(outputs) == ["room.left", "room.closed"]
    assert len(partition.rooms.rows.rooms) == 0
    assert len(partition.rooms.rows.window) == 0


def test_a_room_that_is_opened_again_has_another_epoch(partition):
    first = join(partition, "ana").epoch
    partition.asks("ana", Leave(room="r"))

    again = join(partition, "ana")

    assert again.epoch != first
    assert again.position == 1


def test_leaving_a_room_one_is_not_in_is_no_error(partition):
    outputs = partition.asks("ana", Leave(room="r", ref="1"))

    assert heard(outputs, "ana") == [says.Ok(ref="1")]


def test_a_closed_connection_leaves_every_room_once(partition):
    for room in ("b", "a"):
        partition.asks("ana", Join(room=room))

    assert announced(partition.closes("ana")).count("room.left") == 2
    assert announced(partition.closes("ana")) == []


def test_what_a_closed_session_still_asks_is_void(partition):
    partition.asks("ana", Join(room="r"))
    partition.closes("ana")

    assert partition.asks("ana", Join(room="r", ref="1")) == []


def test_a_replaced_device_leaves_and_its_socket_is_closed(partition):
    partition.opens("ana", gateway="g2", device="phone")
    partition.asks("ana", Join(room="r"), gateway="g2")
    partition.asks("bob", Join(room="r"))
    profile = c.Profile(user_id="ana", device_id="phone")

    outputs = partition.take(
        c.Opened(app="a", connection=id_of("ana2"), profile=profile, dialect="parley.v1", resumable=True)
    )

    (left,) = heard(outputs, "bob")
    assert left.reason == "replaced"
    close = says.Close(session=1, code=4503, reason="replaced")
    assert Deliver("g2", (id_of("ana"),), close) in outputs


def test_a_member_that_is_removed_is_told_about_itself(partition):
    join(partition, "ana")
    join(partition, "bob")

    outputs = partition.take(c.RemoveMember(app="a", room="r", connection=id_of("bob"), reply="inbox"))

    assert [say.reason for say in heard(outputs, "ana")] == ["removed"]
    assert [say.reason for say in heard(outputs, "bob")] == ["removed"]
    assert replies(outputs) == [{"ok": True}]


def test_removing_nobody_says_so(partition):
    outputs = partition.take(c.RemoveMember(app="a", room="r", connection=id_of("bob"), reply="inbox"))

    assert replies(outputs)[0]["code"] == ErrorCode.NOT_FOUND


def test_another_app_s_backend_removes_nobody(partition):
    join(partition, "ana")

    partition.take(c.RemoveMember(app="b", room="r", connection=id_of("ana")))
    outputs = partition.take(c.Remove(app="b", connection=id_of("ana"), reply="inbox"))

    assert replies(outputs)[0]["code"] == ErrorCode.GONE
    assert partition.rooms.rows.rooms["a", "r"].size == 1


def test_a_removed_connection_leaves_and_is_closed(partition):
    join(partition, "ana")
    join(partition, "bob")

    outputs = partition.take(c.Remove(app="a", connection=id_of("bob"), reply="inbox"))

    assert [say.reason for say in heard(outputs, "ana")] == ["removed"]
    assert [say.code for say in heard(outputs, "bob") if isinstance(say, says.Close)] == [4504]


def test_a_lost_gateway_ends_at_once_only_what_cannot_resume(partition):
    partition.opens("old", gateway="g2", resumable=False)
    partition.opens("new", gateway="g2")
    for name in ("old", "new"):
        partition.asks(name, Join(room="r"), gateway="g2")
    partition.asks("ana", Join(room="r"))

    outputs = partition.take(c.GatewayLost(app="", gateway="g2"))

    assert [(say.connection_id, say.reason) for say in heard(outputs, "ana")] == [(id_of("old"), "disconnected")]
    assert partition.rooms.waiting()


def test_after_the_grace_the_rest_is_expired(partition):
    partition.opens("new", gateway="g2")
    partition.asks("new", Join(room="r"), gateway="g2")
    partition.asks("ana", Join(room="r"))
    partition.take(c.GatewayLost(app="", gateway="g2"))

    partition.now += GRACE_MS
    outputs = partition.take(c.Tick(app=""))

    assert [say.reason for say in heard(outputs, "ana")] == ["expired"]
    assert [say.reason for say in heard(outputs, "new")] == ["expired", "expired"]
    assert not partition.rooms.waiting()


def test_positions_of_a_room_have_no_gaps(partition):
    """A receiver that sees n+2 after n knows that something is missing."""
    join(partition, "ana")
    join(partition, "bob")
    for number in range(3):
        partition.asks("bob", Chat(room="r", id=str(number), text="t"))
        partition.asks("bob", Send(room="r", data=raw("1")))
    partition.asks("bob", Leave(room="r"))

    positions = [say.position for say in heard(partition.outputs, "ana") if hasattr(say, "position")]
    assert positions == [1, 2, 3, 4, 5, 6]


def test_events_of_a_room_have_a_sequence_without_gaps(partition):
    join(partition, "ana")
    join(partition, "bob")
    partition.asks("ana", Chat(room="r", id="1", text="t"))
    partition.asks("ana", Leave(room="r"))
    partition.asks("bob", Leave(room="r"))

    assert [fact.sequence for fact in facts(partition.outputs)] == list(range(1, 8))


def test_who_comes_back_gets_what_was_missed(partition):
    epoch = join(partition, "ana").epoch
    join(partition, "bob")
    partition.asks("bob", Chat(room="r", id="1", text="while you were away"))
    partition.asks("ana", Leave(room="r"))

    answer = join(partition, "ana", since=Since(epoch, 2))

    assert answer.recovered
    assert [type(say) for say in answer.missed] == [says.ChatPosted, says.MemberLeft]


@pytest.mark.parametrize("since", [Since("another", 1), Since("same", -1)])
def test_who_was_away_too_long_is_told_so(partition, since):
    epoch = join(partition, "ana").epoch
    for number in range(150):
        partition.asks("ana", Chat(room="r", id=str(number), text="t"))

    answer = join(partition, "bob", since=since if since.epoch == "another" else Since(epoch, 1))

    assert not answer.recovered
    assert answer.missed == []


def test_presence_is_shown_to_the_others(partition):
    join(partition, "ana")
    join(partition, "bob")
    request = SetPresence(ref="1", availability="busy")
    profile = c.Profile(user_id="bob", availability="busy")

    outputs = partition.take(
        c.PresenceSet(app="a", connection=id_of("bob"), request=request, profile=profile), partition=0
    )

    (changed,) = heard(outputs, "ana")
    assert changed.availability == "busy"
    assert heard(outputs, "bob") == [says.Ok(ref="1")]


def test_only_the_home_partition_answers_presence(partition):
    request = SetPresence(ref="1", availability="busy")
    command = c.PresenceSet(app="a", connection=id_of("bob"), request=request, profile=c.Profile())

    assert heard(partition.take(command, partition=3), "bob") == []


def test_the_home_learns_of_rooms(partition):
    """Presence answers who is in a room; it hears so from rooms."""
    joined = forwards(partition.asks("ana", Join(room="r")))
    left = forwards(partition.asks("ana", Leave(room="r")))

    assert joined == [c.InRoom(app="a", connection=id_of("ana"), room="r", member=True)]
    assert left == [c.InRoom(app="a", connection=id_of("ana"), room="r", member=False)]


def test_a_wiped_log_closes_everything(partition):
    join(partition, "ana")

    outputs = list(flat(partition.rooms.log_lost(partition.log[0][1])))

    assert announced(outputs) == ["room.left", "room.closed"]
    assert [say.code for say in heard(outputs, "ana")] == [1012]


def resume(partition, name, gateway, attempt="t", count=None):
    return partition.take(c.Resume(app="a", connection=id_of(name), attempt=attempt, count=count), writer=gateway)


def to_gateway(outputs, gateway):
    return [out.say for out in outputs if isinstance(out, Deliver) and out.gateway == gateway]


def test_a_resumed_connection_stays_in_its_rooms_and_nobody_else_notices(partition):
    partition.opens("ana")
    join(partition, "ana")
    join(partition, "bob")

    outputs = resume(partition, "ana", "g2")

    assert announced(outputs) == []
    assert heard(outputs, "bob") == []
    assert to_gateway(outputs, "g1") == [says.Superseded(session=1)]
    (attached,) = to_gateway(outputs, "g2")
    assert (attached.session, attached.attempt, attached.gateways) == (2, "t", ("g1",))
    assert attached.profile.user_id == "ana"


def test_what_is_said_after_a_resume_goes_to_the_new_gateway(partition):
    partition.opens("ana")
    join(partition, "ana")
    join(partition, "bob")
    resume(partition, "ana", "g2")

    outputs = partition.asks("bob", Send(room="r", data=raw("1")))

    assert len(to_gateway(outputs, "g2")) == 1


def test_a_partition_that_is_not_the_home_follows(partition):
    partition.asks("ana", Join(room="r"))
    outputs = partition.take(c.Moved(app="a", connection=id_of("ana"), session=2), writer="g2", partition=5)

    assert to_gateway(outputs, "g2") == [says.Attached(partition=5, session=2, rooms=("r",))]
    assert partition.asks("ana", Join(room="s")) == []


def test_every_partition_says_in_which_of_its_rooms_a_resumed_connection_is(partition):
    partition.opens("ana")
    for room in ("b", "a"):
        partition.asks("ana", Join(room=room))

    (_, attached) = [out.say for out in resume(partition, "ana", "g2")]
    moved = c.Moved(app="a", connection=id_of("ana"), session=2)
    (followed,) = to_gateway(partition.take(moved, writer="g2", partition=5), "g2")

    assert attached.rooms == followed.rooms == ("a", "b")


def test_no_more_rooms_are_said_than_fit_into_an_answer(partition):
    partition.opens("ana")
    for number in range(70):
        partition.asks("ana", Join(room=f"{number:02}".ljust(1024, "\n")))

    (_, attached) = [out.say for out in resume(partition, "ana", "g2")]

    assert len(attached.rooms) == 64


def test_what_cannot_be_resumed_is_gone(partition):
    partition.opens("ana")
    partition.closes("ana")

    assert to_gateway(resume(partition, "ana", "g2"), "g2") == [says.Gone(attempt="t")]


def test_an_attempt_that_comes_late_is_told_that_it_was_overtaken_and_nobody_else_notices(partition):
    partition.opens("ana")
    resume(partition, "ana", "g3", count=2)

    outputs = resume(partition, "ana", "g2", attempt="late", count=1)

    assert [(out.gateway, out.say) for out in outputs] == [("g2", says.Overtaken(attempt="late"))]


def test_a_presence_that_was_set_comes_along(partition):
    partition.opens("ana")
    profile = c.Profile(user_id="ana", availability="busy", metadata={"k": 1})
    request = SetPresence(availability="busy")
    partition.take(c.PresenceSet(app="a", connection=id_of("ana"), request=request, profile=profile))

    (attached,) = to_gateway(resume(partition, "ana", "g2"), "g2")

    assert attached.profile == profile


def fill(partition, members):
    """Let members in who say as much about themselves as their gateway allows."""
    for number in range(members):
        partition.asks(f"m{number}", Join(room="r", metadata={"about": "x" * 4000}), capacity=1000)


def test_a_room_is_full_when_its_members_say_more_about_themselves_than_an_answer_can_hold(partition):
    fill(partition, 100)

    outputs = partition.asks("ana", Join(room="r", ref="1"), capacity=1000)

    (error,) = heard(outputs, "ana")
    assert (error.code, error.ref) == (ErrorCode.ROOM_FULL, "1")
    assert announced(outputs) == []
    assert partition.rooms.rows.rooms["a", "r"].size < 100


def test_a_member_that_joins_again_is_told_when_the_others_have_grown_too_big(partition):
    for number in range(100):
        join(partition, f"m{number}")
    for number in range(100):
        about = {"about": "x" * 4000}
        partition.take(
            c.PresenceSet(
                app="a",
                connection=id_of(f"m{number}"),
                request=SetPresence(metadata=about),
                profile=c.Profile(metadata=about),
            )
        )

    assert join(partition, "m0").code == ErrorCode.TOO_LARGE
    assert join(partition, "late").code == ErrorCode.ROOM_FULL


def test_what_is_kept_for_those_who_come_back_is_bounded_in_bytes(partition):
    first = join(partition, "ana")
    for number in range(20):
        partition.asks("ana", Chat(room="r", id=f"{number}", text="x" * 100_000))

    back = join(partition, "bob", since=Since(first.epoch, first.position))

    assert not back.recovered
    frames, size = partition.rooms.rows.window.held["a", "r"]
    assert frames == 2  # the last chat, and bob
    assert size < 110_000


def test_what_is_kept_forgets_the_oldest_first(partition):
    first = join(partition, "ana")
    for number in range(300):
        partition.asks("ana", Chat(room="r", id=f"{number}", text="x"))

    assert not join(partition, "bob", since=Since(first.epoch, 100)).recovered
    back = join(partition, "cid", since=Since(first.epoch, 200))
    assert back.recovered
    assert [said.position for said in back.missed] == list(range(201, 303))


def test_a_frame_that_is_taken_back_leaves_what_is_kept_as_it_was():
    window = Window()
    for position in range(1, 4):
        window.add(kept(position, "x" * 50_000))
    window.keep()
    before, held = dict(window.rows()), dict(window.held)

    window.add(kept(4, "x" * 150_000))
    assert dict(window.rows()) != before
    window.undo()

    assert dict(window.rows()) == before
    assert window.held == held


def kept(position, text):
    posted = says.ChatPosted(
        room="r", position=position, id=str(position), from_="c", user_id=None, text=text, data=raw("null"), time=""
    )
    return Kept("a", "r", position, posted)


def moved(partition, name, profile, session=2):
    command = c.Moved(app="a", connection=id_of(name), session=session, profile=profile)
    return partition.take(command, writer="g2", partition=5)


def test_who_has_moved_is_shown_as_its_home_knows_it(partition):
    """A gateway that dies may have told the home of a change, and not this partition."""
    join(partition, "ana")
    partition.asks("bob", Join(room="r", metadata={"own": 1}), profile=c.Profile(metadata={"own": 0, "mood": "calm"}))
    profile = c.Profile(availability="busy", metadata={"own": 0, "mood": "wild"})

    (changed,) = heard(moved(partition, "bob", profile), "ana")

    assert (changed.availability, changed.metadata) == ("busy", {"own": 1, "mood": "wild"})


def test_who_has_moved_and_not_changed_disturbs_nobody(partition):
    join(partition, "ana")
    join(partition, "bob")

    assert heard(moved(partition, "bob", c.Profile(user_id="bob")), "ana") == []


def test_a_move_that_comes_too_late_shows_nothing(partition):
    join(partition, "ana")
    join(partition, "bob")
    moved(partition, "bob", c.Profile(user_id="bob", availability="busy"), session=3)

    assert heard(moved(partition, "bob", c.Profile(user_id="bob", availability="away")), "ana") == []


def test_who_said_goodbye_is_told_about_itself_as_it_may_come_back_all_the_same(partition):
    """Its home may hear of the return first, and of the goodbye when that is void."""
    partition.opens("ana")
    join(partition, "ana")

    assert [say.reason for say in heard(partition.closes("ana"), "ana")] == ["disconnected"]


def test_presence_that_fails_is_answered_by_the_home_alone(partition):
    request = SetPresence(ref="1", availability="busy")
    partition.take(c.PresenceSet(app="a", connection=id_of("bob"), request=request, profile=c.Profile()))
    event, at = partition.log[-1]

    answers = [
        heard(partition.rooms.failed(event, replace(at, partition=here), ValueError()), "bob") for here in range(3)
    ]

    assert [len(said) for said in answers] == [1, 0, 0]
