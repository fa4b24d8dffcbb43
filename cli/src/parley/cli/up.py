"""``parley up``: start everything, and keep it running until told to stop."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console

from parley.cli.display import display
from parley.cli.environment import check_environment
from parley.cli.instance import Instance
from parley.cli.leftovers import end_leftovers
from parley.cli.plan import SERVICES, Command, Planner, module_command
from parley.cli.problem import Problem
from parley.cli.settings import Settings
from parley.cli.supervisor import Supervisor


def up(
    scale: Sequence[str],
    command: Command = module_command,
    check: Callable[[Settings], None] = check_environment,
    *,
    tls: bool = False,
    observe: bool = False,
) -> None:
    """
    Run an instance in the foreground, its services started by *command*.

    With *tls* its front door is https, with *observe* it is watched (see ``observe``).
    """
    began = time.monotonic()
    settings = Settings.from_env(os.environ)
    replicas = replicas_of(scale)
    check(settings)
    instance = Instance(settings.data)
    instance.make()
    with instance.locked():
        instance.put_long_logs_aside()
        planner = Planner(settings, instance, command, tls=tls, observe=observe)
        asyncio.run(_run(settings, instance, planner, replicas, began))


async def _run(
    settings: Settings, instance: Instance, planner: Planner, replicas: Mapping[str, int], began: float
) -> None:
    console = Console()
    if (state := instance.read()) and (ended := end_leftovers(state.processes)):
        console.print(f"Ended what an earlier run had left: {', '.join(left.name for left in ended)}.", markup=False)
    plan = await planner.plan(replicas)
    stop = asyncio.Event()
    with display(console, settings.mode, began) as show:
        supervisor = Supervisor(plan, instance, show)

        def tell() -> None:
            if stop.is_set():
                supervisor.kill()
            stop.set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, tell)
        await supervisor.run(stop)
    console.print("Parley has stopped; its data stays in", str(instance.folder), soft_wrap=True, highlight=False)


def replicas_of(scale: Sequence[str]) -> dict[str, int]:
    """Return how many of each service to run, from words like ``gateway=2``."""
    replicas = dict.fromkeys(SERVICES, 1)
    for word in scale:
        name, _, number = word.partition("=")
        if name not in replicas or not number.isdecimal() or not int(number):
            raise Problem(f"--scale takes {', '.join(SERVICES)} and a number, such as gateway=2, not {word!r}.")
        replicas[name] = int(number)
    return replicas
