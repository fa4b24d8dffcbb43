"""A variable that no service would accept is said before anything starts."""

from pathlib import Path

import pytest

from parley.cli.environment import check_environment
from parley.cli.problem import Problem
from parley.cli.settings import Settings


def checked(tmp_path: Path, **environ: str) -> None:
    check_environment(Settings.from_env({"PARLEY_DATA": str(tmp_path)} | environ))


def test_nothing_set_is_good(tmp_path: Path) -> None:
    checked(tmp_path)


def test_what_only_the_command_reads_is_good(tmp_path: Path) -> None:
    checked(tmp_path, PARLEY_PORT="1", PARLEY_NATS_PORT="2", PARLEY_POSTGRES_PORT="3", GATEWAY_PORT="4")


@pytest.mark.parametrize(
    ("name", "meant"), [("PARLEY_PROT", "PARLEY_PORT"), ("GATEWAY_PROT", "GATEWAY_PORT"), ("ROOMS_HOTS", "ROOMS_HOST")]
)
def test_a_misspelt_variable_is_said_once(tmp_path: Path, name: str, meant: str) -> None:
    with pytest.raises(Problem) as raised:
        checked(tmp_path, **{name: "1"})

    assert str(raised.value) == f"{name} is not a setting: did you mean {meant}?"


def test_a_wrong_value_is_said(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="PARLEY_PARTITIONS must be a whole number"):
        checked(tmp_path, PARLEY_PARTITIONS="many")
