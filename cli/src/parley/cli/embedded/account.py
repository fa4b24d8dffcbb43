"""
Which account runs PostgreSQL when we are root.

PostgreSQL refuses root, so it runs as somebody without rights. That account must be able to enter the folders it
needs, and opening root's own folders to everyone would be a poor price for a database.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

NOBODY = 65534


@dataclass(frozen=True)
class Account:
    """A user and a group, by number."""

    uid: int
    gid: int

    def may_enter(self, folder: Path) -> bool:
        """Return whether it can reach *folder* through all of its parents."""
        resolved = folder.resolve()
        return all(self._may_pass(step.stat()) for step in (resolved, *resolved.parents))

    def _may_pass(self, step: os.stat_result) -> bool:
        if step.st_uid == self.uid:
            return bool(step.st_mode & stat.S_IXUSR)
        if step.st_gid == self.gid:
            return bool(step.st_mode & stat.S_IXGRP)
        return bool(step.st_mode & stat.S_IXOTH)


def unprivileged_account(data: Path) -> Account | None:
    """
    Return the account to run a server on *data* as, or None to run it as ourselves.

    Data that already belongs to somebody keeps its owner: who once ran as root may come back as root.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return Account(NOBODY, NOBODY)
    return Account(nobody.pw_uid, nobody.pw_gid)
