"""Rows in memory: an event that fails changes nothing, a checkpoint writes what has changed."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from parley.protocol.table import Table


class Counted(Table[str, int]):
    """A table with a derived index: how many rows hold each value."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[int, int] = {}

    def index(self, key: str, old: int | None, new: int | None) -> None:
        if old is not None:
            self.counts[old] -= 1
        if new is not None:
            self.counts[new] = self.counts.get(new, 0) + 1


def apply(table: Table[str, int], steps: Any) -> None:
    for key, value in steps:
        if value is not None:
            table[key] = value
        elif key in table:
            del table[key]


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 3))))


@given(STEPS, STEPS)
def test_undo_takes_one_event_back_and_nothing_else(before, during):
    table, twin = Counted(), Counted()
    apply(table, before)
    apply(twin, before)
    table.keep()

    apply(table, during)
    table.undo()

    assert dict(table.rows()) == dict(twin.rows())
    assert {k: v for k, v in table.counts.items() if v} == {k: v for k, v in twin.counts.items() if v}


@given(STEPS, STEPS, STEPS)
def test_a_part_of_an_event_is_taken_back_and_later_the_rest(before, first, part):
    table, twin, start = Counted(), Counted(), Counted()
    for one in (table, twin, start):
        apply(one, before)
        one.keep()
    apply(table, first)
    apply(twin, first)

    mark = table.mark()
    apply(table, part)
    table.undo(mark)

    assert dict(table.rows()) == dict(twin.rows())
    assert {k: v for k, v in table.counts.items() if v} == {k: v for k, v in twin.counts.items() if v}
    table.undo()
    assert dict(table.rows()) == dict(start.rows())


@given(STEPS, STEPS)
def test_changes_written_to_a_copy_make_it_equal(first, second):
    """What a checkpoint writes is all that the next owner loads."""
    table = Table[str, int]()
    written: dict[str, int] = {}
    for steps in (first, second):
        apply(table, steps)
        table.keep()
        for key, row in table.take_changes().items():
            if row is None:
                written.pop(key, None)
            else:
                written[key] = row

    assert written == dict(table.rows())


def test_changes_that_could_not_be_written_are_said_again():
    table = Table[str, int]()
    table["a"] = 1
    lost = table.take_changes()
    table["a"] = 2

    table.changed_again(iter(lost))

    assert table.take_changes() == {"a": 2}
