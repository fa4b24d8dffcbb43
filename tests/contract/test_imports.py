"""Who may import whom: services meet on subjects, not in Python."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {
    "protocol": ROOT / "libs/protocol/src",
    "kit": ROOT / "libs/kit/src",
    "gateway": ROOT / "services/gateway/src",
    "presence": ROOT / "services/presence/src",
    "rooms": ROOT / "services/rooms/src",
    "history": ROOT / "services/history/src",
    "client": ROOT / "clients/python/src",
    "cli": ROOT / "cli/src",
}
SERVICES = {"gateway", "presence", "rooms", "history"}
ALLOWED: dict[str, set[str]] = {
    "protocol": set(),
    "kit": {"protocol"},
    **{service: {"protocol", "kit"} for service in SERVICES},
    "client": {"protocol"},
    "cli": {"protocol", "kit", "client", *SERVICES},
}
PURE = {"asyncio", "socket", "ssl", "selectors", "threading", "subprocess", "nats", "asyncpg", "sqlalchemy", "fastapi"}
HEAVY = {"fastapi", "starlette", "pydantic", "sqlalchemy", "alembic", "asyncpg", "uvicorn.protocols.websockets"}


def imports(file: Path) -> Iterator[str]:
    """Yield every module that *file* imports, wherever in it, by its full name."""
    for node in ast.walk(ast.parse(file.read_bytes(), filename=str(file))):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=0) if module:
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.ImportFrom(level=level) if level:
                yield "relative imports are not used here"


@pytest.mark.parametrize("package", SOURCES)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    allowed = ALLOWED[package] | {package}
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in SOURCES[package].rglob("*.py")
        for module in imports(file)
        if module.startswith("relative") or (module.startswith("parley") and module.split(".")[1] not in allowed)
    ]

    assert wrong == []


def test_the_protocol_does_no_io() -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in SOURCES["protocol"].rglob("*.py")
        for module in imports(file)
        if module.split(".")[0] in PURE
    ]

    assert wrong == []


@pytest.mark.parametrize("package", SOURCES)
def test_parley_is_a_namespace_without_a_file_of_its_own(package: str) -> None:
    assert (SOURCES[package] / "parley" / package / "__init__.py").exists()
    assert not (SOURCES[package] / "parley" / "__init__.py").exists()
    assert [folder.name for folder in (SOURCES[package] / "parley").iterdir() if folder.name != "__pycache__"] == [
        package
    ]


def test_the_gateway_starts_without_a_web_framework_and_a_database() -> None:
    """What it does not import it does not wait for: the gateway is what clients reconnect to."""
    look = "import sys, parley.gateway.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)

    assert HEAVY & set(done.stdout.split()) == set()
