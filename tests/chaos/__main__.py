"""
``make chaos``: let a cluster suffer under load, and hold what clients saw against what was promised.

    make chaos                                   thirty faults, from a seed of its own
    make chaos ARGS="--seed 7 --faults 40"       the same again
    make chaos ARGS="--break fence"              with a rule broken (breaks.py), and faults that make it be noticed
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from pathlib import Path

from chaos.cluster import Cluster, broken
from chaos.faults import PROVOKING, schedule
from chaos.judge import Verdict
from chaos.run import Size, chaos
from support.instance import REAL

SHOWN = 30


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make chaos", description="Hurt a cluster under load, and check its promises."
    )
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--faults", type=int, default=30)
    parser.add_argument("--rate", type=float, default=200.0, help="things said each second, by all clients")
    parser.add_argument("--break", dest="broken", choices=PROVOKING, help="a rule to be broken")
    parser.add_argument("--keep", type=Path, help="leave what happened in this folder")
    options = parser.parse_args()
    began = time.monotonic()

    def tell(words: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.1f} s  {words}\n")

    tell(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)

        async def run() -> Verdict:
            up = broken(options.broken) if options.broken else REAL
            faults = PROVOKING[options.broken] if options.broken else schedule(options.seed, options.faults)
            async with Cluster(folder, up) as cluster:
                tell("the cluster is up")
                return await chaos(cluster, folder, options.seed, faults, Size(rate=options.rate), tell)

        verdict = asyncio.run(run())
    for violation in verdict.violations[:SHOWN]:
        sys.stdout.write(f"{violation}\n")
    if verdict.broken:
        what = f"--break {options.broken}" if options.broken else f"--faults {options.faults}"
        again = f'make chaos ARGS="--seed {options.seed} {what}"'
        sys.stdout.write(f"{verdict.broken} promises were broken. The same again: {again}\n")
        return 1
    sys.stdout.write("Nothing was lost, doubled or out of order.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
