"""The page of logs knows each field, and a line says what happened in words that are always the same."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "logs.md").read_text()
SOURCES = [path for part in ("libs", "services", "cli") for path in sorted((ROOT / part).glob("**/src/**/*.py"))]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
FEW = {"sentence", "type_of(command)", "how"}
"""What stands for a few sentences or types."""


def fields() -> set[str]:
    rows = re.findall(r"^\| (`[^|]+) \|", PAGE, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def lines() -> Iterator[tuple[str, ast.Call]]:
    """Give each call that logs, and where it is."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
                logger = ast.unparse(node.func.value).rpartition(".")[2]
                if logger in ("log", "_log"):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def few(words: ast.expr) -> bool:
    if isinstance(words, ast.IfExp):
        return few(words.body) and few(words.orelse)
    return isinstance(words, ast.Constant) or ast.unparse(words) in FEW


def test_every_field_of_a_line_is_explained() -> None:
    known = fields() | {"exc_info"}

    unknown = [(where, keyword.arg) for where, call in lines() for keyword in call.keywords if keyword.arg]
    assert len(unknown) > 50
    assert [each for each in unknown if each[1] not in known] == []


def test_an_event_is_said_in_the_same_words_each_time() -> None:
    said = [(where, call.args[0]) for where, call in lines()]

    odd = [(where, ast.unparse(words)) for where, words in said if not few(words)]
    assert odd == []


def test_no_error_is_turned_into_text_before_it_is_logged() -> None:
    """What it says may be a client's: `discretion.py` decides."""
    texts = [
        (where, ast.unparse(keyword.value))
        for where, call in lines()
        for keyword in call.keywords
        if re.search(r"\b(repr|str)\(|\bdecode\(", ast.unparse(keyword.value))
    ]

    assert texts == []
