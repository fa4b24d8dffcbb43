"""Where a client is, when what connects is a proxy: only proxies of ours are believed about whom they speak for."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def networks(ranges: Iterable[str]) -> list[Network]:
    """Return the ranges (CIDR, or a single address); ValueError if one is none."""
    return [ip_network(each, strict=False) for each in ranges]


class Proxies:
    """The proxies in front of us."""

    def __init__(self, trusted: Iterable[str]) -> None:
        """*trusted* are ranges of addresses (CIDR)."""
        self._trusted = networks(trusted)

    def client(self, peer: str, forwarded: str) -> str:
        """
        Return the address of the client behind *peer*, the other end of the connection.

        *forwarded* is X-Forwarded-For: each proxy has added whom it was asked by. It is read from its end for as long
        as whoever has written is trusted, so the first address of a stranger is the client, whatever that one claims.
        """
        address = peer
        for said in _backwards(peer, forwarded):
            address = str(said)
            if not self._trusts(said):
                break
        return address

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _backwards(peer: str, forwarded: str) -> Iterator[Address]:
    """Give the addresses from *peer* on; what is no address ends them, as nobody knows who is behind it."""
    for said in (peer, *reversed(forwarded.split(","))):
        try:
            address = ip_address(said.strip().partition("%")[0])  # behind it an interface of theirs, or any text
        except ValueError:
            return
        yield getattr(address, "ipv4_mapped", None) or address
