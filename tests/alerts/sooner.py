"""
Our alerts, in a hurry: a copy in which time runs twenty times as fast.

Only how long Prometheus looks back and waits is shortened, and it looks once a second. What is asked for, and the
thresholds, stay: where 90 seconds are meant, 90 seconds must pass.
"""

import re
from pathlib import Path
from typing import Any, Final

import yaml

TIMES: Final = 20
_LOOK: Final = re.compile(r"(\[|\boffset )(\d+)(ms|[smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def shortened(rules: dict[str, Any]) -> dict[str, Any]:
    """Return a file of rules with every wait and every look back a twentieth as long."""
    return {"groups": [_group(group) for group in rules["groups"]]}


def windows(expression: str) -> list[str]:
    """Return how far back an expression looks, in order."""
    return [f"{number}{unit}" for _, number, unit in _LOOK.findall(expression)]


def without_windows(expression: str) -> str:
    """Return an expression with each of those left open."""
    return _LOOK.sub(r"\1?", expression)


def milliseconds(length: str) -> int:
    """Return how long Prometheus takes a word for, such as ``15m`` or ``750ms``."""
    if length.endswith("ms"):
        return int(length[:-2])
    return int(length[:-1]) * _SECONDS[length[-1]] * 1000


def write(from_: Path, to: Path) -> None:
    """Write the copies of all files."""
    to.mkdir()
    for file in from_.glob("*.yaml"):
        (to / file.name).write_text(yaml.safe_dump(shortened(yaml.safe_load(file.read_text()))))


def _group(group: dict[str, Any]) -> dict[str, Any]:
    rules = [_rule(rule) for rule in group["rules"]]
    return {name: said for name, said in group.items() if name != "interval"} | {"rules": rules}


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    hurried = rule | {"expr": _LOOK.sub(lambda found: found[1] + _sooner(found[2] + found[3]), rule["expr"])}
    return hurried | ({"for": _sooner(rule["for"])} if "for" in rule else {})


def _sooner(length: str) -> str:
    return f"{milliseconds(length) // TIMES}ms"
