"""What a process said last is told as a sentence."""

from pathlib import Path

import pytest

from parley.cli.last_words import last_words


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", ""),
        ("one\ntwo\n\n", "two"),
        ("parley rooms cannot start:\n  ROOMS_X is not a setting.\n", "ROOMS_X is not a setting."),
        ("FATAL:  no disk\nLOG:  shut down\n", "FATAL:  no disk"),
        ('{"event": "Port 1 is taken.", "level": "error"}\n{"event": "bye", "level": "info"}\n', "Port 1 is taken."),
        ('{"event": "crashed", "level": "critical", "exception": "Traceback\\n  x\\nKeyError: 1\\n"}\n', "KeyError: 1"),
        ('{"level": "error", "msg": "bad Caddyfile"}\n', "bad Caddyfile"),
    ],
)
def test_last_words(tmp_path: Path, log: str, words: str) -> None:
    (tmp_path / "log").write_text(log)

    assert last_words(tmp_path / "log", 0) == words


def test_an_earlier_run_in_the_same_log_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("FATAL: yesterday\n")
    since = (tmp_path / "log").stat().st_size
    with (tmp_path / "log").open("a") as log:
        log.write("today\n")

    assert last_words(tmp_path / "log", since) == "today"


def test_a_missing_log_says_nothing(tmp_path: Path) -> None:
    assert last_words(tmp_path / "log", 0) == ""
