"""What docs/reference/management.md says of errors is what there is."""

import re
from pathlib import Path

from parley.gateway import management as m
from parley.gateway.quotas import REQUESTS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "management.md").read_text()


def test_every_error_is_described_and_no_other() -> None:
    described = re.findall(r"^\| (\d+) \| `(\w+)` \|", PAGE, re.MULTILINE)

    assert {(int(status), name) for status, name in described} == {
        *m.NAMES.values(),
        m.INTERNAL,
        m.WRONG_METHOD,
        m.LATE,
        m.UNSIGNED,
    }


def test_every_limit_is_the_one_that_holds() -> None:
    for limit in (m.MAX_BYTES, REQUESTS.per_second, REQUESTS.burst):
        assert f"{limit:,}" in PAGE
    assert f"within {m.BODY_SECONDS:g} seconds" in PAGE
