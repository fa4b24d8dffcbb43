"""``parley up`` with stand-ins for the services; all else is real. Arguments: name=n for --scale, --tls, --observe."""

import sys
from collections.abc import Sequence
from pathlib import Path

from parley.cli.__main__ import telling
from parley.cli.up import up


def stand_in(name: str) -> Sequence[str]:
    return (sys.executable, "-P", str(Path(__file__).with_name("stand_in.py")), name)


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    tls, observe = "--tls" in sys.argv, "--observe" in sys.argv
    telling(lambda: up(words, command=stand_in, check=lambda _settings: None, tls=tls, observe=observe))
