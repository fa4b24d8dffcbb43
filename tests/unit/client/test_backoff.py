"""When a client comes back."""

import pytest

from parley.client.backoff import CAP_SECONDS, FIRST_SECONDS, wait_before


@pytest.mark.parametrize(("attempt", "bound"), [(0, FIRST_SECONDS), (1, 0.5), (3, 2), (10, CAP_SECONDS), (10**6, 15)])
def test_waits_are_anywhere_below_a_bound_that_grows(attempt: int, bound: float) -> None:
    assert [wait_before(attempt, lambda chance=chance: chance) for chance in (0, 0.5)] == [0, bound / 2]  # type: ignore[misc] # mypy cannot type a default
