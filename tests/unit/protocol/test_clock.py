"""Times as they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.protocol.clock import milliseconds, rfc3339


def test_a_time_is_written_in_utc_with_milliseconds():
    assert rfc3339(1_700_000_000_007) == "2023-11-14T22:13:20.007Z"


@given(st.integers(0, 4_000_000_000_000))
def test_a_time_reads_back_as_it_was(moment):
    assert milliseconds(rfc3339(moment)) == moment


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        milliseconds("2023-11-14T22:13:20")
