"""Connection ids: API Gateway's form, with the home partition inside."""

import re

from hypothesis import given
from hypothesis import strategies as st

from parley.protocol.ids import connection_id, home_of, partition_of


@given(st.integers(0, 1023), st.binary(min_size=9, max_size=9))
def test_an_id_tells_its_home(home, entropy):
    id_ = connection_id(home, entropy)

    assert re.fullmatch(r"[A-Za-z0-9_-]{15}=", id_)
    assert home_of(id_, 1024) == home


@given(st.text(max_size=40))
def test_what_is_no_id_has_no_home(text):
    assert home_of(text, 16) is None or re.fullmatch(r"[A-Za-z0-9_-]{15}=", text)


def test_an_id_of_a_larger_installation_has_no_home_here():
    assert home_of(connection_id(40, bytes(9)), 16) is None


def test_a_partition_is_the_same_for_ever():
    """Rooms are found by it after a restart: these values may never change."""
    assert [partition_of("default", key, 16) for key in ("r1", "r2", "küche", "a/b")] == [12, 6, 10, 13]


@given(st.text(max_size=20), st.text(max_size=20), st.integers(1, 1024))
def test_a_partition_is_one_of_those_there_are(app, key, partitions):
    assert 0 <= partition_of(app, key, partitions) < partitions
