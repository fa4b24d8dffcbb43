"""Processes of an earlier run are ended, and nobody else's are."""

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from parley.cli.instance import Running
from parley.cli.leftovers import end_leftovers, identify


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def test_what_an_earlier_run_left_is_ended(sleeper: "subprocess.Popen[bytes]") -> None:
    record = identify("rooms", sleeper.pid)
    assert record

    assert end_leftovers([record]) == [record]

    assert not psutil.pid_exists(sleeper.pid)


def test_a_later_process_with_the_same_number_is_left_alone(sleeper: "subprocess.Popen[bytes]") -> None:
    record = identify("rooms", sleeper.pid)
    assert record

    assert end_leftovers([Running("rooms", sleeper.pid, record.started - 60)]) == []

    assert sleeper.poll() is None


def test_what_has_ended_needs_no_ending(sleeper: "subprocess.Popen[bytes]") -> None:
    record = identify("rooms", sleeper.pid)
    assert record
    sleeper.kill()
    sleeper.wait()

    assert end_leftovers([record]) == []
    assert identify("rooms", sleeper.pid) is None
