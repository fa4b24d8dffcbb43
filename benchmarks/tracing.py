"""What tracing costs: the same work with it off, with one trace in a hundred recorded, and with all, in turns."""

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from statistics import median

import msgspec

from benchmarks import systems, works

NONE: dict[str, str] = {}
SOME = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
ALL = {"OTEL_TRACES_SAMPLER": "parentbased_always_on"}
WAYS = {"off": NONE, "sampled": SOME, "full": ALL}


async def cost(pairs: int, rounds: int, seconds: float) -> works.Figures:
    """Return the rate of direct messages for each way, and what our own code takes for one."""
    figures: works.Figures = {}
    async with AsyncExitStack() as stack:
        endpoint = f"http://{await stack.enter_async_context(systems.swallow())}"
        settings = {way: given | ({} if way == "off" else _to(endpoint)) for way, given in WAYS.items()}
        for way, took in (await _loops(settings, rounds)).items():
            figures[f"loop_{way}"] = sum(took.values())
            figures |= {f"loop_{way}_{part}": microseconds for part, microseconds in took.items()}
        go = {}
        for way, given in settings.items():
            system = await stack.enter_async_context(systems.parley(**given))
            go[way] = await stack.enter_async_context(works.ping_pong(system, pairs))
        rates: dict[str, list[float]] = {way: [] for way in go}
        for _ in range(rounds):
            for way, round_ in go.items():
                rates[way].append((await round_(seconds))["rate"])
    return figures | {f"rate_{way}": median(found) for way, found in rates.items()}


def _to(endpoint: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}


async def _loops(settings: dict[str, dict[str, str]], rounds: int) -> dict[str, dict[str, float]]:
    """Return the least that each part took."""
    found: dict[str, dict[str, float]] = {way: {} for way in settings}
    for _ in range(rounds):
        for way, given in settings.items():
            environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")} | given
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "benchmarks.loops", env=environ, stdout=asyncio.subprocess.PIPE
            )
            said, _ = await process.communicate()
            for part, microseconds in msgspec.json.decode(said, type=dict[str, float]).items():
                found[way][part] = min(microseconds, found[way].get(part, microseconds))
    return found
