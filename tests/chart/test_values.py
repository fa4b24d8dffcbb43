"""The values of the chart: written about once, refused in sentences."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml
from chart.rendered import CHART, CI, Refused, render, run

from deploy.k8s import write


def test_what_is_written_by_make_chart_is_up_to_date() -> None:
    stale = [
        str(path.relative_to(CHART))
        for path, text in write.written().items()
        if not path.exists() or path.read_text() != text
    ]

    assert not stale, f"run `make chart`: {stale}"
    assert not write.left_over()


def test_every_value_has_its_line() -> None:
    """A value without a comment would be in neither the schema nor the README, and so be refused."""
    text = (CHART / "values.yaml").read_text()
    about = {value.path for value in write.values(text)}

    def leaves(value: object, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        if path in about or not isinstance(value, dict):
            return [path]
        return [leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))]

    assert set(leaves(yaml.safe_load(text), ())) == about
    assert all(value.about.endswith(".") for value in write.values(text))


def test_defaults_and_examples_fit_the_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    for file in (CHART / "values.yaml", *CI):
        jsonschema.validate(yaml.safe_load(file.read_text()), schema)


DOCS = CHART.parents[2] / "docs" / "how-to"


@pytest.mark.parametrize("page", sorted(DOCS.glob("kubernetes*.md")), ids=lambda page: page.stem)
def test_values_in_the_documents_are_values(page: Path) -> None:
    """Whatever a page shows of values fits the schema; the rest of its YAML is for something else."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    shown = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)]
    values = [each for each in shown if each.keys() & (schema["properties"].keys() - {"image"})]

    assert values
    for each in values:
        jsonschema.validate(each, schema)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gateway__replicaz", 2),
        ("gateway__replicas", "two"),
        ("nats__replicas", 2),
        ("gateway__settings__GATEWAY_DRAIN_SECONDS", 3),  # drainSeconds it is
        ("gateway__settings__GATEWAY_HEARTBEAT", 3),
        ("rooms__settings__GATEWAY_GRACE_SECONDS", 3),
        ("settings__PARLEY_MODE", "development"),
        ("settings__PARLEY_PARTITIONS", 65),
        ("gateway__pod__nodeSelektor", {}),
        ("turn__turnUrls", ["turn.example.org"]),
    ],
)
def test_a_value_that_does_not_exist_or_cannot_be_is_refused(name: str, value: object) -> None:
    with pytest.raises(Refused, match="meet the specifications of the schema"):
        render(**{name: value})


def test_all_contradictions_are_told_at_once_in_sentences() -> None:
    with pytest.raises(Refused) as refused:
        render(
            auth__tokenSecret__enabled=False,
            apps={"shop": {}},
            appsExistingSecret="other",
            nats__external__servers=["nats://nats:4222"],
            postgresql__external__host="pg",
            postgresql__roles__rooms__user="presence",
            rooms__replicas=17,
            history__autoscaling={"kind": "keda", "min": 3, "max": 2, "loopLagMilliseconds": 50, "cpu": 80},
            ingress__enabled=True,
            ingress__tls={"enabled": True, "secretName": "", "issuer": "", "clusterIssuer": ""},
            gatewayApi__enabled=True,
            coturn__enabled=True,
            turn__turnUrls=["turn:a"],
        )
    told = [line for line in str(refused.value).splitlines() if line.startswith("  - ")]

    assert len(told) == 16
    assert all(line.endswith(".") for line in told)
    for words in (
        "auth.jwks",
        "appsExistingSecret",
        "nats.existingSecret",
        "same role",
        "17",
        "keda.prometheusAddress",
    ):
        assert any(words in line for line in told), words


EXTERNAL = {"nats__external__servers": ["nats://a:4222"], "nats__external__auth": False}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"nats__replicas": 1, "nats__streamReplicas": 3}, "only 1 servers"),
        ({"turn__turnUrls": ["turn:a"]}, "turn.existingSecret"),
        ({"metrics__serviceMonitor__enabled": True}, "networkPolicy.metricsFrom"),
        ({"metrics__rules__enabled": True}, "every part is missing"),
        ({"gateway__autoscaling__kind": "hpa"}, "autoscaling of gateway reads metrics"),
        ({"presence__autoscaling__kind": "hpa", "presence__autoscaling__max": 17}, "16 partitions"),
        ({"ingress__enabled": True, "ingress__host": "a", "ingress__socketsHost": "a"}, "must differ"),
        ({"ingress__tls__enabled": True, "ingress__tls__secretName": "x"}, "ingress.enabled off"),
        ({"nats__tls__enabled": True}, "nats.tls.enabled needs a certificate"),
        ({"postgresql__tls__issuer": "a"}, "postgresql.tls.issuer is set"),
        ({"nats__tls": {"enabled": True, "existingSecret": "a", "issuer": "b"}}, "existingSecret and issuer are set"),
        ({"nats__external__caSecret": "a"}, "is for a server of yours"),
        ({**EXTERNAL, "nats__external__caSecret": "a"}, "begin with tls://"),
        ({**EXTERNAL, "nats__tls": {"enabled": True, "issuer": "a"}}, "nats.tls is for the server installed here"),
        ({"coturn__enabled": True, "coturn__externalAddress": "a", "coturn__replicas": 2}, "coturn.hostNetwork"),
        ({"coturn__enabled": True, "coturn__externalAddress": "a", "coturn__relayPorts__max": 60000}, "more than 200"),
    ],
)
def test_a_contradiction_is_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(Refused, match=words):
        render(**values)


def test_the_charts_version_is_that_of_parley() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    parley = tomllib.loads((CHART.parents[2] / "pyproject.toml").read_text())["project"]["version"]

    assert chart["appVersion"] == parley


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], ["port-forward service/parley-web", "TOKEN=$(kubectl", "ws://127.0.0.1:8080/?token=", "test parley"]),
        (["--values", str(CHART / "ci" / "tls.yaml")], ["wss://calls.example.org/?token="]),
        (["--values", str(CHART / "ci" / "external.yaml")], ["one that https://id.example.org/"]),
    ],
)
def test_notes_have_a_first_call_to_paste(tmp_path: Path, arguments: list[str], said: list[str]) -> None:
    """Helm prints them only where there is a cluster; so here they are rendered as an object."""
    chart = tmp_path / "parley"
    shutil.copytree(CHART, chart)
    notes = (chart / "templates" / "NOTES.txt").read_text()
    (chart / "templates" / "_notes.tpl").write_text(f'{{{{- define "notes" -}}}}{notes}{{{{- end -}}}}')
    (chart / "templates" / "notes.yaml").write_text('notes: {{ include "notes" . | quote }}')
    done = run("template", "parley", str(chart), "--show-only", "templates/notes.yaml", *arguments)
    assert not done.returncode, done.stderr
    text = yaml.safe_load(done.stdout)["notes"]

    for words in said:
        assert words in text
    assert "<no value>" not in text
