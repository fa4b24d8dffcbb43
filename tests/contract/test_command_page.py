"""docs/reference/command.md names what there is: the commands, their variables, the form of the status."""

import re
from pathlib import Path

import msgspec
import typer

from parley.cli.__main__ import app
from parley.cli.control import PartReport
from parley.cli.settings import Settings
from parley.cli.status import Status

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "command.md").read_text()


def commands() -> list[str]:
    group = typer.main.get_command(app)
    return sorted(getattr(group, "commands", {}))


def test_every_command_has_a_line_and_every_line_a_command() -> None:
    assert sorted(set(re.findall(r"^\| `parley (\w+)", PAGE, re.MULTILINE))) == commands()


def test_every_variable_that_the_command_reads_has_a_line() -> None:
    asked: set[str] = set()

    class Environment(dict[str, str]):
        def get(self, name: str, default: str = "") -> str:  # type: ignore[override] # as it is called
            asked.add(name)
            return default

    Settings.from_env(Environment())

    assert asked >= {"PARLEY_PORT", "PARLEY_DATA"}
    assert [name for name in asked if f"| `{name}` |" not in PAGE] == []


def test_the_example_of_the_status_is_one() -> None:
    found = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert found
    example = msgspec.json.decode(found[1], type=Status, strict=True)

    assert example.front_door == "http://127.0.0.1:8080"
    assert set(msgspec.json.decode(found[1])) == set(Status.__struct_encode_fields__)
    assert set(msgspec.json.decode(found[1])["parts"][0]) == set(PartReport.__struct_encode_fields__)
