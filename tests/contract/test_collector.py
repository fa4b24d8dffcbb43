"""The collector that we ship keeps what the page of traces says, and looks for what our spans have."""

from pathlib import Path
from typing import Any, get_args

import yaml

from parley.kit.tracing import Reason

ROOT = Path(__file__).parents[2]
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "deploy/otel/collector.yaml").read_text())


def test_every_part_of_the_pipeline_is_configured() -> None:
    (pipeline,) = CONFIG["service"]["pipelines"].values()

    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == set(CONFIG[kind])
    assert set(CONFIG["service"]["extensions"]) == set(CONFIG["extensions"])


def test_a_policy_says_what_its_type_asks_for_and_looks_for_what_spans_have() -> None:
    policies = {policy["type"]: policy[policy["type"]] for policy in CONFIG["processors"]["tail_sampling"]["policies"]}

    assert policies == {
        "status_code": {"status_codes": ["ERROR"]},
        "latency": {"threshold_ms": 1000},
        "string_attribute": {"key": "parley.kept", "values": list(get_args(Reason))},
        "probabilistic": {"sampling_percentage": 1},
    }
