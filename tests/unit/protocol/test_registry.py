"""The registry of connections: who lives, where, in which session."""

from parley.protocol.commands import Asked, Closed, Moved, Opened, Profile, Resume
from parley.protocol.envelope import Place
from parley.protocol.registry import GRACE_MS, REMEMBER_CLOSED_MS, REPLAY_MS, Registry, Stay
from parley.protocol.requests import Leave


def at(time=1_000, writer="g1"):
    return Place(partition=0, sequence=time, index=0, time=time, writer=writer)


def opened(id_, *, device=None, subject=None, user=None, app="a", resumable=True):
    profile = Profile(user_id=user or subject, device_id=device)
    return Opened(app=app, connection=id_, subject=subject, profile=profile, dialect="parley.v1", resumable=resumable)


def asked(id_, session=1):
    return Asked(app="a", connection=id_, session=session, request=Leave(room="r"))


def closed(id_, session=1):
    return Closed(app="a", connection=id_, session=session, reason="disconnected", code=1000)


def test_the_same_device_replaces_its_older_connection():
    registry = Registry()
    registry.opened(opened("c1", subject="ana", device="d"), at())

    ended = registry.opened(opened("c2", subject="ana", device="d"), at())

    assert [row.id for row in ended] == ["c1"]
    assert not registry.connections["c1"].live
    assert registry.connections["c2"].live


def test_a_device_of_another_user_or_app_replaces_nobody():
    registry = Registry()
    registry.opened(opened("c1", subject="ana", device="d"), at())

    assert registry.opened(opened("c2", subject="eve", device="d"), at()) == []
    assert registry.opened(opened("c3", subject="ana", device="d", app="b"), at()) == []


def test_clients_without_a_token_are_one_subject():
    """What they call themselves in the query is no proof of anything."""
    registry = Registry()
    registry.opened(opened("c1", user="ana", device="d"), at())

    assert [row.id for row in registry.opened(opened("c2", user="bob", device="d"), at())] == ["c1"]


def test_without_a_device_nobody_is_replaced():
    registry = Registry()
    registry.opened(opened("c1", user="ana"), at())

    assert registry.opened(opened("c2", user="ana"), at()) == []


def test_a_session_ends_once():
    registry = Registry()
    registry.opened(opened("c1"), at())

    assert [row.id for row in registry.closed(closed("c1"), at())] == ["c1"]
    assert registry.closed(closed("c1"), at()) == []


def test_an_event_of_a_closed_session_is_void():
    registry = Registry()
    registry.opened(opened("c1"), at())
    registry.closed(closed("c1"), at())

    assert registry.heard(asked("c1"), at()) is None


def test_an_event_of_an_older_session_is_void():
    registry = Registry()
    registry.heard(asked("c1", session=2), at(writer="g2"))

    assert registry.heard(asked("c1", session=1), at()) is None
    assert registry.closed(closed("c1", session=1), at()) == []
    assert registry.connections["c1"].gateway == "g2"


def test_a_newer_session_moves_the_connection():
    registry = Registry()
    registry.opened(opened("c1"), at())
    registry.closed(closed("c1"), at())

    row = registry.heard(asked("c1", session=2), at(writer="g2"))

    assert row is not None
    assert row.live
    assert registry.connections.of_gateway == {"g2": {"c1": None}}


def test_a_lost_gateway_ends_at_once_what_cannot_resume():
    registry = Registry()
    registry.opened(opened("c1", resumable=False), at())
    registry.opened(opened("c2"), at())

    (due,) = registry.gateway_lost("g1", at(2_000))

    assert due.id == "c1"
    assert not registry.end(due, at(2_000)).live
    assert not registry.connections["c1"].live


def test_a_lost_gateway_is_lost_once():
    registry = Registry()
    registry.opened(opened("c1"), at())
    registry.gateway_lost("g1", at(2_000))

    assert registry.gateway_lost("g1", at(9_000)) == []
    assert registry.lost["g1"].since == 2_000


def test_the_grace_ends_the_rest():
    registry = Registry()
    registry.opened(opened("c1"), at())
    registry.gateway_lost("g1", at(2_000))

    assert registry.tick(at(2_000 + GRACE_MS - 1)) == []
    assert [row.id for row in registry.tick(at(2_000 + GRACE_MS))] == ["c1"]
    assert len(registry.lost) == 0


def test_what_could_not_be_ended_is_tried_again_when_its_gateway_is_missed_again():
    registry = Registry()
    registry.opened(opened("c1"), at())
    registry.gateway_lost("g1", at(2_000))
    registry.tick(at(2_000 + GRACE_MS))

    assert "g1" in registry.connections.of_gateway
    registry.gateway_lost("g1", at(50_000))
    assert [row.id for row in registry.tick(at(50_000 + GRACE_MS))] == ["c1"]


def test_a_gateway_that_was_only_asleep_keeps_its_connections():
    registry = Registry()
    registry.opened(opened("c1"), at())
    registry.gateway_lost("g1", at(2_000))

    registry.gateway_back("g1")

    assert registry.tick(at(2_000 + GRACE_MS)) == []


def test_a_gateway_that_takes_a_connection_in_is_not_lost():
    """It slept, and somebody knocked meanwhile: what begins there has the whole grace, not what is left of it."""
    resume = Resume(app="a", connection="c1", session=0, attempt="g2.1")
    for entered in (
        lambda registry: registry.opened(opened("c2"), at(30_000, "g2")),
        lambda registry: registry.resumed(resume, at(30_000, "g2")),
        lambda registry: registry.moved(Moved(app="a", connection="c1", session=2), at(30_000, "g2")),
    ):
        registry = Registry()
        registry.opened(opened("c1"), at())
        registry.gateway_lost("g2", at(2_000))

        entered(registry)

        assert registry.tick(at(2_000 + GRACE_MS)) == []
        assert "g2" not in registry.lost


