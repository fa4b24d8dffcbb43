"""What happens to an installation, besides publishes and checkpoints that fail by themselves."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from model.installation import Installation


def hurt(all_: "Installation") -> None:
    """Let one of them happen."""
    world = all_.world
    (kind,) = world.random.choices(tuple(world.taste.faults), tuple(world.taste.faults.values()))
    FAULTS[kind](all_)
    world.faults[kind] += 1


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
    all_.world.random.choice(all_.gateways).kill()


def _gateway_asleep(all_: "Installation") -> None:
    all_.world.random.choice(all_.gateways).nap()


def _gateway_drained(all_: "Installation") -> None:
    all_.world.random.choice(all_.gateways).drain()


def _replica_killed(all_: "Installation") -> None:
    all_.world.random.choice(all_.replicas).kill()


def _replica_asleep(all_: "Installation") -> None:
    all_.world.random.choice(all_.replicas).nap()


def _replica_leaves(all_: "Installation") -> None:
    all_.world.random.choice(all_.replicas).leave()


FAULTS: Final[dict[str, Callable[["Installation"], None]]] = {
    "client cut": _cut,
    "client away": _away,
    "client says goodbye": _goodbye,
    "client begins anew": _forgotten,
    "gateway killed": _gateway_killed,
    "gateway asleep": _gateway_asleep,
    "gateway drained": _gateway_drained,
    "replica killed": _replica_killed,
    "replica asleep": _replica_asleep,
    "replica leaves": _replica_leaves,
}
