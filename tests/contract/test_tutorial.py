"""The code of the tutorial is that of the examples, which tests/e2e/test_examples.py runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "clients" / "js" / "examples"
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
FEWER_THAN = 50
"""Lines that a page with calls takes: it is what the tutorial promises."""


@pytest.mark.parametrize("name", [path.name for path in sorted(EXAMPLES.iterdir())])
def test_the_tutorial_quotes_each_example_as_it_is(name: str) -> None:
    quoted = re.search(rf"^`{re.escape(name)}`:\n\n```\w+\n(.*?)^```$", TUTORIAL, re.DOTALL | re.MULTILINE)

    assert quoted, f"docs/tutorial.md does not quote {name}"
    assert quoted[1] == (EXAMPLES / name).read_text(), f"docs/tutorial.md quotes {name} otherwise: copy the file there"


def test_a_page_with_calls_is_short() -> None:
    lines = [line for name in ("call.html", "call.js") for line in (EXAMPLES / name).read_text().splitlines()]

    assert len(lines) < FEWER_THAN


def test_what_the_tutorial_points_to_is_there() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", TUTORIAL)

    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
