"""What must be true of every object that the chart renders, whatever the values are."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from chart.rendered import CHART, CI, Object, Rendered, pod_of, render, run

from deploy.k8s.write import SERVICES

VERSIONS = ("1.27", "1.31", "1.34", "1.37")
"""Minor versions of Kubernetes: the oldest that the chart takes, the newest there is, and two between them."""

OTHERS = ("HTTPRoute", "ServiceMonitor", "PodMonitor", "PrometheusRule", "ScaledObject", "BackendConfig", "Certificate")
"""Kinds that are no part of Kubernetes, so its schemas do not know them."""

kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)
"""It reads all definitions anew for each object: half a second."""


def all_values() -> list[Any]:
    return [pytest.param((), id="defaults"), *(pytest.param((file,), id=file.stem) for file in CI)]


@pytest.fixture(params=all_values())
def rendered(request: pytest.FixtureRequest) -> Rendered:
    return render(*request.param)


def test_there_are_values_of_five_installations() -> None:
    assert {file.stem for file in CI} >= {"minimal", "high-availability", "external", "tls", "strict"}


@pytest.mark.parametrize("files", all_values())
def test_helm_has_nothing_to_object_to(files: tuple[Path, ...]) -> None:
    values = [word for file in files for word in ("--values", str(file))]
    done = run("lint", "--strict", "--quiet", str(CHART), *values)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field(rendered: Rendered, version: str) -> None:
    for thing in rendered.objects:
        if thing["kind"] not in OTHERS:
            try:
                kubernetes_validate.validate(thing, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                pytest.fail(f"{thing['kind']} {thing['metadata']['name']}: {error.message} at {list(error.path)}")


def test_no_two_objects_have_one_name(rendered: Rendered) -> None:
    names = [(thing["kind"], thing["metadata"]["name"]) for thing in rendered.objects]

    assert len(names) == len(set(names))


def test_liveness_asks_the_process_itself_and_nothing_behind_it(rendered: Rendered) -> None:
    """Else an outage of NATS or PostgreSQL would restart every pod, and break every socket, for nothing."""
    seen = 0
    for container in rendered.containers():
        if (
            container.spec["name"] in (*SERVICES, "web")
            and container.owner["kind"] == "Deployment"
            and not container.init
        ):
            for probe in ("livenessProbe", "startupProbe"):
                assert container.spec[probe]["httpGet"].keys() == {"path", "port"}, container.title
                assert container.spec[probe]["httpGet"]["path"] == "/livez", container.title
            assert container.spec["readinessProbe"]["httpGet"]["path"] == "/readyz"
            seen += 1
        for kind in ("livenessProbe", "startupProbe"):
            asked = str(container.spec.get(kind))
            assert "readyz" not in asked, container.title
            assert not re.search(r"https?://|nats://|postgresql://", asked), container.title
    assert seen == len(SERVICES) + 1


def test_every_long_lived_container_has_three_probes(rendered: Rendered) -> None:
    for container in rendered.containers():
        if container.owner["kind"] in ("Deployment", "StatefulSet") and not container.init:
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.spec.keys(), container.title


def test_a_probe_asks_at_a_port_that_the_container_has(rendered: Rendered) -> None:
    for container in rendered.containers():
        ports = {port["name"] for port in container.spec.get("ports", [])}
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = container.spec.get(kind, {})
            asked = probe.get("httpGet") or probe.get("tcpSocket")
            assert asked is None or asked["port"] in ports, container.title


def test_no_pod_is_given_what_it_does_not_need(rendered: Rendered) -> None:
    """Pod security `restricted`, no token of the cluster, no variables made of Services."""
    for owner in rendered.workloads():
        spec, name = pod_of(owner)["spec"], f"{owner['kind']} {owner['metadata']['name']}"
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        hosted = owner["metadata"]["name"].endswith("-coturn")
        assert hosted or not spec.get("hostNetwork"), name
        assert not spec.keys() & {"hostPID", "hostIPC"}, name
        for volume in spec.get("volumes", []):
            assert volume.keys() - {"name"} <= {"emptyDir", "configMap", "secret"}, name
    for container in rendered.containers():
        context = container.spec["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, container.title
        assert context["readOnlyRootFilesystem"] is True, container.title
        assert context["capabilities"]["drop"] == ["ALL"], container.title
        assert set(context["capabilities"].get("add", [])) <= {"NET_BIND_SERVICE"}, container.title
        assert not context.get("privileged"), container.title
        assert all("hostPort" not in port for port in container.spec.get("ports", [])), container.title


def test_every_container_says_what_it_needs(rendered: Rendered) -> None:
    for container in rendered.containers():
        resources = container.spec["resources"]
        assert {"cpu", "memory"} <= resources["requests"].keys(), container.title
        assert "memory" in resources["limits"], container.title


def test_every_secret_and_its_key_is_there_or_is_the_users(rendered: Rendered) -> None:
    made = {
        thing["metadata"]["name"]: {*thing.get("data", {}), *thing.get("stringData", {})}
        for thing in rendered.of("Secret")
    }
    for certificate in rendered.of("Certificate"):
        made[certificate["spec"]["secretName"]] = {"tls.crt", "tls.key", "ca.crt"}
    for name, key, where in keys_asked_for(rendered):
        if name in made:
            assert key in made[name], f"{where} wants {key} of {name}, which has {made[name]}"
        else:
            assert name.startswith("calls-"), f"{where} wants the secret {name}, which nobody makes"


def keys_asked_for(rendered: Rendered) -> Iterator[tuple[str, str, str]]:
    for container in rendered.containers():
        for variable in container.spec.get("env", []):
            asked = variable.get("valueFrom", {}).get("secretKeyRef")
            if asked:
                yield asked["name"], asked["key"], container.title
    for owner in rendered.workloads():
        for volume in pod_of(owner)["spec"].get("volumes", []):
            for item in volume.get("secret", {}).get("items", []):
                yield volume["secret"]["secretName"], item["key"], owner["metadata"]["name"]


def test_what_is_secret_stands_in_secrets_alone(rendered: Rendered) -> None:
    """Neither a value of a Secret nor one that was declared as an app's key is anywhere else."""
    secrets = {
        value
        for thing in rendered.of("Secret")
        for key in thing.get("data", {})
        if len(value := rendered.secret(thing["metadata"]["name"], key)) > 8
    }
    secrets.add("its-secret-that-nobody-else-may-read")
    for thing in rendered.objects:
        if thing["kind"] != "Secret":
            text = str(thing)
            assert not [secret for secret in secrets if secret in text], f"{thing['kind']} {thing['metadata']['name']}"


