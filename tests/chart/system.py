"""The whole rendered system on this machine: two gateways behind the front door, one of everything else."""

import time
from dataclasses import dataclass
from urllib.parse import SplitResult

from chart.local import Local, answers
from chart.prepared import STORING, prepare

from parley.cli.embedded import Process
from parley.cli.embedded.ports import LOOPBACK, free_port
from parley.kit.tokens import mint


@dataclass
class System:
    """What runs: two gateways, one of everything else."""

    local: Local
    gateways: dict[str, Process]
    """By the address of their HTTP."""
    others: dict[str, Process]
    sockets: list[str]
    """Addresses at which the gateways take sockets."""
    servers: list[Process]
    """Of NATS."""

    @property
    def url(self) -> str:
        """The front door."""
        return f"http://{self.local.addresses['parley-web:8080']}"

    def token(self, *grants: str) -> str:
        """Mint a token with the secret that the chart has made."""
        secret = self.local.rendered.secret("parley-auth", "token-secret")
        rooms = {"*": ["join", "send", "history"]}
        return mint(secret, expires_at=time.time() + 600, subject="ana", rooms=rooms, grants=["direct", *grants])


async def started(local: Local, superuser: SplitResult) -> System:
    """Start everything in the order in which a cluster would."""
    servers = await prepare(local, superuser)
    others = {name: local.start(local.container(name, name)) for name in STORING}
    ports = [[str(free_port(LOOPBACK)) for _ in range(2)] for _ in range(2)]
    gateways = {f"{LOOPBACK}:{http}": gateway(local, sockets, http) for sockets, http in ports}
    web = local.start(
        local.container("web", "web"),
        {
            "http://:8080": f"http://:{local.port('parley-web:8080')}",
            ":8081": f":{free_port(LOOPBACK)}",
            # As a Service does it, which knows nothing of who was where.
            "lb_policy least_conn": "lb_policy round_robin",
        },
        {
            "SOCKETS": " ".join(f"{LOOPBACK}:{sockets}" for sockets, _ in ports),
            "MANAGEMENT": " ".join(gateways),
        },
    )
    for name, process in others.items():
        await answers(f"http://{local.addresses[f'parley-{name}:8081']}/readyz", process)
    for address, process in gateways.items():
        await answers(f"http://{address}/readyz", process)
    system = System(local, gateways, others, [f"{LOOPBACK}:{sockets}" for sockets, _ in ports], servers)
    await answers(f"{system.url}/", web)
    return system


def gateway(local: Local, sockets: str, http: str) -> Process:
    """Start a gateway at these ports."""
    environ = {"GATEWAY_PORT": sockets, "GATEWAY_HTTP_PORT": http}
    return local.start(local.container("gateway", "gateway"), environ=environ)
