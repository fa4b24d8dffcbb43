"""What happens to an installation, besides publishes and checkpoints that fail by themselves."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from model.gateway import Gateway
from model.replica import Replica
from model.world import Process

if TYPE_CHECKING:
    from model.installation import Installation

P = TypeVar("P", Gateway, Replica)


def hurt(all_: "Installation") -> None:
    """Let one of them happen."""
    kinds = list(FAULTS)
    (kind,) = all_.world.random.choices(kinds, [FAULTS[kind][0] for kind in kinds])
    FAULTS[kind][1](all_)
    all_.world.faults[kind] += 1


def _cut(all_: "Installation") -> None:
    world = all_.world
    world.random.choice(all_.clients).cut(noticed=0 if world.chance() < 0.6 else world.between(100, 20_000))


def _away(all_: "Installation") -> None:
    client = all_.world.random.choice(all_.clients)
    client.absent_until = all_.world.now + all_.world.between(15_000, 40_000)
    client.cut()


def _goodbye(all_: "Installation") -> None:
    all_.world.random.choice(all_.clients).leave()


def _forgotten(all_: "Installation") -> None:
    all_.world.random.choice(all_.clients).forget()


def _gateway_killed(all_: "Installation") -> None:
    _at_work(all_.gateways).kill()


def _gateway_asleep(all_: "Installation") -> None:
    _nap(_at_work(all_.gateways))


def _gateway_drained(all_: "Installation") -> None:
    all_.world.random.choice(all_.gateways).drain()


def _replica_killed(all_: "Installation") -> None:
    _at_work(all_.replicas).kill()


def _replica_asleep(all_: "Installation") -> None:
    _nap(_at_work(all_.replicas))


def _replica_leaves(all_: "Installation") -> None:
    all_.world.random.choice(all_.replicas).leave()


def _at_work(processes: Sequence[P]) -> P:
    """Pick one, rather in the middle of something than at rest."""
    busy = [process for process in processes if not process.writer.idle]
    return processes[0].world.random.choice(busy or processes)


def _nap(process: Process) -> None:
    """Sleep: most often for less than a lease, at times for longer than the grace."""
    world = process.world
    chance = world.chance()
    if chance < 0.5:
        process.sleep(world.between(100, 2000))
    elif chance < 0.95:
        process.sleep(world.between(3000, 9000))
    else:
        process.sleep(world.between(15_000, 45_000))


FAULTS: Final[dict[str, tuple[float, Callable[["Installation"], None]]]] = {
    "client cut": (30, _cut),
    "client away": (3, _away),
    "client says goodbye": (3, _goodbye),
    "client begins anew": (4, _forgotten),
    "gateway killed": (10, _gateway_killed),
    "gateway asleep": (10, _gateway_asleep),
    "gateway drained": (4, _gateway_drained),
    "replica killed": (10, _replica_killed),
    "replica asleep": (14, _replica_asleep),
    "replica leaves": (5, _replica_leaves),
}
"""How often each happens, and how."""
