"""The promises of docs/explained/resume.md, in random schedules of faults over the product's own rules."""

import pytest
from model.installation import FAULTS, schedules
from model.rule import Rule
from model.taste import FICKLE, SLEEPY, Taste

SCHEDULES = 1500
AT_ONCE = 100
BOUND = 400
"""Schedules in which a rule that is left out must show what it was for."""
LOOKED_FOR = {Rule.FORWARDS_IN_ORDER: FICKLE}
"""Where rules are to be seen at work that matter seldom."""


@pytest.mark.parametrize("first", range(0, SCHEDULES, AT_ONCE))
def test_promises_are_kept_whatever_happens(first: int) -> None:
    for seed, world in schedules(range(first, first + AT_ONCE)):
        assert not world.violations, f"PYTHONPATH=tests .venv/bin/python -m model --seed {seed}"
        assert world.faults.total() >= FAULTS


@pytest.mark.parametrize("rule", list(Rule), ids=lambda rule: rule.name)
def test_every_rule_is_needed(rule: Rule) -> None:
    taste = LOOKED_FOR.get(rule)

    assert any(world.violations for _, world in schedules(range(BOUND), [rule], taste)), rule.value


@pytest.mark.parametrize("taste", [FICKLE, SLEEPY], ids=["fickle", "sleepy"])
def test_promises_are_kept_where_rare_things_happen(taste: Taste) -> None:
    for seed, world in schedules(range(AT_ONCE), taste=taste):
        assert not world.violations, f"seed {seed}"


def test_a_seed_is_a_schedule() -> None:
    (_, once), (_, again), (_, other) = (next(iter(schedules([seed]))) for seed in (7, 7, 8))

    assert (once.now, once.faults) == (again.now, again.faults)
    assert (once.now, once.faults) != (other.now, other.faults)
