"""``parley up`` with stand-ins for the services; everything else is the real thing. Arguments: name=n for --scale."""

import sys
from collections.abc import Sequence
from pathlib import Path

from parley.cli.__main__ import telling
from parley.cli.up import up


def stand_in(name: str) -> Sequence[str]:
    return (sys.executable, "-P", str(Path(__file__).with_name("stand_in.py")), name)


if __name__ == "__main__":
    telling(lambda: up(sys.argv[1:], command=stand_in, check=lambda _settings: None))
