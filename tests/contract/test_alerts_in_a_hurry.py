"""The alerts that `make alerts-test` lets fire are ours: only how long they look back and wait is another."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from alerts import sooner
from alerts.sooner import TIMES, milliseconds, shortened, windows, without_windows

from parley.cli.observe.parts import alerts


def files() -> Iterator[tuple[str, dict[str, Any]]]:
    folder = alerts()
    assert folder
    for file in sorted(folder.glob("*.yaml")):
        yield file.stem, yaml.safe_load(file.read_text())


FILES = list(files())


@pytest.mark.parametrize("rules", [rules for _, rules in FILES], ids=[name for name, _ in FILES])
def test_a_hurried_alert_asks_for_the_same(rules: dict[str, Any]) -> None:
    for group, hurried in zip(rules["groups"], shortened(rules)["groups"], strict=True):
        for rule, copy in zip(group["rules"], hurried["rules"], strict=True):
            assert without_windows(copy["expr"]) == without_windows(rule["expr"])
            lengths = [*windows(rule["expr"]), *([rule["for"]] if "for" in rule else [])]
            in_a_hurry = [*windows(copy["expr"]), *([copy["for"]] if "for" in copy else [])]
            assert [milliseconds(length) / TIMES for length in lengths] == [*map(milliseconds, in_a_hurry)]
            assert {**rule, "expr": "", "for": ""} == {**copy, "expr": "", "for": ""}


def test_each_alert_is_let_fire() -> None:
    said = Path(sooner.__file__).with_name("__main__.py").read_text()
    names = [rule["alert"] for _, rules in FILES for group in rules["groups"] for rule in group["rules"]]

    assert [name for name in names if f'"{name}"' not in said] == []
    assert len(names) == 11
