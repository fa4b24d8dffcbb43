"""What the rooms service counts and measures, besides what every owner does."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

from parley.kit import metrics
from parley.kit.partitions import Owned
from parley.kit.state import State
from parley.rooms.rooms import Rooms

_ROOMS: Final = metrics.asked("rooms_open", "Rooms that have members, in the partitions owned here.")
_MEMBERS: Final = metrics.asked("rooms_members", "Members of these rooms: a connection counts once in each.")
_CALLS: Final = metrics.asked("rooms_calls", "Calls that last in these rooms.")
_WAITING: Final = metrics.asked("rooms_offers_waiting", "Offers that wait for an answer.")
CREDENTIALS: Final = metrics.counter(
    "rooms_turn_credentials", "Credentials for TURN that were given out; without a TURN server there are none."
)


@contextmanager
def counting(owned: Owned) -> Iterator[None]:
    """Tell how much the partitions of this process hold, for the length of the block."""
    with ExitStack() as stack:
        stack.enter_context(_ROOMS.by(lambda: {(): sum(len(rooms.rows.rooms) for rooms in _here(owned.states))}))
        stack.enter_context(_MEMBERS.by(lambda: {(): sum(len(rooms.rows.members) for rooms in _here(owned.states))}))
        stack.enter_context(_CALLS.by(lambda: {(): sum(_calls(rooms) for rooms in _here(owned.states))}))
        stack.enter_context(_WAITING.by(lambda: {(): sum(_waiting(rooms) for rooms in _here(owned.states))}))
        yield


def _here(states: Mapping[int, State]) -> Iterator[Rooms]:
    return (state for state in states.values() if isinstance(state, Rooms))


def _calls(rooms: Rooms) -> int:
    return sum(room.call is not None for _, room in rooms.rows.rooms.rows())


def _waiting(rooms: Rooms) -> int:
    return len(rooms.rows.negotiations.offers)
