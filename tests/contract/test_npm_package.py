"""The npm package of the TypeScript client holds what its users need, and nothing else."""

import json
import re
import subprocess
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[2] / "clients" / "js"
MANIFEST = json.loads((CLIENT / "package.json").read_text())


@pytest.fixture(scope="module")
def packed() -> set[str]:
    """Give the files that would be published."""
    if not (CLIENT / "dist" / "index.js").exists():
        pytest.fail("The client is not built: run `npm run build` in clients/js, or `make test`.")
    said = subprocess.run(
        ("npm", "pack", "--dry-run", "--json", "--ignore-scripts"),
        cwd=CLIENT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {file["path"] for file in json.loads(said.stdout)[0]["files"]}


def test_what_the_package_promises_is_in_it(packed: set[str]) -> None:
    entry = MANIFEST["exports"]["."]

    assert {path.removeprefix("./") for path in entry.values()} <= packed
    modules = {path.stem for path in (CLIENT / "src").glob("*.ts")}
    assert {f"dist/{name}{end}" for name in modules for end in (".js", ".d.ts")} <= packed


def test_tests_examples_and_tools_stay_at_home(packed: set[str]) -> None:
    assert [
        path for path in sorted(packed) if not re.match(r"(dist|src)/|(README.md|LICENSE|package.json)$", path)
    ] == []


def test_it_needs_nothing_else() -> None:
    assert "dependencies" not in MANIFEST
    assert "peerDependencies" not in MANIFEST
