"""``parley up`` whose rooms service has a rule that breaks. Arguments: as for ``parley up``."""

import sys
from collections.abc import Sequence
from pathlib import Path

from parley.cli.__main__ import telling
from parley.cli.plan import module_command
from parley.cli.up import up


def poisoned(name: str) -> Sequence[str]:
    if name == "rooms":
        return (sys.executable, "-P", str(Path(__file__).with_name("poisoned_rooms.py")))
    return module_command(name)


if __name__ == "__main__":
    telling(lambda: up([word for word in sys.argv[1:] if word != "--scale"], command=poisoned))
