"""
``parley up`` in which a lost gateway's clients have only so many seconds to come back as IMPATIENT_SECONDS says.

It is half a minute, a constant: nobody needs another but tests, which would wait for it. Arguments: as for
``parley up``, or the name of a service, which is then run.
"""

import os
import sys
from collections.abc import Sequence
from runpy import run_module

from parley.cli.plan import MIGRATIONS, SERVICES, module_command


def impatient(name: str) -> Sequence[str]:
    return module_command(name) if name == MIGRATIONS else (sys.executable, "-P", __file__, name)


if __name__ == "__main__":
    if sys.argv[1] in SERVICES:
        from parley.protocol import registry

        registry.GRACE_MS = int(os.environ["IMPATIENT_SECONDS"]) * 1000  # type: ignore[misc] # before anybody else reads it
        run_module(f"parley.{sys.argv.pop()}", run_name="__main__")
    else:
        from parley.cli.__main__ import telling
        from parley.cli.up import up

        telling(lambda: up([word for word in sys.argv[1:] if word != "--scale"], command=impatient))
