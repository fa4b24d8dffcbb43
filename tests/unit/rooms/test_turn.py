"""Credentials that coturn accepts."""

from parley.rooms.turn import Relay, credentials


def test_credentials_are_those_of_coturn() -> None:
    """The test vector of protocols.md 5.2."""
    assert credentials("north", "alice", 1_700_000_000) == ("1700000000:alice", "Cd/49soE35ICqcJF/bCTn8Z4OyE=")


def test_the_username_names_the_moment_at_which_it_expires() -> None:
    relay = Relay(["stun:s"], ["turn:t", "turns:t"], "north", ttl=600)

    stun, turn = relay.servers("alice", 1_699_999_400)

    assert stun == {"urls": ["stun:s"]}
    assert turn["urls"] == ["turn:t", "turns:t"]
    assert (turn["username"], turn["credential"]) == ("1700000000:alice", "Cd/49soE35ICqcJF/bCTn8Z4OyE=")


def test_without_a_secret_there_is_stun_alone() -> None:
    assert Relay(["stun:s"], ["turn:t"]).servers("alice", 0) == [{"urls": ["stun:s"]}]
    assert Relay().servers("alice", 0) == []
