"""What a client has to keep track of, whichever socket it has."""

import json
from typing import Any

import pytest

from parley.client import ParleyError
from parley.client.session import Answered, Happening, Heard, Later, Session, Unsure

WELCOME = {
    "type": "welcome",
    "connectionId": "c1",
    "app": "default",
    "resumeToken": "t1",
    "resumed": False,
    "heartbeatSeconds": 25,
    "time": "2026-01-01T00:00:00.000Z",
}
RESUMED = WELCOME | {"resumed": True}
RENEWED = WELCOME | {"connectionId": "c2", "resumeToken": "t2"}


def receive(session: Session, **frame: object) -> list[Happening]:
    return session.receive(json.dumps(frame))


def heard(happenings: list[Happening]) -> list[Any]:
    """Return the frames that are for the program."""
    return [happening.frame for happening in happenings if isinstance(happening, Heard)]


def said(session: Session) -> list[dict[str, Any]]:
    """Return what is to be written."""
    texts = []
    while (text := session.next()) is not None:
        texts.append(json.loads(text))
    return texts


def chat(position: int, **more: Any) -> dict[str, Any]:
    """Return a frame of a room's stream."""
    about = {"id": f"m{position}", "from": "c9", "userId": None, "text": "hi", "time": ""}
    return {"type": "chat", "room": "r1", "position": position, **about, **more}


def joined(ref: str, position: int, **more: Any) -> dict[str, Any]:
    """Return the answer to a join."""
    answer = {"type": "ok", "ref": ref, "room": "r1", "epoch": "e1", "position": position, "members": []}
    return {**answer, "recovered": False, "missed": [], **more}


@pytest.fixture
def session() -> Session:
    """Give a session that is welcome."""
    session = Session()
    session.receive(json.dumps(WELCOME))
    return session


@pytest.fixture
def member(session: Session) -> Session:
    """Give a session that is in the room r1, at position 5."""
    ref = session.request("join", {"room": "r1"})
    receive(session, **joined(ref, 5), n=1)
    said(session)
    return session


def come_back(session: Session, welcome: dict[str, Any]) -> list[Happening]:
    session.lost()
    return session.receive(json.dumps(welcome))


# requests


def test_each_request_has_a_ref_of_its_own(session: Session) -> None:
    refs = {session.request("ping", {}) for _ in range(3)}

    assert len(refs) == 3


def test_refs_of_two_sessions_never_meet() -> None:
    """Whoever takes up another's connection is not to be given the other's answers."""
    assert Session().request("ping", {}) != Session().request("ping", {})


def test_a_request_is_written_at_once(session: Session) -> None:
    ref = session.request("leave", {"room": "r1"})

    assert said(session) == [{"action": "leave", "ref": ref, "room": "r1"}]


def test_an_answer_settles_its_request(session: Session) -> None:
    ref = session.request("leave", {"room": "r1"})

    answer = {"type": "ok", "ref": ref, "n": 4}
    assert receive(session, **answer) == [Answered(ref, answer)]
    assert session.unanswered == {}


def test_an_error_without_a_ref_is_for_the_program(session: Session) -> None:
    frame = {"type": "error", "code": "bad_frame", "message": "No."}

    assert heard(receive(session, **frame)) == [frame]


def test_an_answer_nobody_waits_for_is_dropped(session: Session) -> None:
    assert receive(session, type="ok", ref="17", n=4) == []


# places


def test_a_frame_whose_n_is_not_higher_was_processed_before(session: Session) -> None:
    frames = [heard(receive(session, type="signal", **{"from": "c2"}, data=1, n=n)) for n in (5, 5, 4, 9)]

    assert [len(frame) for frame in frames] == [1, 0, 0, 1]
    assert session.n == 9


def test_a_pong_moves_n_and_never_counts_as_seen(session: Session) -> None:
    first, second = session.request("ping", {}), session.request("ping", {})

    assert receive(session, type="pong", ref=first, time="", n=7)
    assert receive(session, type="pong", ref=second, time="", n=7)
    assert session.n == 7


def test_a_session_says_how_to_resume_it(session: Session) -> None:
    receive(session, type="message", room="r1", data=1, n=12)

    assert session.resume == {"resume": "t1", "n": "12"}


def test_a_session_that_was_never_welcome_cannot_be_resumed() -> None:
    assert Session().resume == {}


def test_a_session_takes_up_an_earlier_one() -> None:
    assert Session(("t", 8)).resume == {"resume": "t", "n": "8"}


def test_n_begins_anew_with_a_new_connection(session: Session) -> None:
    receive(session, type="message", room="r1", data=1, n=12)

    come_back(session, RENEWED)

    assert session.resume == {"resume": "t2", "n": "0"}


