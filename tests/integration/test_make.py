"""What ``make`` says on a machine where something is missing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(target: str, path: Path) -> "subprocess.CompletedProcess[str]":
    """Run one target with nothing on the PATH but what is in *path* and the shell's own tools."""
    tools = path / "tools"
    tools.mkdir()
    for name in ("sh", "make", "find", "awk", "uname"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    environ = {"PATH": f"{path}:{tools}", "HOME": str(path)}
    return subprocess.run(
        [shutil.which("make") or "make", "--no-print-directory", target],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def program(path: Path, name: str, script: str) -> None:
    file = path / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_an_old_python_is_said_in_a_sentence(tmp_path: Path) -> None:
    program(tmp_path, "python3", 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac')

    done = make("need-python", tmp_path)

    assert done.returncode != 0
    assert done.stderr.startswith(
        "Parley needs Python 3.11 or newer, and this is Python 3.9.2: "
        "install one, or name it with make PYTHON=/path/to/python.\n"
    )


def test_a_newer_python_beside_an_old_one_is_found(tmp_path: Path) -> None:
    program(tmp_path, "python3", "exit 1")
    program(tmp_path, "python3.12", "exit 0")

    assert make("need-python", tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ('case "$1" in --version) echo v18.4.0;; *) exit 1;; esac', "v18.4.0"),
        (None, "none"),
    ],
)
def test_an_old_or_missing_node_is_said_in_a_sentence(tmp_path: Path, script: str | None, what: str) -> None:
    if script:
        program(tmp_path, "node", script)

    done = make("need-node", tmp_path)

    assert done.returncode != 0
    assert done.stderr.startswith(
        f"Parley needs Node 20 or newer, and this is {what}: install it from https://nodejs.org"
    )
    assert "Traceback" not in done.stderr


def test_help_lists_every_target_for_people() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True
    )

    listed = [line.split()[1] for line in done.stdout.splitlines()]
    assert {"help", "run", "test", "check", "bench", "schema", "e2e", "clean"} <= set(listed)


@pytest.mark.parametrize(("broken", "code"), [("nothing", 0), ("check", 1), ("test", 1)])
def test_ci_ends_with_the_summary_of_the_tests_whatever_fails(tmp_path: Path, broken: str, code: int) -> None:
    program(
        tmp_path,
        "make",
        f'[ "$1" = test ] && echo "==== 3 passed in 0.12s ====" && echo "make: noise"\n[ "$1" != {broken} ]',
    )

    done = subprocess.run(
        [ROOT / ".ci" / "run"],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == code
    assert done.stdout.splitlines()[-1] == "==== 3 passed in 0.12s ===="
