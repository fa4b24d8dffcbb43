"""`String(value)` as JavaScript writes it; the expected texts were printed by Node."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.protocol.dialects.js import ABSENT, number, string


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12, "12"),
        (12.0, "12"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.25e22, "1.25e+22"),
        (123456789012345680000, "123456789012345680000"),
        (0.1, "0.1"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (-2.5, "-2.5"),
        (-0.0, "0"),
        (5e-324, "5e-324"),
        (10**400, "Infinity"),
        (-(10**400), "-Infinity"),
        (True, "true"),
        (None, "null"),
        (ABSENT, "undefined"),
        ({"a": 1}, "[object Object]"),
        ([1, 2], "1,2"),
        ([1, [None, 3]], "1,,3"),
        ("as it is", "as it is"),
    ],
)
def test_a_value_is_written_as_node_writes_it(value, text):
    assert string(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_as_it_was(value):
    assert float(number(value)) == value
