"""The page of settings is what the code reads."""

from pathlib import Path

from parley.kit.settings_page import page

PACKAGES = ["parley.gateway", "parley.presence", "parley.rooms", "parley.history"]
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def test_the_page_of_settings_is_up_to_date() -> None:
    assert PAGE.read_text() == page(PACKAGES), "run `make schema` and check in what it wrote"


def test_every_setting_is_explained() -> None:
    rows = [row.split("|") for row in page(PACKAGES).splitlines() if row.startswith("| `")]

    assert len(rows) > 15
    assert [cells[1].strip() for cells in rows if not cells[2].strip()] == []