def test_secrets_that_are_made_are_long_differ_and_stay(rendered: Rendered) -> None:
    made = [thing for thing in rendered.of("Secret") if "data" in thing]
    values = [rendered.secret(thing["metadata"]["name"], key) for thing in made for key in thing["data"]]

    assert all(re.fullmatch(r"[A-Za-z0-9]{40}", value) for value in values)
    assert len(values) == len(set(values))
    for thing in made:
        assert thing["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_config_maps_and_claims_that_pods_mount_are_there(rendered: Rendered) -> None:
    maps = {thing["metadata"]["name"]: thing["data"] for thing in rendered.of("ConfigMap")}
    for owner in rendered.workloads():
        spec = pod_of(owner)["spec"]
        named = {volume["name"] for volume in spec.get("volumes", [])}
        named |= {claim["metadata"]["name"] for claim in owner["spec"].get("volumeClaimTemplates", [])}
        for volume in spec.get("volumes", []):
            assert "configMap" not in volume or volume["configMap"]["name"] in maps, owner["metadata"]["name"]
        for container in (*spec.get("initContainers", []), *spec["containers"]):
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounted <= named, owner["metadata"]["name"]


def test_a_selector_finds_the_pods_of_its_component_and_no_others(rendered: Rendered) -> None:
    for owner in rendered.workloads():
        if owner["kind"] in ("Deployment", "StatefulSet"):
            wanted = owner["spec"]["selector"]["matchLabels"]
            assert [chosen["metadata"]["name"] for chosen in selected(rendered, wanted)] == [owner["metadata"]["name"]]
            assert "app.kubernetes.io/version" not in wanted


def test_a_service_leads_to_ports_that_its_pods_have(rendered: Rendered) -> None:
    for service in rendered.of("Service"):
        (owner,) = selected(rendered, service["spec"]["selector"])
        ports = {
            port["name"]: (port["containerPort"], port.get("protocol", "TCP"))
            for container in pod_of(owner)["spec"]["containers"]
            for port in container.get("ports", [])
        }
        for port in service["spec"]["ports"]:
            if not port["name"].startswith("relay-"):
                assert port["targetPort"] in ports, service["metadata"]["name"]
                assert ports[port["targetPort"]][1] == port.get("protocol", "TCP"), service["metadata"]["name"]


def selected(rendered: Rendered, labels: dict[str, str]) -> list[Object]:
    return [owner for owner in rendered.workloads() if labels.items() <= pod_of(owner)["metadata"]["labels"].items()]


def test_whatever_leads_in_leads_to_a_service_and_a_port_that_are_there(rendered: Rendered) -> None:
    ports = {
        (service["metadata"]["name"], port[key])
        for service in rendered.of("Service")
        for port in service["spec"]["ports"]
        for key in ("name", "port")
    }
    for ingress in rendered.of("Ingress"):
        hosts = {host for each in ingress["spec"].get("tls", []) for host in each["hosts"]}
        for rule in ingress["spec"]["rules"]:
            assert not hosts or rule["host"] in hosts
            (path,) = rule["http"]["paths"]
            assert (path["path"], path["pathType"]) == ("/", "Prefix")
            assert (path["backend"]["service"]["name"], path["backend"]["service"]["port"]["name"]) in ports
    for route in rendered.of("HTTPRoute"):
        for rule in route["spec"]["rules"]:
            assert {(backend["name"], backend["port"]) for backend in rule["backendRefs"]} <= ports
        assert route["spec"]["rules"][-1]["backendRefs"][0]["name"].endswith("-web")


@pytest.mark.parametrize("controller", ["nginx", "haproxy", "alb", "gke", "traefik"])
def test_a_silent_socket_is_left_alone_for_longer_than_two_heartbeats(controller: str) -> None:
    values = {"ingress__enabled": True, "ingress__host": "a", "ingress__controller": controller}
    slow = render(gateway__settings={"GATEWAY_HEARTBEAT_SECONDS": 40}, **values)
    (ingress,) = slow.of("Ingress")
    said = [
        int(found[1])
        for name, value in ingress["metadata"].get("annotations", {}).items()
        if ("timeout" in name or "timeout" in value) and (found := re.search(r"(\d+)s?$", value))
        if "deregistration" not in value
    ]
    said += [config["spec"]["timeoutSec"] for config in slow.of("BackendConfig")]

    assert controller == "traefik" or said
    assert all(seconds > 2 * 40 for seconds in said)


def test_budgets_and_policies_select_somebody(rendered: Rendered) -> None:
    for thing in (*rendered.of("PodDisruptionBudget"), *rendered.of("NetworkPolicy")):
        chosen = thing["spec"].get("selector") or thing["spec"]["podSelector"]
        assert selected(rendered, chosen["matchLabels"]), thing["metadata"]["name"]


def test_every_pod_has_a_network_policy_unless_they_are_off(rendered: Rendered) -> None:
    policies = rendered.of("NetworkPolicy")
    for owner in rendered.workloads():
        labels = pod_of(owner)["metadata"]["labels"].items()
        found = [each for each in policies if each["spec"]["podSelector"]["matchLabels"].items() <= labels]
        assert len(found) == (1 if policies else 0), owner["metadata"]["name"]
        assert all(each["spec"]["policyTypes"] == ["Ingress", "Egress"] for each in found)


def test_a_hook_finds_what_it_needs_before_the_release_is_there(rendered: Rendered) -> None:
    """Its secrets are somebody else's, it mounts no ConfigMap of ours, and its NetworkPolicy comes before it."""
    hooks = [job for job in rendered.of("Job") if "helm.sh/hook" in job["metadata"].get("annotations", {})]
    for job in hooks:
        assert not [volume for volume in pod_of(job)["spec"]["volumes"] if "configMap" in volume]
        assert all(name.startswith("calls-") for name, _, where in keys_asked_for(rendered) if where.startswith("Job "))
        labels = pod_of(job)["metadata"]["labels"].items()
        for policy in rendered.of("NetworkPolicy"):
            if policy["spec"]["podSelector"]["matchLabels"].items() <= labels:
                weights = [int(each["metadata"]["annotations"]["helm.sh/hook-weight"]) for each in (policy, job)]
                assert weights[0] < weights[1]
    assert len(hooks) == (0 if rendered.of("StatefulSet") else 1)


def test_what_a_policy_lets_out_another_lets_in(rendered: Rendered) -> None:
    """A peer among us that is allowed to be asked has a rule that lets the asker in."""
    policies = {each["metadata"]["name"]: each for each in rendered.of("NetworkPolicy")}
    for name, policy in policies.items():
        for rule in policy["spec"].get("egress", []):
            for peer in rule.get("to", []):
                labels = peer.get("podSelector", {}).get("matchLabels", {})
                theirs = [
                    each
                    for each in policies.values()
                    if each["spec"]["podSelector"]["matchLabels"].items() == labels.items()
                ]
                if not theirs:
                    continue
                for port in rule["ports"]:
                    if (
                        name.endswith("-web")
                        and port["port"] == 8080
                        and not theirs[0]["metadata"]["name"].endswith("gateway")
                    ):
                        continue  # one rule for all four, of which one has sockets
                    assert lets_in(theirs[0], policy, port["port"]), (
                        f"{name} to {theirs[0]['metadata']['name']}: {port}"
                    )


def lets_in(policy: Object, asker: Object, port: int) -> bool:
    mine = asker["spec"]["podSelector"]["matchLabels"]
    for rule in policy["spec"].get("ingress", []):
        if port in [each["port"] for each in rule["ports"]]:
            peers = rule.get("from")
            if peers is None or any(peer.get("podSelector", {}).get("matchLabels") == mine for peer in peers):
                return True
    return False


def test_a_rollout_takes_no_pod_away_before_its_successor_is_ready(rendered: Rendered) -> None:
    for deployment in rendered.of("Deployment"):
        if pod_of(deployment)["spec"].get("hostNetwork"):
            continue  # a node has each port once
        strategy = deployment["spec"]["strategy"]
        assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


def test_the_grace_of_a_pod_is_longer_than_its_drain(rendered: Rendered) -> None:
    """Waiting for endpoints, then the drain, then the goodbyes: before SIGKILL. And a rollout waits for all of it."""
    for deployment in rendered.of("Deployment"):
        spec = pod_of(deployment)["spec"]
        (container,) = [each for each in rendered.containers() if each.owner is deployment and not each.init]
        if "lifecycle" not in container.spec:
            continue
        word, seconds = container.spec["lifecycle"]["preStop"]["exec"]["command"]
        assert word == "sleep"
        drain = float(rendered.environment(container).get("GATEWAY_DRAIN_SECONDS", 0))
        assert int(seconds) + drain + 10 <= spec["terminationGracePeriodSeconds"]
        patience = container.spec["startupProbe"]["failureThreshold"] * container.spec["startupProbe"]["periodSeconds"]
        assert deployment["spec"]["progressDeadlineSeconds"] > patience + spec["terminationGracePeriodSeconds"]


def test_the_grace_of_a_server_of_nats_is_longer_than_its_lame_duck_mode(rendered: Rendered) -> None:
    for owner in rendered.of("StatefulSet"):
        if owner["metadata"]["name"].endswith("-nats"):
            conf = rendered.get("ConfigMap", owner["metadata"]["name"])["data"]["nats.conf"]
            said = [int(found) for found in re.findall(r"^lame_duck_\w+: (\d+)s$", conf, re.MULTILINE)]
            assert len(said) == 2
            assert sum(said) + 10 <= pod_of(owner)["spec"]["terminationGracePeriodSeconds"]


def test_a_certificate_names_every_host_that_its_clients_ask_for(rendered: Rendered) -> None:
    """Each by its full name: a pattern such as `*.parley-nats` is taken by nobody."""
    for certificate in rendered.of("Certificate"):
        name = certificate["metadata"]["name"]
        asked = set(re.findall(rf"@((?:{name}-\d\.)?{name}):", str(list(rendered.workloads()))))
        assert asked
        assert asked <= set(certificate["spec"]["dnsNames"])


def test_scaling_down_waits_for_a_drain(rendered: Rendered) -> None:
    for scaler in rendered.of("HorizontalPodAutoscaler"):
        owner = rendered.get("Deployment", scaler["spec"]["scaleTargetRef"]["name"])
        (policy,) = scaler["spec"]["behavior"]["scaleDown"]["policies"]
        assert policy["value"] == 1
        assert policy["periodSeconds"] > pod_of(owner)["spec"]["terminationGracePeriodSeconds"]
        assert "replicas" not in owner["spec"]


@pytest.mark.parametrize("kind", ["hpa", "keda"])
def test_metrics_that_scale_are_told_by_a_service(kind: str) -> None:
    """And the how-to has a rule for each, where a rule is needed."""
    values = {f"{name}__autoscaling__kind": kind for name in SERVICES}
    scaled = render(
        networkPolicy__metricsFrom=[{"namespaceSelector": {}}], keda__prometheusAddress="http://prometheus", **values
    )
    asked = set(re.findall(r"parley_\w+", str([*scaled.of("HorizontalPodAutoscaler"), *scaled.of("ScaledObject")])))
    docs = CHART.parents[2] / "docs"
    told = set(re.findall(r"^\| `(parley_\w+)`", (docs / "reference" / "metrics.md").read_text(), re.MULTILINE))
    ruled = set(re.findall(r"seriesQuery: '(parley_\w+)", (docs / "how-to" / "kubernetes-autoscaling.md").read_text()))

    assert len(asked) == 4
    assert asked <= told
    assert asked == ruled


def test_an_app_name_is_on_every_object(rendered: Rendered) -> None:
    for thing in rendered.objects:
        labels = thing["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "parley", thing["metadata"]["name"]
        assert labels["app.kubernetes.io/instance"] == "parley", thing["metadata"]["name"]
