"""The environment that the chart gives to each service: the service itself is asked whether it understands it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from chart.rendered import CI, Container, Rendered, pod_of, render

from deploy.k8s.write import SERVICES
from parley.kit.apps import read
from parley.kit.settings import variables_of

HELPERS = {"NATS_PASSWORD", "DATABASE_PASSWORD"}
"""They become part of another variable."""

TRACES = {"OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"}


def services(rendered: Rendered) -> Iterator[tuple[str, Container]]:
    for container in rendered.containers():
        name = container.spec["name"]
        if container.owner["kind"] == "Deployment" and name in SERVICES:
            yield name, container


def settings(rendered: Rendered, name: str, tmp_path: Path) -> Any:
    """Return the settings of a service as it would read them in its pod."""
    container = next(each for found, each in services(rendered) if found == name)
    environment = rendered.environment(container)
    if "PARLEY_APPS" in environment:  # the file that its volume would hold
        mounts = {mount["name"]: mount["mountPath"] for mount in container.spec["volumeMounts"]}
        assert environment["PARLEY_APPS"] == f"{mounts['apps']}/parley.yaml"
        (volume,) = [each for each in pod_of(container.owner)["spec"]["volumes"] if each["name"] == "apps"]
        (tmp_path / "parley.yaml").write_text(rendered.secret(volume["secret"]["secretName"], "parley.yaml"))
        environment["PARLEY_APPS"] = str(tmp_path / "parley.yaml")
    return SERVICES[name].from_env(environment)


@pytest.mark.parametrize("file", [None, *(file for file in CI if file.stem != "external")], ids=str)
def test_each_service_understands_its_environment(file: Path | None, tmp_path: Path) -> None:
    rendered = render(*([file] if file else []))
    names = [name for name, _ in services(rendered)]

    assert names == list(SERVICES)
    for name in names:
        assert settings(rendered, name, tmp_path).mode == "production"


def test_so_it_does_where_secrets_and_apps_are_the_users(tmp_path: Path) -> None:
    rendered = render(next(file for file in CI if file.stem == "external"))
    for name, container in services(rendered):
        environment = rendered.environment(container)
        del environment["PARLEY_APPS"]
        assert SERVICES[name].from_env(environment)


@pytest.mark.parametrize("file", CI, ids=lambda file: file.stem)
def test_every_variable_is_a_setting_or_part_of_one(file: Path) -> None:
    """What no service reads would be a promise of the chart that nobody keeps."""
    rendered = render(file)
    for name, container in services(rendered):
        known = {variable.env for variable in variables_of(SERVICES[name])} | TRACES
        for variable in container.spec["env"]:
            used = [each for each in container.spec["env"] if f"$({variable['name']})" in each.get("value", "")]
            assert variable["name"] in known or (variable["name"] in HELPERS and used), f"{name}: {variable['name']}"


def test_a_variable_is_given_once(tmp_path: Path) -> None:
    rendered = render(settings__PARLEY_EVENTS_DAYS=3, gateway__settings__GATEWAY_GRACE_SECONDS=40)
    for name, container in services(rendered):
        names = [variable["name"] for variable in container.spec["env"]]
        assert len(names) == len(set(names)), name
    assert settings(rendered, "rooms", tmp_path).events_days == 3
    assert settings(rendered, "gateway", tmp_path).grace_seconds == 40


def test_a_large_number_and_a_list_arrive_as_they_were_meant() -> None:
    """YAML's numbers reach templates as floats, and a billion would be 1e+09."""
    rendered = render(
        settings={"PARLEY_INGRESS_BYTES": 4294967296, "PARLEY_EVENTS_DAYS": 0.5},
        gateway__settings={"GATEWAY_ORIGINS": ["https://a.example.org", "https://b.example.org"]},
    )
    environment = rendered.environment(next(container for name, container in services(rendered) if name == "gateway"))

    assert environment["PARLEY_INGRESS_BYTES"] == "4294967296"
    assert environment["PARLEY_EVENTS_DAYS"] == "0.5"
    assert environment["GATEWAY_ORIGINS"] == "https://a.example.org,https://b.example.org"


def test_the_gateway_drains_for_as_long_as_was_said(tmp_path: Path) -> None:
    assert settings(render(drainSeconds=90), "gateway", tmp_path).drain_seconds == 90


def test_each_service_is_another_user_of_nats_and_postgresql(tmp_path: Path) -> None:
    rendered = render()
    for name in SERVICES:
        read_ = settings(rendered, name, tmp_path)
        for url in read_.nats_url.split(","):
            assert urlsplit(url).username == name
            assert urlsplit(url).password == rendered.secret("parley-nats", name)
        if name != "gateway":
            assert urlsplit(read_.database_url).username == name
            assert urlsplit(read_.database_url).password == rendered.secret("parley-postgresql", name)


def test_every_server_of_nats_is_named(tmp_path: Path) -> None:
    servers = settings(render(), "rooms", tmp_path).nats_url.split(",")

    assert [urlsplit(url).hostname for url in servers] == [f"parley-nats-{n}.parley-nats" for n in range(3)]
    assert settings(render(), "rooms", tmp_path).stream_replicas == 3
    assert settings(render(nats__replicas=1), "rooms", tmp_path).stream_replicas == 1


def test_the_turn_server_beside_us_is_told_to_clients(tmp_path: Path) -> None:
    rendered = render(coturn__enabled=True, coturn__externalAddress="turn.example.org")
    rooms = settings(rendered, "rooms", tmp_path)
    coturn = next(each for each in rendered.containers() if each.spec["name"] == "coturn")

    assert rooms.turn_secret == rendered.environment(coturn)["TURN_SECRET"]
    assert rooms.turn_urls[0] == "turn:turn.example.org:3478?transport=udp"
    assert rooms.stun_urls == ("stun:turn.example.org:3478",)


def test_apps_reach_every_service_in_a_secret(tmp_path: Path) -> None:
    rendered = render(next(file for file in CI if file.stem == "tls"))
    for name in SERVICES:
        assert list(read(settings(rendered, name, tmp_path).apps)) == ["shop"]


def test_migrations_have_the_address_of_their_own_role_alone() -> None:
    rendered = render()
    for container in rendered.containers():
        if container.owner["kind"] == "Job" and not container.init:
            environment = rendered.environment(container)
            assert environment.keys() == {"DATABASE_PASSWORD", "DATABASE_URL"}
            assert urlsplit(environment["DATABASE_URL"]).username == container.spec["name"]
            assert container.spec["command"] == ["python", "-m", f"parley.{container.spec['name']}", "migrate"]
