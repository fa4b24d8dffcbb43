"""``parley down``: stop the instance that runs on a data folder."""

import os
import signal
import time

from parley.cli.instance import Instance
from parley.cli.leftovers import end_leftovers
from parley.cli.problem import Problem
from parley.cli.settings import Settings

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.05


def down() -> str:
    """Stop it, wait until it has, and return what to say."""
    instance = Instance(Settings.from_env(os.environ).data)
    state = instance.read()
    if not instance.runs:
        left = end_leftovers(state.processes) if state else []
        instance.forget()
        names = ", ".join(record.name for record in left)
        return f"Nothing ran on {instance.folder}." if not left else f"Ended what an earlier run had left: {names}."
    if state is None:
        raise Problem(f"Parley is just starting on {instance.folder}: try again in a moment.")
    os.kill(state.pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while instance.runs:
        if time.monotonic() > deadline:
            raise Problem(f"Parley (process {state.pid}) has not stopped after {PATIENCE_SECONDS:g} s: end it by hand.")
        time.sleep(POLL_SECONDS)
    return f"Parley has stopped; its data stays in {instance.folder}."
