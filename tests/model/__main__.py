"""
``python -m model``: let schedules happen, and print what was wrong in each.

    PYTHONPATH=tests .venv/bin/python -m model --seed 171               one, as often as one likes
    PYTHONPATH=tests .venv/bin/python -m model --seed 0 --count 1500    many
    PYTHONPATH=tests .venv/bin/python -m model --without FENCE          what a rule is for
"""

import argparse
import secrets
import sys
from collections import Counter

from model.installation import schedules
from model.rule import Rule


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m model", description="Random schedules over the rules of recovery.")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--without", choices=Rule.__members__, action="append", default=[], help="leave a rule out")
    options = parser.parse_args()
    wrong, faults = 0, Counter[str]()
    for seed, world in schedules(
        range(options.seed, options.seed + options.count), [Rule[name] for name in options.without]
    ):
        faults += world.faults
        if world.violations:
            wrong += 1
            sys.stdout.write(f"seed {seed}\n" + "".join(f"  {words}\n" for words in world.violations))
    suffered = ", ".join(f"{kind} {count}" for kind, count in faults.most_common())
    sys.stdout.write(f"{wrong} of {options.count} from seed {options.seed} break a promise; faults: {suffered}\n")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
