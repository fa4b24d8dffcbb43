"""Whose address counts as the client's."""

import pytest

from parley.gateway.proxies import Proxies

CLUSTER = Proxies(["127.0.0.0/8", "::1", "10.0.0.0/8", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", "", "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # a stranger says of itself what it likes
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.1.2.3", "203.0.113.7, 10.9.9.9", "203.0.113.7"),  # an Ingress, then the front door
        ("10.1.2.3", "198.51.100.1, 203.0.113.7", "203.0.113.7"),  # the Ingress was told the first one by a stranger
        ("10.1.2.3", "198.51.100.1, 203.0.113.7, 10.9.9.9", "203.0.113.7"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "10.7.7.7, 10.9.9.9", "10.7.7.7"),  # a client inside the cluster
        ("10.1.2.3", "198.51.100.1, unknown, 10.9.9.9", "10.9.9.9"),
        ("10.1.2.3", "203.0.113.7:4711", "10.1.2.3"),
        ("::ffff:10.1.2.3", "203.0.113.7", "203.0.113.7"),  # IPv4 at a listener of IPv6
        ("fd00::1", "2001:db8::7", "2001:db8::7"),
        ("2001:db8::7", "203.0.113.7", "2001:db8::7"),
        ("10.1.2.3", "fe80::7%any text, 10.9.9.9", "fe80::7"),
        ("", "203.0.113.7", ""),
    ],
)
def test_only_proxies_of_ours_are_believed(peer: str, forwarded: str, client: str) -> None:
    assert CLUSTER.client(peer, forwarded) == client


def test_where_nobody_is_trusted_it_is_the_other_end() -> None:
    assert Proxies([]).client("127.0.0.1", "203.0.113.7") == "127.0.0.1"
