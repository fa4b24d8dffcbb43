"""A run: every work of the agenda, with all systems taking turns."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from benchmarks import systems
from benchmarks.agenda import Fault, Item
from benchmarks.machine import load, machine
from benchmarks.results import Figure, Result
from benchmarks.systems import System
from benchmarks.wires import Wrong

STARTERS = {"parley": systems.parley, "socket_io": systems.socket_io, "bare": systems.bare}


GENERATOR = "generator"


async def run(
    items: Sequence[Item],
    faults: Sequence[Fault],
    names: Sequence[str],
    *,
    quick: bool,
    within: float,
    tell: Callable[[str], None],
) -> Result:
    """Return what was found; raise Wrong if a message was lost, or the time is over."""
    began, start = datetime.now(UTC), time.monotonic()
    figures: list[Figure] = []
    titles = {"parley": "Parley"} if faults else {}
    try:
        async with asyncio.timeout(within):
            if items:
                titles |= await _side_by_side(items, names, figures, tell)
            for fault in faults:
                tell(fault.name)
                figures.append(await _hurt(fault))
    except TimeoutError as error:
        raise Wrong(f"The run was not over after {within:g} seconds.") from error
    return Result(
        began=began.isoformat(timespec="seconds").replace("+00:00", "Z"),
        seconds=round(time.monotonic() - start, 1),
        quick=quick,
        machine=machine(),
        systems=titles,
        figures=figures,
    )


async def _side_by_side(
    items: Sequence[Item], names: Sequence[str], figures: list[Figure], tell: Callable[[str], None]
) -> dict[str, str]:
    """Measure all systems; return their titles."""
    async with AsyncExitStack() as stack:
        tell("starting " + ", ".join(names))
        measured = {name: await stack.enter_async_context(STARTERS[name]()) for name in names}
        for item in items:
            tell(item.name)
            figures += await _measure(item, {n: s for n, s in measured.items() if n in item.systems})
    return {name: system.name for name, system in measured.items()}


async def _hurt(fault: Fault) -> Figure:
    """Measure a fault."""
    before = load()
    try:
        figures = await fault.work()
    except Wrong as error:
        raise Wrong(f"{fault.name}: {error}") from error
    return Figure(fault.name, "parley", [figures], {}, [before])


async def _measure(item: Item, measured: Mapping[str, System]) -> list[Figure]:
    found: dict[str, list[dict[str, float]]] = {name: [] for name in measured}
    loads: dict[str, list[float]] = {name: [] for name in measured}
    used = {name: dict.fromkeys((*system.processes, GENERATOR), 0.0) for name, system in measured.items()}
    async with AsyncExitStack() as stack:
        rounds = {}
        for name, system in measured.items():
            try:
                rounds[name] = await stack.enter_async_context(item.work(system))
            except Wrong as error:
                raise Wrong(f"{item.name}, {system.name}: {error}") from error
        for _ in range(item.rounds):
            for name, system in measured.items():
                loads[name].append(load())
                before = system.processor_seconds() | _own()
                try:
                    found[name].append(await rounds[name](item.seconds))
                except Wrong as error:
                    raise Wrong(f"{item.name}, {system.name}: {error}") from error
                for process, seconds in (system.processor_seconds() | _own()).items():
                    used[name][process] += seconds - before[process]
    for system in measured.values():
        await system.rest()
    return [
        Figure(
            item.name,
            name,
            found[name],
            {process: round(seconds * 1e6 / messages, 1) for process, seconds in used[name].items()},
            loads[name],
        )
        for name in measured
        if (messages := sum(each["messages"] for each in found[name]))
    ]


def _own() -> dict[str, float]:
    """Return what the load generator has used."""
    return {GENERATOR: time.process_time()}