def test_n_goes_on_after_a_resume(session: Session) -> None:
    receive(session, type="message", room="r1", data=1, n=12)

    come_back(session, RESUMED)

    assert session.n == 12


# resumed


def test_what_was_not_answered_is_repeated_in_order_before_anything_new(session: Session) -> None:
    first = session.request("join", {"room": "r1"})
    second = session.request("chat", {"room": "r1", "id": "1", "text": "hi"})
    third = session.request("send", {"room": "r1", "data": 1})
    receive(session, type="ok", ref=second, n=1)
    session.lost()
    fourth = session.request("leave", {"room": "r1"})

    assert said(session) == []
    session.receive(json.dumps(RESUMED))
    fifth = session.request("ping", {})

    assert [frame["ref"] for frame in said(session)] == [first, third, fourth, fifth]


def test_a_request_nobody_waits_for_is_not_repeated(session: Session) -> None:
    ref = session.request("ping", {})
    session.forget(ref)
    said(session)

    come_back(session, RESUMED)

    assert (session.unanswered, said(session)) == ({}, [])


def test_rooms_are_not_joined_again_after_a_resume(member: Session) -> None:
    assert come_back(member, RESUMED) == []
    assert said(member) == []


# renewed


def test_a_renewed_connection_joins_its_rooms_from_their_last_positions(member: Session) -> None:
    receive(member, **chat(6), n=2)

    renewed = heard(come_back(member, RENEWED))
    (join,) = said(member)
    happened = receive(member, **joined(join["ref"], 9, recovered=True, missed=[chat(7), chat(8)]), n=1)

    assert renewed == [{"type": "renewed", "connectionId": "c2", "before": "c1"}]
    assert join["since"] == {"epoch": "e1", "position": 6}
    assert [frame["type"] for frame in heard(happened)] == ["rejoined", "chat", "chat"]
    assert member.rooms == {"r1": {"epoch": "e1", "position": 9}}


def test_a_gap_is_said_plainly(member: Session) -> None:
    come_back(member, RENEWED)
    (join,) = said(member)

    happened = heard(receive(member, **joined(join["ref"], 2, epoch="e2"), n=1))

    assert [frame["type"] for frame in happened] == ["rejoined", "gap"]
    assert (happened[1]["since"], happened[1]["until"]) == (
        {"epoch": "e1", "position": 5},
        {"epoch": "e2", "position": 2},
    )


def test_the_metadata_of_a_membership_and_ones_own_presence_are_said_again(session: Session) -> None:
    join = session.request("join", {"room": "r1", "metadata": {"role": "host"}})
    receive(session, **joined(join, 1))
    for fields in ({"availability": "busy", "metadata": {"a": 1}}, {"metadata": {"b": 2}}):
        receive(session, type="ok", ref=session.request("presence", fields))
    said(session)

    come_back(session, RENEWED)
    presence, again = said(session)

    assert (presence["availability"], presence["metadata"]) == ("busy", {"a": 1, "b": 2})
    assert again["metadata"] == {"role": "host"}


def test_new_requests_wait_until_the_rooms_are_joined_again(member: Session) -> None:
    come_back(member, RENEWED)
    (join,) = said(member)
    ref = member.request("send", {"room": "r1", "data": 1})

    assert said(member) == []
    receive(member, **joined(join["ref"], 5, recovered=True))
    assert [frame["ref"] for frame in said(member)] == [ref]


def test_what_was_perhaps_done_for_the_old_connection_is_not_said_again_for_the_new(member: Session) -> None:
    signal = member.request("signal", {"to": "c9", "data": 1})
    send = member.request("send", {"room": "r1", "data": 1})
    leave = member.request("leave", {"room": "r2"})
    said(member)
    member.lost()
    later = member.request("signal", {"to": "c9", "data": 2})
    member.receive(json.dumps(RENEWED))
    (join,) = said(member)

    happened = receive(member, **joined(join["ref"], 5, recovered=True))

    assert [each for each in happened if isinstance(each, Unsure)] == [Unsure(signal), Unsure(send)]
    assert [frame["ref"] for frame in said(member)] == [leave, later]


def test_chat_that_is_in_the_stream_is_answered_from_there_and_other_chat_is_said_again(member: Session) -> None:
    first = member.request("chat", {"room": "r1", "id": "one", "text": "1"})
    second = member.request("chat", {"room": "r1", "id": "two", "text": "2"})
    come_back(member, RENEWED)
    (join,) = said(member)

    missed = [chat(6, id="one", **{"from": "c1"}), chat(7, id="two", **{"from": "c9"})]
    happened = receive(member, **joined(join["ref"], 8, recovered=True, missed=missed))

    (answer,) = [each for each in happened if isinstance(each, Answered)]
    assert (answer.ref, answer.frame["position"]) == (first, 6)
    assert [frame["ref"] for frame in said(member)] == [second]


