"""The page of metrics is what the code defines."""

from pathlib import Path

from parley.kit.metrics import DEFINED
from parley.kit.metrics_page import page

PACKAGES = ["parley.gateway", "parley.presence", "parley.rooms", "parley.history"]
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def test_the_page_of_metrics_is_up_to_date() -> None:
    assert PAGE.read_text() == page(PACKAGES), "run `make schema` and check in what it wrote"


def test_every_metric_is_explained_and_named_by_its_unit() -> None:
    page(PACKAGES)

    assert len(DEFINED) > 15
    assert [each.name for each in DEFINED if not each.doc.endswith(".")] == []
    units = ("_seconds", "_bytes")
    assert [each.name for each in DEFINED if each.kind == "histogram" and not each.name.endswith(units)] == []
