"""What a fault cost is worth nothing when something is overlooked, so each way of going wrong has its count."""

import pytest

from benchmarks.faults.ledger import Ledger

WRONGS = ("refused", "heard_though_refused", "lost", "unanswered", "doubled", "reordered", "wrong")
RIGHT = {"messages": 4} | dict.fromkeys(WRONGS, 0)


def conversation(*heard: int, refused: tuple[int, ...] = (), answered: int = 4) -> dict[str, float]:
    """Say four things to two; the first hears all, the second what is given."""
    ledger = Ledger()
    path = ledger.path(2)
    marks = [ledger.say(path)[1].encode() for _ in range(4)]
    for number in range(answered):
        ledger.answer(path, number, accepted=number not in refused)
    for number, mark in enumerate(marks):
        if number not in refused:
            ledger.hear(mark, mark.index(b"@@"), 0)
    for number in heard:
        ledger.hear(marks[number], marks[number].index(b"@@"), 1)
    return ledger.sums()


def test_all_is_right_when_all_was_heard_once_and_in_order() -> None:
    assert conversation(0, 1, 2, 3) == RIGHT


@pytest.mark.parametrize("heard", [(0, 1, 2), (0, 2, 3), (1, 2, 3)])
def test_what_was_not_heard_is_lost(heard: tuple[int, ...]) -> None:
    assert conversation(*heard) == RIGHT | {"lost": 1, "wrong": 1}


@pytest.mark.parametrize("heard", [(0, 1, 2, 3, 3), (0, 0, 1, 2, 3), (0, 1, 2, 3, 1)])
def test_what_was_heard_twice_is_doubled(heard: tuple[int, ...]) -> None:
    assert conversation(*heard) == RIGHT | {"doubled": 1, "wrong": 1}


def test_what_comes_behind_something_later_is_reordered() -> None:
    assert conversation(0, 2, 1, 3) == RIGHT | {"reordered": 1, "wrong": 1}


def test_what_nobody_answered_is_no_success() -> None:
    assert conversation(0, 1, 2, 3, answered=3) == RIGHT | {"unanswered": 1, "wrong": 1}


@pytest.mark.parametrize("refused", [0, 1, 3])
def test_what_was_refused_is_not_lost(refused: int) -> None:
    heard = [number for number in range(4) if number != refused]

    assert conversation(*heard, refused=(refused,)) == RIGHT | {"refused": 1}


def test_what_was_refused_must_not_be_heard() -> None:
    assert conversation(0, 1, 2, 3, refused=(1,)) == RIGHT | {
        "refused": 1,
        "heard_though_refused": 1,
        "wrong": 1,
    }