def test_a_backend_removes_only_of_its_own_app():
    registry = Registry()
    registry.opened(opened("c1"), at())

    assert registry.removed("c1", "b", at()) == []
    assert [row.id for row in registry.removed("c1", "a", at())] == ["c1"]


def test_closed_sessions_are_forgotten_after_a_while():
    """The registry does not grow with everybody who ever came."""
    registry = Registry()
    registry.opened(opened("c1"), at())
    registry.closed(closed("c1"), at())

    registry.opened(opened("c2"), at(1_000 + REMEMBER_CLOSED_MS))

    assert "c1" not in registry.connections


def resume(id_, attempt="g2.1", app="a", count=None):
    return Resume(app=app, connection=id_, session=0, attempt=attempt, count=count)


def test_a_resume_begins_the_next_session_elsewhere():
    registry = Registry()
    registry.opened(opened("c1"), at())

    resumed = registry.resumed(resume("c1"), at(2_000, writer="g2"))

    assert resumed is not None
    was, now = resumed
    assert (was.session, was.gateway) == (1, "g1")
    assert (now.session, now.gateway, now.before) == (2, "g2", (Stay("g1", 2_000),))


def test_every_gateway_where_it_lived_is_remembered_for_as_long_as_deliveries_are():
    registry = Registry()
    registry.opened(opened("c1"), at())
    registry.resumed(resume("c1"), at(2_000, writer="g2"))
    registry.resumed(resume("c1"), at(3_000, writer="g3"))

    assert [stay.gateway for stay in registry.connections["c1"].before] == ["g1", "g2"]

    registry.resumed(resume("c1"), at(2_000 + REPLAY_MS, writer="g4"))

    assert [stay.gateway for stay in registry.connections["c1"].before] == ["g2", "g3"]


def test_an_attempt_that_was_given_up_does_not_take_the_connection_from_a_later_one():
    """It reached the home late, as a publish does that is repeated after an outage."""
    registry = Registry()
    registry.opened(opened("c1"), at())
    registry.resumed(resume("c1", count=12), at(2_000, writer="g3"))

    late = registry.resumed(resume("c1", count=11), at(3_000, writer="g2"))

    assert late is not None
    was, now = late
    assert now is was
    assert (registry.connections["c1"].session, registry.connections["c1"].gateway) == (2, "g3")


def test_a_later_attempt_takes_the_connection_over():
    registry = Registry()
    registry.opened(opened("c1"), at())
    for count in (11, 12, 20):
        registry.resumed(resume("c1", count=count), at(2_000, writer=f"g{count}"))

    assert (registry.connections["c1"].session, registry.connections["c1"].gateway) == (4, "g20")


def test_an_attempt_without_a_count_is_always_the_latest_and_forgets_no_count():
    registry = Registry()
    registry.opened(opened("c1"), at())
    registry.resumed(resume("c1", count=12), at(2_000, writer="g2"))

    registry.resumed(resume("c1"), at(3_000, writer="g3"))
    registry.resumed(resume("c1", count=11), at(4_000, writer="g4"))

    assert registry.connections["c1"].gateway == "g3"


def test_what_is_closed_or_of_another_app_or_cannot_resume_is_gone():
    registry = Registry()
    registry.opened(opened("c1"), at())
    registry.closed(closed("c1"), at())
    registry.opened(opened("c2"), at())
    registry.opened(opened("c3", resumable=False), at())

    assert registry.resumed(resume("c1"), at()) is None
    assert registry.resumed(resume("c2", app="b"), at()) is None
    assert registry.resumed(resume("c3"), at()) is None
    assert registry.resumed(resume("never"), at()) is None


def test_the_end_of_an_older_session_does_not_end_the_connection():
    registry = Registry()
    registry.opened(opened("c1"), at())
    registry.resumed(resume("c1"), at(2_000, writer="g2"))

    assert registry.closed(closed("c1", session=1), at(3_000)) == []
    assert registry.gateway_lost("g1", at(3_000)) == []
    assert registry.connections["c1"].live


def test_a_move_that_comes_late_changes_nothing():
    registry = Registry()
    registry.moved(Moved(app="a", connection="c1", session=3), at(writer="g3"))

    row = registry.moved(Moved(app="a", connection="c1", session=2), at(writer="g2"))

    assert (row.session, row.gateway) == (3, "g3")


def test_a_gateway_is_lost_also_where_it_has_nobody():
    """Presence has fewer connections than rooms, and both must see the same grace end at the same place."""
    rooms, presence = Registry(), Registry()
    rooms.heard(asked("elsewhere"), at(), resumable=True)
    for registry in (rooms, presence):
        registry.gateway_lost("g1", at(2_000))
        registry.opened(opened("c1"), at(3_000))
        registry.gateway_lost("g1", at(4_000))
        for row in registry.tick(at(4_000 + GRACE_MS)):
            registry.end(row, at(4_000 + GRACE_MS))

    assert not rooms.connections["c1"].live
    assert presence.connections["c1"] == rooms.connections["c1"]


def test_whoever_can_resume_can_do_so_also_if_its_first_command_failed():
    """The command that said so has changed nothing; the next one that says so counts."""
    registry = Registry()
    registry.heard(asked("c1"), at())

    registry.heard(asked("c1"), at(), resumable=True)
    registry.heard(asked("c1"), at())

    assert registry.gateway_lost("g1", at()) == []
    assert registry.connections["c1"].resumable
