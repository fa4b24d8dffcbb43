"""
The example of each public event that is checked in is what Parley says, to the letter.

Backends read these words, and during a rollout two versions of an owner must say the same ones: whoever changes them
does so on purpose. `make examples` writes them anew.
"""

from pathlib import Path

import jsonschema
import msgspec
import pytest
from structlog.testing import capture_logs
from support.on_paper import EVERYTHING, OnPaper

from parley.protocol.events import TYPES
from parley.protocol.schema import documents

FOLDER = Path(__file__).parents[2] / "docs" / "reference" / "events"


def examples() -> dict[str, str]:
    """Return the first event of each type, of a story in which everything happens."""
    found: dict[str, str] = {}
    paper = OnPaper()
    with capture_logs():  # of what has to fail
        for command, after in EVERYTHING:
            for fact in paper.takes(command, after=after):
                kind = msgspec.json.decode(fact.payload)["type"]
                found.setdefault(kind, msgspec.json.format(fact.payload, indent=2).decode() + "\n")
    return found


def test_the_examples_are_what_parley_says() -> None:
    written = {file.stem: file.read_text() for file in FOLDER.glob("*.json")}

    assert written == examples(), "if the events are meant to be others now, run `make examples` and check them in"


def test_each_event_has_an_example() -> None:
    assert set(examples()) == set(TYPES), "let the new event come about in support/on_paper.py, EVERYTHING"


@pytest.mark.parametrize("kind", TYPES)
def test_an_example_fits_its_schema(kind: str) -> None:
    event = msgspec.json.decode((FOLDER / f"{kind}.json").read_bytes())

    jsonschema.Draft202012Validator(documents()[kind]).validate(event)


def write() -> None:
    """Write the examples, and remove what is none any more."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = examples()
    for kind, text in found.items():
        (FOLDER / f"{kind}.json").write_text(text)
    for file in FOLDER.glob("*.json"):
        if file.stem not in found:
            file.unlink()


if __name__ == "__main__":
    write()
