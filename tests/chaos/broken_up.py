"""``parley up`` with a rule broken in all services. Arguments: which one (`breaks.py`), then as for ``parley up``."""

import sys
from collections.abc import Sequence
from pathlib import Path

from parley.cli.__main__ import telling
from parley.cli.plan import MIGRATIONS, module_command
from parley.cli.up import up


def broken(name: str) -> Sequence[str]:
    if name == MIGRATIONS:
        return module_command(name)
    return (sys.executable, "-P", str(Path(__file__).with_name("breaks.py")), sys.argv[1], name)


if __name__ == "__main__":
    telling(lambda: up([word for word in sys.argv[2:] if word != "--scale"], command=broken))
