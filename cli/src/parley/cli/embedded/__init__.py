"""
The real servers that come with Parley's packages, run as our own children.

``Nats`` and ``Postgres`` say how their server is prepared, started and known to be ready; ``Server`` runs one of
them. Nothing here needs root, a container or a download, and nothing outlives the process that started it.
"""

from parley.cli.embedded.nats import Nats
from parley.cli.embedded.postgres import Postgres
from parley.cli.embedded.process import Process, Program
from parley.cli.embedded.server import Server

__all__ = ["Nats", "Postgres", "Process", "Program", "Server"]
