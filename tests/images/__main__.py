"""
The images, built without a registry and without an engine, and what is in them really run: ``make images-test``.

The base is a Debian that debootstrap makes; buildah builds on it. Then each service runs as its image says, as its
user, on the image's file system, which cannot be written to, against a real NATS and PostgreSQL; and two clients talk
through the front door that is in `web`. Needs root, debootstrap, buildah, the ports 8080 and 8081 and some minutes;
the base is kept for the next time.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec
from support.eventually import eventually

from parley.cli.embedded import Nats, Postgres, Process, Program, Server
from parley.cli.embedded.ports import LOOPBACK, free_port, port_is_free
from parley.client import connect

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".images"
SUITE = "trixie"
BASE, NODE = "localhost/parley-test/base", "localhost/parley-test/node"
PREFIX = "localhost/parley-test"
SERVICES = ("gateway", "presence", "rooms", "history")
CERTIFICATES = Path("/etc/ssl/certs")
"""Of this machine: builds trust whom it trusts, and keep nothing of it."""

FORBIDDEN = ("gcc", "cc", "make", "uv", "npm", "git")
"""What no image has: with it somebody who got in could build something."""


def run(*words: str, **environ: str) -> str:
    """Run a program to its end, and return what it said."""
    done = subprocess.run(words, env=os.environ | environ, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        sys.exit(f"`{' '.join(words)}` has ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def say(words: str) -> None:
    """Tell who waits how far this is."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def need() -> None:
    """End with a sentence unless this machine can do it."""
    missing = [tool for tool in ("debootstrap", "buildah", "unshare", "chroot") if not shutil.which(tool)]
    if missing or os.geteuid():
        sys.exit(
            "Images without an engine take root, debootstrap and buildah (Debian: apt-get install debootstrap buildah)."
            + (f" Missing here: {', '.join(missing)}." if missing else "")
        )
    if taken := [port for port in (8080, 8081) if not port_is_free(LOOPBACK, port)]:
        sys.exit(f"Port {taken[0]} is taken, and the front door of the image listens there: stop what uses it.")


def make_bases() -> None:
    """Make the two images on which everything is built, unless they are there."""
    have = run("buildah", "images", "--format", "{{.Name}}").split()
    KEPT.mkdir(exist_ok=True)
    root = KEPT / "debian"
    if not (root / "usr/bin/python3").exists():
        mirror = os.environ.get("DEBIAN_MIRROR") or _mirror()
        packages = "--include=python3,python3-venv,ca-certificates"
        run("debootstrap", "--variant=minbase", packages, SUITE, str(root), mirror)
    if BASE not in have:
        container = run("buildah", "from", "scratch").strip()
        run("buildah", "add", "--quiet", container, str(root), "/")
        run("buildah", "commit", "--quiet", "--rm", container, BASE)
    if NODE not in have:
        container = run("buildah", "from", BASE).strip()
        install = "apt-get update -qq && apt-get install -y -qq --no-install-recommends nodejs npm"
        run("buildah", "run", "--isolation", "chroot", container, "--", "sh", "-c", install)
        run("buildah", "commit", "--quiet", "--rm", container, NODE)


def _mirror() -> str:
    sites = run("apt-get", "indextargets", "--format", "$(SITE)").split()
    return sites[0] if sites else "http://deb.debian.org/debian"


def build() -> None:
    """Build all images, each with its check of itself."""
    bundle = CERTIFICATES / "ca-certificates.crt"
    run(
        str(ROOT / "deploy" / "images.sh"),
        *("--isolation", "chroot", "--layers"),
        *("--build-arg", f"BASE={BASE}", "--build-arg", f"NODE={NODE}"),
        *("--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"),
        *(f"--env={name}={bundle}" for name in ("SSL_CERT_FILE", "PIP_CERT", "NODE_EXTRA_CA_CERTS")),
        ENGINE="buildah",
        IMAGE_PREFIX=PREFIX,
    )


