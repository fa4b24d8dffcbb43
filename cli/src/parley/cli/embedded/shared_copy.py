"""
PostgreSQL's programs where its account can reach them.

Root's checkout is often below a folder that only root may enter. Then the programs (40 MB, nothing secret) are
copied once to where system-wide state belongs, instead of opening the folder.
"""

import os
import shutil
import tempfile
from pathlib import Path

from parley.cli.embedded.account import Account
from parley.cli.problem import Problem

SHARED = Path("/var/lib/parley")


def reachable_install(install: Path, version: str, account: Account) -> Path:
    """Return *install*, or a copy of it that *account* may enter; one copy serves every instance of that version."""
    if account.may_enter(install / "bin"):
        return install
    target = SHARED / f"postgres-{version}"
    if not target.exists():
        _copy(install, target)
    copied = target / install.parent.name / install.name
    if not account.may_enter(copied / "bin"):
        raise Problem(
            f"PostgreSQL refuses root, and its account may enter neither {install} nor {copied}: "
            "run Parley as a user, or set DATABASE_URL to a PostgreSQL of yours."
        )
    return copied


def _copy(install: Path, target: Path) -> None:
    """Copy the package and the libraries it finds beside itself, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    package = install.parent
    draft = Path(tempfile.mkdtemp(dir=target.parent))
    draft.chmod(0o755)
    for part in (package, package.with_name(package.name + ".libs")):
        if part.exists():
            shutil.copytree(part, draft / part.name, symlinks=True)
    for folder, _, files in os.walk(draft):
        Path(folder).chmod(0o755)
        for file in files:
            path = Path(folder, file)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    try:
        draft.rename(target)
    except OSError:  # somebody else was faster, which is as good
        shutil.rmtree(draft)
