"""What counts as a difference, and what is only on its way."""

import pytest

from parley.cli.accounts import Accounts, Held, Holding, Person, Session
from parley.cli.differences import differences

ANA = Person("default", "ana=")


@pytest.fixture
def said() -> Accounts:
    """Give a system in which one connection lives, on the gateway g1, in its second session."""
    there = Session("g1", 2)
    holdings = {"g1": Holding("g1", [Held("ana=", 2, open=True)])}
    return Accounts(
        presence={ANA: there},
        homes={ANA: 3},
        rooms={(3, ANA): there, (4, ANA): there},
        holdings=holdings,
        leases={"g1"},
    )


def kinds(said: Accounts) -> list[str]:
    return [difference.kind for difference in differences(said)]


def test_parts_that_say_the_same_agree(said: Accounts) -> None:
    assert kinds(said) == []


def test_a_connection_that_waits_for_its_client_needs_no_socket(said: Accounts) -> None:
    said.holdings["g1"] = Holding("g1", [Held("ana=", 2, open=False)])

    assert kinds(said) == []


def test_what_is_left_of_an_earlier_session_on_another_gateway_is_void(said: Accounts) -> None:
    said.holdings["g0"] = Holding("g0", [Held("ana=", 1, open=False)])

    assert kinds(said) == []


def test_a_socket_in_an_earlier_session_is_none_of_this_connection(said: Accounts) -> None:
    said.holdings["g0"] = Holding("g0", [Held("ana=", 1, open=True)])

    assert kinds(said) == ["socket"]


def test_a_gateway_that_cannot_be_asked_and_shows_life_is_believed(said: Accounts) -> None:
    said.holdings.clear()

    assert kinds(said) == []


def test_without_signs_of_life_to_look_at_no_gateway_is_said_to_be_gone(said: Accounts) -> None:
    said.holdings.clear()
    said.leases = None

    assert kinds(said) == []


@pytest.mark.parametrize(("grace", "found"), [(None, ["no-gateway"]), (1, []), (35, []), (41, ["no-gateway"])])
def test_connections_of_a_lost_gateway_have_their_grace(said: Accounts, grace: float | None, found: list[str]) -> None:
    said.holdings.clear()
    said.leases = set()
    if grace is not None:
        said.graces["g1"] = grace

    assert kinds(said) == found


def test_a_partition_that_has_not_heard_of_a_move_is_found(said: Accounts) -> None:
    said.rooms[4, ANA] = Session("g0", 1)

    assert kinds(said) == ["elsewhere"]