class Image:
    """A built image, its file system mounted for as long as we look at it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._container = run("buildah", "from", f"{PREFIX}/{name}").strip()
        self.files = Path(run("buildah", "mount", self._container).strip())
        config: dict[str, Any] = msgspec.json.decode(run("buildah", "inspect", "--type", "image", f"{PREFIX}/{name}"))
        self.config: dict[str, Any] = config["OCIv1"]["config"]

    def close(self) -> None:
        """Forget the container; the image stays."""
        run("buildah", "rm", self._container)

    def program(self, folder: Path, environ: Mapping[str, str], *words: str) -> Program:
        """Return what the image says to run, or *words* instead, as its user, on a file system that is read only."""
        own = dict(pair.split("=", 1) for pair in self.config["Env"])
        root = str(self.files)
        inside = (
            "mount --bind {0} {0} && mount -o remount,ro,bind {0} && mount -t tmpfs tmpfs {0}/tmp && exec chroot {1}"
        )
        argv = [*(words or self.config["Cmd"])]
        script = inside.format(root, f'--userspec={self.config["User"]} {root} "$@"')
        return Program(
            self.name,
            ("unshare", "--mount", "sh", "-ec", script, "sh", *argv),
            folder / f"{self.name}.log",
            env={**own, **environ},
        )

    def check(self) -> None:
        """See that nothing is in the image that should not be there."""
        user = self.config["User"].partition(":")[0]
        assert user.isdecimal() and int(user) > 0, f"{self.name} runs as {user!r}"  # noqa: PT018
        folders = ("usr/bin", "usr/local/bin", "app/bin", "bin")
        found = [name for name in FORBIDDEN for folder in folders if (self.files / folder / name).exists()]
        assert not found, f"{self.name} has {found} in it"


async def started(stack: AsyncExitStack, program: Program) -> Process:
    """Start a program, and end it with the stack."""
    process = Process(program)
    stack.push_async_callback(process.stop)
    return process


async def main() -> None:
    """Build and try everything."""
    need()
    say("making what images are built on")
    make_bases()
    say("building the images")
    build()
    folder = Path(tempfile.mkdtemp(prefix="parley-images-"))
    async with AsyncExitStack() as stack:
        images = {name: Image(name) for name in (*SERVICES, "web")}
        for image in images.values():
            stack.callback(image.close)
            image.check()
        nats, postgres = Server(Nats(folder / "nats")), Server(Postgres(folder / "postgres"))
        await stack.enter_async_context(nats)
        await stack.enter_async_context(postgres)
        shared = {"NATS_URL": nats.url, "DATABASE_URL": postgres.url, "PARLEY_MODE": "development"}
        for name in ("presence", "rooms", "history"):
            migrating = Process(images[name].program(folder, shared, "python", "-m", f"parley.{name}", "migrate"))
            assert await migrating.ended() == 0, (folder / f"{name}.log").read_text()
        await try_services(stack, images, folder, shared)
    shutil.rmtree(folder)
    say("all images run, as their users, on file systems that are read only")


async def try_services(
    stack: AsyncExitStack, images: Mapping[str, Image], folder: Path, shared: Mapping[str, str]
) -> None:
    """Start what is in the images, and let two clients talk through the front door."""
    at = {name: f"{LOOPBACK}:{free_port()}" for name in (*SERVICES, "sockets")}
    for name in SERVICES:
        own = {f"{name.upper()}_HTTP_PORT": at[name].rpartition(":")[2]}
        if name == "gateway":
            own["GATEWAY_PORT"] = at["sockets"].rpartition(":")[2]
        await started(stack, images[name].program(folder, {**shared, **own}))
    places = {"SOCKETS": at["sockets"], "MANAGEMENT": at["gateway"]}
    places |= {name.upper(): at[name] for name in ("presence", "rooms", "history")}
    await started(stack, images["web"].program(folder, places))
    front = f"http://{LOOPBACK}:8080"
    async with httpx.AsyncClient() as http:
        for name in SERVICES:

            async def ready(address: str = at[name]) -> str | None:
                try:
                    answer = await http.get(f"http://{address}/readyz")
                except httpx.HTTPError as error:
                    return repr(error)
                return None if answer.is_success else answer.text

            await eventually(ready, within=60)
        await talk(http, front)


async def talk(http: httpx.AsyncClient, front: str) -> None:
    """Let one say something that another hears, and read it back; look at both pages."""
    async with connect(front.replace("http", "ws", 1)) as ana, connect(front.replace("http", "ws", 1)) as ben:
        await ana.join("images")
        await ben.join("images")
        await ana.chat("images", "out of a box")
        async with asyncio.timeout(10):
            async for frame in ben:
                if frame.get("text") == "out of a box":
                    break

        async def kept() -> str | None:
            items = (await http.get(f"{front}/v1/rooms/images/messages")).json()["items"]
            return None if [item["text"] for item in items] == ["out of a box"] else f"history has {items}"

        await eventually(kept)
    for path in ("/", "/console", "/console/rooms"):
        page = await http.get(front + path)
        assert page.is_success and "<!doctype html>" in page.text.lower(), f"{path}: {page.status_code}"  # noqa: PT018


if __name__ == "__main__":
    asyncio.run(main())
