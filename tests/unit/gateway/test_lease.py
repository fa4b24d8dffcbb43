"""When a gateway may go on under its name, on a clock that the test turns."""

import pytest

from parley.gateway.lease import ASLEEP_SECONDS, BLIND_SECONDS, RENEW_SECONDS, Blind, Vigil
from parley.kit.streams import LEASE_SECONDS
from parley.protocol.registry import GRACE_MS

NOW = 1_000.0


def test_who_slept_for_half_the_grace_does_not_go_on() -> None:
    vigil = Vigil(NOW)
    vigil.look(NOW + ASLEEP_SECONDS)

    with pytest.raises(Blind, match="slept for 16 s"):
        vigil.look(NOW + 2 * ASLEEP_SECONDS + 1)


def test_a_lease_that_is_renewed_on_waking_is_no_excuse() -> None:
    vigil = Vigil(NOW)
    vigil.renewed(NOW + ASLEEP_SECONDS + 1)

    with pytest.raises(Blind):
        vigil.look(NOW + ASLEEP_SECONDS + 1)


def test_without_nats_a_gateway_that_is_awake_goes_on_for_as_long_as_what_it_missed_is_kept() -> None:
    vigil = Vigil(NOW)
    for second in range(1, int(BLIND_SECONDS) + 1):
        vigil.look(NOW + second)
        vigil.missed(NOW + second)

    with pytest.raises(Blind, match="NATS was away"):
        vigil.missed(NOW + BLIND_SECONDS + 1)


def test_an_outage_that_is_over_counts_no_more() -> None:
    vigil = Vigil(NOW)
    vigil.missed(NOW + BLIND_SECONDS)
    vigil.renewed(NOW + BLIND_SECONDS + 1)

    vigil.missed(NOW + 2 * BLIND_SECONDS)


def test_who_goes_on_has_its_lease_again_long_before_the_grace_is_over() -> None:
    """Owners count it as lost two leases after its last sign of life at the earliest, and then the grace begins."""
    lost = 2 * LEASE_SECONDS
    back = ASLEEP_SECONDS + RENEW_SECONDS + LEASE_SECONDS  # renewed, and seen by owners

    assert back < lost + GRACE_MS / 1000 - ASLEEP_SECONDS