def test_whether_chat_is_in_a_gap_nobody_knows(member: Session) -> None:
    ref = member.request("chat", {"room": "r1", "id": "one", "text": "1"})
    come_back(member, RENEWED)
    join = said(member)[-1]

    happened = receive(member, **joined(join["ref"], 300))

    assert happened[-1] == Unsure(ref)


def test_a_room_that_lets_us_not_in_again_is_said_to_be_lost(member: Session) -> None:
    come_back(member, RENEWED)
    (join,) = said(member)

    happened = receive(member, type="error", ref=join["ref"], code="room_full", message="Full.")

    assert heard(happened) == [{"type": "removed", "room": "r1", "code": "room_full", "message": "Full."}]
    assert member.rooms == {}


def test_a_join_that_waiting_cures_is_tried_again(member: Session) -> None:
    come_back(member, RENEWED)
    (join,) = said(member)

    happened = receive(member, type="error", ref=join["ref"], code="degraded", message="Wait.", retryAfterMs=2000)
    member.again(join["ref"])

    assert happened == [Later(join["ref"], 2)]
    assert said(member) == [join]


def test_a_socket_lost_while_rooms_are_joined_again_delays_that_and_no_more(member: Session) -> None:
    ref = member.request("chat", {"room": "r1", "id": "one", "text": "1"})
    come_back(member, RENEWED)
    join = said(member)[-1]

    come_back(member, RENEWED | {"resumed": True})

    assert said(member) == [join]
    receive(member, **joined(join["ref"], 5, recovered=True))
    assert [frame["ref"] for frame in said(member)] == [ref]


def test_what_a_first_renewal_learned_holds_after_a_second(member: Session) -> None:
    second = member.request("join", {"room": "r2"})
    receive(member, **(joined(second, 1) | {"room": "r2"}))
    first = member.request("chat", {"room": "r1", "id": "one", "text": "1"})
    come_back(member, RENEWED)
    join = next(frame for frame in said(member) if frame.get("room") == "r1")
    receive(member, **joined(join["ref"], 6, recovered=True, missed=[chat(6, id="one", **{"from": "c1"})]))

    come_back(member, RENEWED | {"connectionId": "c3"})
    happened = []
    for frame in said(member):
        room = {"room": frame["room"]}
        happened += receive(member, **(joined(frame["ref"], 6, recovered=True) | room))

    assert [each.ref for each in happened if isinstance(each, Answered)] == [first]


# rooms' streams


def test_a_frame_of_a_known_position_is_not_handed_on(member: Session) -> None:
    assert heard(receive(member, **chat(5), n=2)) == []
    assert heard(receive(member, **chat(6), n=3))


def test_a_position_that_was_skipped_is_asked_for(member: Session) -> None:
    happened = receive(member, **chat(8), n=2) + receive(member, **chat(9), n=3)
    (join,) = said(member)
    missed = [chat(6), chat(7), chat(8), chat(9)]
    rejoined = heard(receive(member, **joined(join["ref"], 9, recovered=True, missed=missed), n=4))

    assert happened == []
    assert join["since"] == {"epoch": "e1", "position": 5}
    assert [frame["position"] for frame in rejoined[1:]] == [6, 7, 8, 9]


def test_a_member_that_had_expired_joins_again(member: Session) -> None:
    left = {"type": "member.left", "room": "r1", "position": 6, "connectionId": "c1", "reason": "expired"}

    assert heard(receive(member, **left, n=2)) == []
    assert said(member)[0]["since"] == {"epoch": "e1", "position": 6}


def test_a_member_that_was_removed_is_told_and_stays_out(member: Session) -> None:
    left = {"type": "member.left", "room": "r1", "position": 6, "connectionId": "c1", "reason": "removed", "n": 2}

    assert heard(receive(member, **left)) == [left]
    come_back(member, RENEWED)
    assert said(member) == []


def test_a_room_that_was_left_is_not_joined_again(member: Session) -> None:
    receive(member, type="ok", ref=member.request("leave", {"room": "r1"}), n=2)
    said(member)

    come_back(member, RENEWED)

    assert said(member) == []


# frames


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"type": 1}', "null"])
def test_what_is_no_frame_is_refused_in_words(session: Session, text: str) -> None:
    with pytest.raises(ParleyError, match="the server sent what is"):
        session.receive(text)


def test_numbers_that_json_allows_and_nothing_else_does_pass(session: Session) -> None:
    happened = session.receive('{"type":"signal","from":"c2","data":[1e400,123456789012345678901234567890]}')

    assert heard(happened)[0]["data"][1] == 123456789012345678901234567890
