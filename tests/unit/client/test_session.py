"""What a client has to keep track of, whichever socket it has."""

import json

import pytest

from parley.client import ParleyError
from parley.client.session import Meaning, Session

WELCOME = {
    "type": "welcome",
    "connectionId": "c1",
    "app": "default",
    "resumeToken": "t1",
    "resumed": False,
    "heartbeatSeconds": 25,
    "time": "2026-01-01T00:00:00.000Z",
}


def receive(session: Session, **frame: object) -> Meaning:
    return session.receive(json.dumps(frame))[0]


@pytest.fixture
def session() -> Session:
    session = Session()
    session.receive(json.dumps(WELCOME))
    return session


def test_each_request_has_a_ref_of_its_own(session: Session) -> None:
    refs = {session.request("ping", {})[0] for _ in range(3)}

    assert len(refs) == 3


def test_an_answer_settles_its_request(session: Session) -> None:
    ref, _ = session.request("leave", {"room": "r1"})

    assert receive(session, type="ok", ref=ref, n=4) is Meaning.ANSWER
    assert session.unanswered == {}


def test_an_error_without_a_ref_is_for_the_program(session: Session) -> None:
    assert receive(session, type="error", code="bad_frame", message="No.") is Meaning.FRAME


def test_an_answer_nobody_waits_for_is_dropped(session: Session) -> None:
    assert receive(session, type="ok", ref="17", n=4) is Meaning.KNOWN


def test_a_frame_whose_n_is_not_higher_was_processed_before(session: Session) -> None:
    meanings = [receive(session, type="signal", **{"from": "c2"}, data=1, n=n) for n in (5, 5, 4, 9)]

    assert meanings == [Meaning.FRAME, Meaning.KNOWN, Meaning.KNOWN, Meaning.FRAME]
    assert session.n == 9


def test_a_pong_moves_n_and_never_counts_as_seen(session: Session) -> None:
    first, _ = session.request("ping", {})
    second, _ = session.request("ping", {})

    assert receive(session, type="pong", ref=first, time="", n=7) is Meaning.ANSWER
    assert receive(session, type="pong", ref=second, time="", n=7) is Meaning.ANSWER
    assert session.n == 7


def test_a_session_says_how_to_resume_it(session: Session) -> None:
    receive(session, type="message", room="r1", data=1, n=12)

    assert session.resume == {"resume": "t1", "n": "12"}


def test_a_session_that_was_never_welcome_cannot_be_resumed() -> None:
    assert Session().resume == {}


def test_n_begins_anew_with_a_new_connection(session: Session) -> None:
    receive(session, type="message", room="r1", data=1, n=12)

    session.receive(json.dumps(WELCOME | {"connectionId": "c2", "resumeToken": "t2"}))

    assert session.resume == {"resume": "t2", "n": "0"}


def test_n_goes_on_after_a_resume(session: Session) -> None:
    receive(session, type="message", room="r1", data=1, n=12)

    session.receive(json.dumps(WELCOME | {"resumed": True}))

    assert session.n == 12


def test_unanswered_requests_are_kept_in_the_order_they_were_made(session: Session) -> None:
    first, _ = session.request("join", {"room": "r1"})
    second, _ = session.request("chat", {"room": "r1", "id": "1", "text": "hi"})
    third, _ = session.request("leave", {"room": "r1"})

    receive(session, type="ok", ref=second, n=1)

    assert [json.loads(text)["action"] for text in session.unanswered.values()] == ["join", "leave"]
    assert list(session.unanswered) == [first, third]


def test_a_request_nobody_waits_for_is_not_repeated(session: Session) -> None:
    ref, _ = session.request("ping", {})

    session.forget(ref)

    assert session.unanswered == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"type": 1}', "null"])
def test_what_is_no_frame_is_refused_in_words(session: Session, text: str) -> None:
    with pytest.raises(ParleyError, match="the server sent what is"):
        session.receive(text)


def test_numbers_that_json_allows_and_nothing_else_does_pass(session: Session) -> None:
    _, frame = session.receive('{"type":"signal","from":"c2","data":[1e400,123456789012345678901234567890]}')

    assert frame["data"][1] == 123456789012345678901234567890
