"""Where an instance lives and what it uses: the variables that the command itself reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from parley.cli.problem import Problem

DEFAULT_PORT = 8080
DEFAULT_DATA = ".parley"
DEFAULT_APPS = "parley.yaml"
HIGHEST_PORT = 65535
OWN_PORTS = ("PARLEY_NATS_PORT", "PARLEY_POSTGRES_PORT")


@dataclass(frozen=True)
class Settings:
    """What ``parley up``, ``down`` and ``status`` take from the environment."""

    data: Path
    """PARLEY_DATA: the folder that holds all of the instance's data; `.parley` here by default."""
    port: int
    """PARLEY_PORT: the front door's port, 8080 by default; 0 takes a free one."""
    nats_url: str
    """NATS_URL: a NATS to use instead of the embedded one."""
    database_url: str
    """DATABASE_URL: a PostgreSQL to use instead of the embedded one."""
    nats_port: int
    """PARLEY_NATS_PORT: the embedded NATS's port; by default 4222 if PARLEY_PORT is 8080, else any free one."""
    postgres_port: int
    """PARLEY_POSTGRES_PORT: the embedded PostgreSQL's port; 0, the default, takes a free one."""
    mode: str
    """PARLEY_MODE: `development`, the default here, lets clients without a token in, on loopback only."""
    apps: str
    """PARLEY_APPS: the file that declares the apps; `parley.yaml` here, if there is one."""
    handed_on: Mapping[str, str]
    """The environment of the parts: all but the variables that only we read."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read the environment; relative folders start at the current one."""
        apps = environ.get("PARLEY_APPS") or (DEFAULT_APPS if Path(DEFAULT_APPS).exists() else "")
        apps = str(Path(apps).absolute()) if apps else ""
        return cls(
            data=Path(environ.get("PARLEY_DATA") or DEFAULT_DATA).absolute(),
            port=_port(environ, "PARLEY_PORT", DEFAULT_PORT),
            nats_url=environ.get("NATS_URL", ""),
            database_url=environ.get("DATABASE_URL", ""),
            nats_port=_port(environ, "PARLEY_NATS_PORT", 0),
            postgres_port=_port(environ, "PARLEY_POSTGRES_PORT", 0),
            mode=environ.get("PARLEY_MODE") or "development",
            apps=apps,
            handed_on={name: value for name, value in environ.items() if name not in OWN_PORTS}
            | ({"PARLEY_APPS": apps} if apps else {}),
        )


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    given = environ.get(name) or str(default)
    if not given.isdecimal() or int(given) > HIGHEST_PORT:
        raise Problem(f"{name} must be a port, a number from 0 (any free one) to {HIGHEST_PORT}, not {given!r}.")
    return int(given)
