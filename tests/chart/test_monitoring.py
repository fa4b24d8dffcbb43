"""What watches Parley in a cluster: what the chart gives to Prometheus and to Grafana is what is in the repository."""

import json
from pathlib import Path

import pytest
import yaml
from chart.rendered import CHART, Rendered, render
from support.watched import DASHBOARDS, RULES

URL = "https://git.example.org/parley"


def watched(**values: object) -> Rendered:
    """Render with all that watches."""
    enabled = {f"metrics__{name}__enabled": True for name in ("serviceMonitor", "dashboards", "rules")}
    return render(networkPolicy__metricsFrom=[{"namespaceSelector": {}}], **enabled, **values)


def test_by_default_nothing_is_rendered_that_a_cluster_may_not_know() -> None:
    plain = render()

    assert not plain.of("PrometheusRule") + plain.of("ServiceMonitor")
    assert not [each for each in plain.of("ConfigMap") if "grafana_dashboard" in each["metadata"]["labels"]]


def test_each_dashboard_is_a_config_map_that_grafana_finds() -> None:
    maps = [each for each in watched().of("ConfigMap") if each["metadata"]["labels"].get("grafana_dashboard") == "1"]
    shown = {name: json.loads(text) for each in maps for name, text in each["data"].items()}

    assert shown == {f"parley-{path.name}": json.loads(path.read_text()) for path in DASHBOARDS}
    assert len(maps) == len(DASHBOARDS)
    assert "{{" in json.dumps(shown)


def test_dashboards_have_the_labels_and_annotations_that_are_asked_for() -> None:
    values = {"labels": {"shown": "yes"}, "annotations": {"grafana_folder": "Parley"}}
    found = watched(**{f"metrics__dashboards__{key}": value for key, value in values.items()})
    maps = [each["metadata"] for each in found.of("ConfigMap") if each["metadata"]["labels"].get("shown") == "yes"]

    assert len(maps) == len(DASHBOARDS)
    assert all(each["annotations"] == {"grafana_folder": "Parley"} for each in maps)


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_each_alert_is_a_rule_as_it_is_in_the_repository(path: Path) -> None:
    """But for the runbook, which is where the operator's people read it; `{{ $labels }}` is left to Prometheus."""
    found = watched(metrics__rules__runbooksUrl=f"{URL}/", metrics__rules__labels={"release": "prometheus"})
    rule = found.get("PrometheusRule", f"parley-{path.stem}")
    wanted = yaml.safe_load(path.read_text())
    for group in wanted["groups"]:
        for each in group["rules"]:
            each["annotations"]["runbook_url"] = f"{URL}/docs/runbooks/{path.name.replace('.yaml', '.md')}"

    assert rule["spec"] == wanted
    assert rule["metadata"]["labels"]["release"] == "prometheus"


def test_there_is_a_rule_for_each_alert_and_certificates_can_be_left_out() -> None:
    names = {f"parley-{path.stem}" for path in RULES}
    rules = watched().of("PrometheusRule")

    assert {each["metadata"]["name"] for each in rules} == names
    assert "{{ $labels." in str(rules)
    assert all(
        each["annotations"]["runbook_url"].startswith("docs/runbooks/")
        for rule in rules
        for group in rule["spec"]["groups"]
        for each in group["rules"]
    )

    fewer = watched(metrics__rules__certificates=False).of("PrometheusRule")

    assert {each["metadata"]["name"] for each in fewer} == names - {"parley-certificate-expiry"}


def test_metrics_are_scraped_as_often_as_alerts_were_made_for() -> None:
    (monitor,) = watched().of("ServiceMonitor")

    assert [each["interval"] for each in monitor["spec"]["endpoints"]] == ["15s"]


def test_servers_tell_metrics_where_exporters_are_asked_for() -> None:
    """Each pod that the PodMonitor selects has the port, and lets in who scrapes."""
    values = {"metrics__exporters__enabled": True, "coturn__enabled": True, "coturn__externalAddress": "a"}
    found = watched(**values)
    (monitor,) = found.of("PodMonitor")
    (chosen,) = monitor["spec"]["selector"]["matchExpressions"]

    told = {}
    for container in found.containers():
        for port in container.spec.get("ports", []):
            if port["name"] == monitor["spec"]["podMetricsEndpoints"][0]["port"]:
                told[container.owner["metadata"]["name"].removeprefix("parley-")] = port["containerPort"]
    assert told == {"nats": 7777, "postgresql": 9187, "coturn": 9641}
    assert set(chosen["values"]) == told.keys()
    for name, port in told.items():
        rules = found.get("NetworkPolicy", f"parley-{name}")["spec"]["ingress"]
        open_to = [rule["from"] for rule in rules if port in [each["port"] for each in rule["ports"]]]
        assert open_to == [[{"namespaceSelector": {}}]], name
    assert not watched(coturn__enabled=True, coturn__externalAddress="a").of("PodMonitor")


def test_the_chart_stays_small_enough_to_install() -> None:
    """Helm keeps a release in one Secret, which holds a megabyte at most, compressed."""
    assert sum(path.stat().st_size for path in CHART.rglob("*") if path.is_file()) < 600_000
