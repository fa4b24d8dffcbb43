"""What docs/reference/rest.md says there is, is what there is."""

import re
from pathlib import Path
from typing import Any, cast

from parley.kit.tokens import Tokens
from parley.presence.api import presence_api

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "rest.md").read_text()
NOTHING = cast("Any", None)
"""In place of a database and a bus, which a description of paths has no use for."""


def test_every_path_of_presence_is_described_and_no_other() -> None:
    described = presence_api(NOTHING, NOTHING, Tokens(), development=False).openapi()["paths"]
    offered = {f"{method.upper()} {re.sub('{.*?}', '{}', path)}" for path, item in described.items() for method in item}

    section = PAGE.partition("## Connections (presence)")[2].partition("\n## ")[0]
    said = {re.sub("{.*?}", "{}", heading) for heading in re.findall(r"^### `(.*)`$", section, re.MULTILINE)}

    assert said == offered
