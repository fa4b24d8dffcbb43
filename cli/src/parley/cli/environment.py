"""The services' settings, checked before anything is started: a misspelt variable is said at once, and once."""

import importlib

from parley.cli.plan import SERVICES
from parley.cli.problem import Problem
from parley.cli.settings import Settings
from parley.kit.settings import SettingsError

PLACEHOLDER = {
    "NATS_URL": "nats://127.0.0.1",
    "DATABASE_URL": "postgresql://127.0.0.1/parley",
    "PARLEY_TOKEN_SECRET": 64 * "0",
}
"""What ``up`` chooses itself, if it is not set."""


def check_environment(settings: Settings) -> None:
    """Raise a Problem that names every variable no service would accept."""
    environ = PLACEHOLDER | {name: value for name, value in settings.handed_on.items() if value}
    environ["PARLEY_MODE"] = settings.mode
    problems: dict[str, None] = {}
    for name in SERVICES:
        module = importlib.import_module(f"parley.{name}.settings")
        try:
            module.Settings.from_env(environ)
        except SettingsError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise Problem("\n".join(problems))
