"""Dashboards and alerts speak of metrics that exist, and every alert leads to a page that says what to do."""

import re
from pathlib import Path

from support.queries import WHERE, family, named
from support.watched import DASHBOARDS, ROOT, RULES, panels, queries, rules

from deploy.grafana import write
from parley.kit.metrics import DEFINED
from parley.kit.metrics_page import page

OTHERS = {"up", "ALERTS", "certmanager_certificate_expiration_timestamp_seconds", "probe_ssl_earliest_cert_expiry"}
"""Metrics that are not ours: Prometheus' own, cert-manager's, the blackbox exporter's."""
PROCESS = re.compile(r"parley_process_(resident_memory_bytes|cpu_seconds_total|open_fds)")
MADE = {"le", "reason", "need", "part", "exported_namespace", "name"}
"""Labels of histograms, and those that a rule makes itself, or that others' metrics have."""


def labels() -> dict[str, set[str]]:
    """Return the labels of each metric, by its name in the page of metrics."""
    page(["parley.gateway", "parley.presence", "parley.rooms", "parley.history"])
    return {each.name: {*each.labels, *(["le"] if each.kind == "histogram" else [])} for each in DEFINED}


def test_dashboards_are_as_they_are_written() -> None:
    stale = [path.name for path, text in write.written().items() if path.read_text() != text]

    assert not stale, "run `make dashboards` and check in what it wrote"
    assert sorted(write.written()) == DASHBOARDS


def test_every_metric_in_a_query_exists_and_has_the_labels() -> None:
    known = labels()
    wrong = []
    for where, query in queries():
        found = named(query)
        ours = {metric for metric in found.metrics - OTHERS if not PROCESS.fullmatch(metric)}
        have = {metric: known.get(metric) or known.get(family(metric)) for metric in ours}
        wrong += [f"{where}: {metric}" for metric, has in have.items() if has is None]
        wrong += [
            f"{where}: {metric} has no label {label}"
            for metric, label in found.matched
            if label not in (have.get(metric) or ()) and label not in WHERE and metric not in OTHERS
        ]
        grouped = found.grouped - WHERE - MADE - set[str]().union(*(has or () for has in have.values()))
        wrong += [f"{where}: nothing has a label {label}" for label in grouped]

    assert wrong == []


def test_the_metrics_that_must_be_none_have_an_alert() -> None:
    """Else one that is added later would be seen by nobody."""
    page(["parley.gateway", "parley.presence", "parley.rooms", "parley.history"])
    watched = {metric for where, query in queries() if where.endswith(".yaml") for metric in named(query).metrics}

    assert [each.name for each in DEFINED if "bugs" in each.doc and each.name not in watched] == []


def unit(query: str) -> str:
    """Return the unit in which the answer to *query* is."""
    if "histogram_quantile" in query:
        return "s"
    if "rate(" in query:
        return "cps"
    (metric,) = {metric for metric in named(query).metrics if "lease" not in metric} or named(query).metrics
    return "s" if metric.endswith("_seconds") else "bytes" if metric.endswith("_bytes") else "short"


def test_every_panel_can_be_read() -> None:
    """It has the unit of its lines, and these have names; and there are few panels on a dashboard."""
    for path in DASHBOARDS:
        shown = panels(path)
        assert len(shown) <= 18, path.name
        assert len({panel["title"] for panel in shown}) == len(shown), path.name
        for panel in (each for each in shown if each["type"] == "timeseries"):
            assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]
            units = {unit(target["expr"]) for target in panel["targets"]}
            assert units == {panel["fieldConfig"]["defaults"]["unit"]}, f"{path.name}: {panel['title']}"


def test_every_alert_says_what_is_the_case_and_what_to_do() -> None:
    names = []
    for path in RULES:
        (rule,) = rules(path)
        names.append(rule["alert"])
        notes = rule["annotations"]
        runbook = ROOT / notes["runbook_url"]
        assert rule["labels"]["severity"] in ("critical", "warning"), path.name
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert "for" in rule or rule["alert"] == "ParleyEventsLost", f"{path.name} would fire at the first look"
        assert notes["summary"].endswith("."), path.name
        assert path.read_text().startswith("# "), f"{path.name} does not say why its threshold is what it is"
        assert runbook.name == f"{path.stem}.md"
        assert runbook.read_text().startswith(f"# {rule['alert']}\n")
        assert {"## Look", "## Do"} <= set(runbook.read_text().splitlines()), runbook.name
        assert f"({runbook.name})" in (runbook.parent / "README.md").read_text()
        assert (path.parent / "tests" / path.name).exists(), f"no time series makes {rule['alert']} fire"

    assert len(set(names)) == len(names)


def test_runbooks_lead_somewhere() -> None:
    """To pages that exist, and to metrics and panels that exist."""
    known = labels()
    titles = {panel["title"] for path in DASHBOARDS for panel in panels(path)}
    for runbook in sorted((ROOT / "docs" / "runbooks").glob("*.md")):
        text = runbook.read_text()
        for target in re.findall(r"\]\(([^)#]+)", text):
            assert (runbook.parent / target).exists(), f"{runbook.name}: {target}"
        for metric in re.findall(r"\bparley_[a-z_]+\b", text):
            assert metric in known, f"{runbook.name}: {metric}"
        for title in re.findall(r'"([A-Z][^"\n]+)"', text):
            if not title.endswith((".", "read")):  # those are lines of logs
                assert title in titles, f"{runbook.name}: no panel {title!r}"


def test_a_metric_that_is_misspelt_is_noticed() -> None:
    found = named('sum by (job) (rate(parley_gatway_frames_total{route="join",instance=~"a|b"}[5m]))')

    assert found.metrics == {"parley_gatway_frames_total"}
    assert found.matched == {("parley_gatway_frames_total", "route"), ("parley_gatway_frames_total", "instance")}
    assert found.grouped == {"job"}
    assert Path(write.HERE, "overview.json").exists()
