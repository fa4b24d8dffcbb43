"""Subjects: nothing that a client writes can widen one or end one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.protocol import subjects

HOSTILE = ["a.b", "a b", ">", "*", "a\nPUB x 1", "a\r\n", "", "é", "😀", "x" * 256, "a\0b", "\t"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_token_is_refused(text):
    with pytest.raises(ValueError, match="not a subject token"):
        subjects.token(text)


@pytest.mark.parametrize("kind", ["room", "room.joined", "presence.changed"])
def test_an_event_s_type_is_the_subject_behind_the_app(kind):
    assert subjects.event("shop", kind) == f"parley.events.shop.{kind}"


@pytest.mark.parametrize("kind", ["", ".", "room.", "room.>", "room.*", "Room", "room joined", "room..joined"])
def test_a_type_that_would_widen_the_subject_is_refused(kind):
    with pytest.raises(ValueError, match="not an event type"):
        subjects.event("shop", kind)


@given(st.text(max_size=80))
def test_any_text_escaped_is_one_plain_token(text):
    """A route's key is the customer's; every level of the subject stays ours."""
    levels = subjects.route("shop", text).split(".")

    assert levels[:3] == ["parley", "route", "shop"]
    assert len(levels) == 4
    assert all(char.isascii() and (char.isalnum() or char in "-_=") for char in levels[3])
    assert levels[3]


@given(st.text(max_size=30), st.text(max_size=30))
def test_different_texts_have_different_tokens(one, other):
    assert (subjects.escaped(one) == subjects.escaped(other)) == (one == other)
