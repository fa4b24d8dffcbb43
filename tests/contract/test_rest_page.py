"""What docs/reference/rest.md says there is, is what there is."""

import re
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import FastAPI

from parley.history.api import history_api
from parley.history.stream import streaming
from parley.kit.tokens import Tokens
from parley.presence.api import presence_api
from parley.rooms.api import rooms_api

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "rest.md").read_text()
NOTHING = cast("Any", None)
"""In place of a database and a bus, which a description of paths has no use for."""


@pytest.mark.parametrize(
    ("title", "app"),
    [
        ("Connections (presence)", presence_api(NOTHING, NOTHING, NOTHING, Tokens(), development=False)),
        ("Rooms", rooms_api(NOTHING, NOTHING, Tokens(), NOTHING, development=False)),
        ("History", streaming(history_api(NOTHING, Tokens(), development=False), NOTHING, NOTHING)),
    ],
)
def test_every_path_is_described_and_no_other(title: str, app: FastAPI) -> None:
    offered = {_plain(f"{method.upper()} {path}") for path, item in app.openapi()["paths"].items() for method in item}

    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    assert {_plain(heading) for heading in re.findall(r"^### `(.*)`$", section, re.MULTILINE)} == offered


def _plain(route: str) -> str:
    """Return *route* without the names of what varies in it."""
    return re.sub(r"\{.*?\}", "{}", route)
