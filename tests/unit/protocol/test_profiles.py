"""Every profile that parley.yaml may name has a dialect, and development mode's are among them."""

from typing import get_args

import pytest

from parley.protocol.apps import BUILT_IN, App, ProfileName
from parley.protocol.dialects.profiles import PROFILES, dialect_of


def test_each_profile_has_a_dialect():
    assert set(PROFILES) == set(get_args(ProfileName))
    assert set(BUILT_IN) <= set(PROFILES)


@pytest.mark.parametrize("profile", get_args(ProfileName))
def test_a_dialect_says_who_it_is(profile):
    assert dialect_of(App(profile=profile)).name
