"""
``make bench``: measure, print one table, keep the figures as JSON.

    make bench                                    all, about ten minutes
    make bench ARGS=--quick                       nearly all, under two minutes, to see that it works
    make bench ARGS="--only faults"               what faults cost
    make bench ARGS="--only fan-out --systems parley,bare"
    make bench ARGS=--page                        and write docs/reference/benchmarks.md
"""

import argparse
import resource
import sys
import time

import uvloop

from benchmarks.agenda import agenda, faults
from benchmarks.report import show, write_page
from benchmarks.run import STARTERS, run
from benchmarks.wires import Wrong

WITHIN = 1200.0  # it takes about eight minutes, and its faults longer on a busy machine
WITHIN_QUICK = 300.0  # meant to take less than two minutes
FILES = 8000
"""Two for every idle connection, in two processes, and some."""


def main() -> int:
    options = _options()
    only = options.only
    items = [item for item in agenda(quick=options.quick) if not only or item.name in only]
    hurts = [
        fault for fault in faults(quick=options.quick) if not only or {fault.section.lower(), fault.name} & set(only)
    ]
    systems = options.systems.split(",")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # our children inherit it
    if hard != resource.RLIM_INFINITY and hard < FILES:
        sys.stderr.write(f"The measures open {FILES:,} files, and this shell allows {hard:,}: see `ulimit -Hn`.\n")
        return 2
    began = time.monotonic()

    def tell(what: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.1f} s  {what}\n")

    try:
        within = WITHIN_QUICK if options.quick else WITHIN
        result = uvloop.run(run(items, hurts, systems, quick=options.quick, within=within, tell=tell))
    except Wrong as wrong:
        sys.stderr.write(f"\nThe run failed. {wrong}\n")
        return 1
    show(result, items, hurts)
    sys.stdout.write(f"Kept as {result.keep()}\n")
    if options.page:
        sys.stdout.write(f"Written to {write_page(result, items, hurts)}\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure Parley beside Socket.IO.")
    names = [*(item.name for item in agenda(quick=False)), *(fault.name for fault in faults(quick=False)), "faults"]
    parser.add_argument("--quick", action="store_true", help="short rounds: to see that it works")
    parser.add_argument("--only", nargs="+", choices=names, metavar="WORK", help=f"of {', '.join(names)}")
    parser.add_argument("--systems", default=",".join(STARTERS), help="which, with commas between them")
    parser.add_argument("--page", action="store_true", help="write docs/reference/benchmarks.md")
    options = parser.parse_args()
    if options.page and (options.only or options.quick):
        parser.error("--page writes the whole page: leave out --only and --quick")
    return options


if __name__ == "__main__":
    sys.exit(main())
