"""What is in deploy/, as far as it can be checked without containers and without Kubernetes."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml

from server import serving
from server.config import Config
from server.core.settings import variable_names
from server.domains.play.games.domain import DRAIN_TIMEOUT_S
from server.domains.settings import included_settings
from tests.integration.deploy.test_alerts import RULES

ROOT: Final = Path(__file__).parents[3]
DEPLOY: Final = ROOT / "deploy"
KUBERNETES: Final = DEPLOY / "kubernetes"
COMPOSE_SCHEMA: Final = ROOT / "tests/unit/documents/data/compose-spec.json"
# As docs/operations/deployment.md says: within it a node that was asked to stop has ended.
STOP_WITHIN_S: Final = 30
SETTINGS: Final = {
    name for model in (Config, *included_settings()) for name in variable_names(model)
}


def objects() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(KUBERNETES.glob("*.yaml")):
        if path.name != "kustomization.yaml":
            for each in yaml.safe_load_all(path.read_text()):
                yield f"{path.stem}: {each['kind']} {each['metadata']['name']}", each


OBJECTS: Final = dict(objects())
PRODUCTION: Final[dict[str, Any]] = yaml.safe_load((DEPLOY / "production.yaml").read_text())


def pod_specs() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, each in OBJECTS.items():
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            yield name, spec["template"]["spec"]


# ---------------------------------------------------------------------- Kubernetes


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_is_what_kubernetes_takes(name: str) -> None:
    kubernetes_validate.validate(OBJECTS[name], "1.33", strict=True)


def test_a_mistake_in_an_object_would_be_seen() -> None:
    nodes = json.loads(json.dumps(OBJECTS["nodes: StatefulSet playhall"]))
    nodes["spec"]["template"]["spec"]["terminationGracePeriod"] = 60
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(nodes, "1.33", strict=True)


def test_every_file_is_applied() -> None:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    there = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed) == there


def test_a_rolling_update_takes_one_node_at_a_time_and_gives_it_time_to_drain() -> None:
    nodes = OBJECTS["nodes: StatefulSet playhall"]["spec"]
    pod = nodes["template"]["spec"]
    (container,) = pod["containers"]
    waits = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    ready = container["readinessProbe"]
    # A pod leaves the service when it begins to terminate; proxies notice meanwhile.
    assert waits >= ready["periodSeconds"]
    assert pod["terminationGracePeriodSeconds"] >= waits + STOP_WITHIN_S
    assert nodes["updateStrategy"]["type"] == "RollingUpdate"
    assert nodes["minReadySeconds"] > 0
    assert nodes["replicas"] >= 2
    budget = OBJECTS["nodes: PodDisruptionBudget playhall"]["spec"]
    assert budget["maxUnavailable"] == 1
    assert (
        budget["selector"]["matchLabels"].items() <= nodes["template"]["metadata"]["labels"].items()
    )
    assert DRAIN_TIMEOUT_S + serving.BROKER_DRAIN_TIMEOUT_S < STOP_WITHIN_S


def test_probes_ask_what_a_node_answers() -> None:
    (container,) = OBJECTS["nodes: StatefulSet playhall"]["spec"]["template"]["spec"]["containers"]
    paths = {
        probe: container[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert paths == {
        "startupProbe": "/healthz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
    }
    openapi = json.loads((ROOT / "docs/openapi.json").read_text())
    assert openapi["paths"].keys() >= set(paths.values())


@pytest.mark.parametrize(("name", "pod"), list(pod_specs()), ids=lambda each: str(each)[:30])
def test_no_pod_is_root_or_writes_to_its_image(name: str, pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"]
    user = pod["securityContext"]["runAsUser"]
    assert f"useradd --uid {user} " in (DEPLOY / "Dockerfile").read_text()
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert {"/data", "/tmp"} <= mounts, name
        assert "memory" in container["resources"]["limits"]


def test_services_select_the_nodes() -> None:
    labels = OBJECTS["nodes: StatefulSet playhall"]["spec"]["template"]["metadata"]["labels"]
    for name in ("services: Service playhall", "services: Service playhall-nodes"):
        assert OBJECTS[name]["spec"]["selector"] == labels
    assert OBJECTS["services: Service playhall-nothing"]["spec"]["selector"] != labels
    policy = OBJECTS["network: NetworkPolicy playhall"]["spec"]["podSelector"]["matchLabels"]
    assert policy == labels


def test_settings_of_the_nodes_exist_and_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    data = OBJECTS["settings: ConfigMap playhall"]["data"]
    assert data.keys() <= SETTINGS
    for name, value in data.items():
        monkeypatch.setenv(name, value)
    for model in (Config, *included_settings()):
        model()


# ---------------------------------------------------------------------- Compose


def test_the_compose_file_is_one() -> None:
    jsonschema_rs.validator_for(json.loads(COMPOSE_SCHEMA.read_text())).validate(PRODUCTION)


def test_the_compose_file_has_what_it_refers_to() -> None:
    services = PRODUCTION["services"]
    assert {"node1", "node2", "postgres", "valkey", "coturn", "proxy", "prometheus", "grafana"} <= (
        services.keys()
    )
    for name, described in services.items():
        assert described.get("depends_on", {}).keys() <= services.keys()
        for volume in described.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (DEPLOY / source).exists() or source in PRODUCTION["volumes"], volume
        image, _, tag = described["image"].rpartition(":")
        assert image == "playhall" or re.match(r"v?\d+\.\d+", tag), name
    for name in ("node1", "node2"):
        node = services[name]
        assert node["read_only"] is True
        assert int(node["stop_grace_period"].removesuffix("s")) > STOP_WITHIN_S
        assert set(node["environment"]) <= SETTINGS
        proxy = services["proxy"]["networks"]["inside"]["ipv4_address"]
        assert node["environment"]["PLAYHALL_TRUSTED_PROXIES"] == proxy
    assert services["proxy"]["environment"]["PLAYHALL_NODES"] == "node1:8080 node2:8080"


def test_the_example_of_the_environment_has_every_variable() -> None:
    text = (DEPLOY / "production.yaml").read_text()
    example = (DEPLOY / "production.env.example").read_text()
    used = set(re.findall(r"\$\{(\w+)", text))
    assert used == set(re.findall(r"^(\w+)=", example, re.M))


def test_only_the_proxy_and_turn_are_open_to_everybody() -> None:
    for name, described in PRODUCTION["services"].items():
        for port in described.get("ports", ()):
            assert name == "proxy" or port.startswith("127.0.0.1:"), f"{name} {port}"


def test_prometheus_scrapes_the_nodes_of_the_compose_file_and_the_collector_listens() -> None:
    scraped = yaml.safe_load(RULES.with_name("prometheus.yaml").read_text())["scrape_configs"]
    (playhall,) = scraped
    assert playhall["job_name"] == "playhall", "as the rules expect"
    targets = [target for each in playhall["static_configs"] for target in each["targets"]]
    assert targets == ["node1:8080", "node2:8080"]
    collector = yaml.safe_load((DEPLOY / "otel/collector.yaml").read_text())
    endpoint = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    url = PRODUCTION["services"]["node1"]["environment"]["PLAYHALL_OTLP_URL"]
    assert url.rpartition(":")[2] == endpoint.rpartition(":")[2]
    pipeline = collector["service"]["pipelines"]["traces"]
    for part in ("receivers", "processors", "exporters"):
        assert set(pipeline[part]) <= collector[part].keys()


# ---------------------------------------------------------------------- systemd


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_units_are_what_systemd_takes(tmp_path: Path) -> None:
    program = tmp_path / "playhall"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in (DEPLOY / "systemd").iterdir():
        text = unit.read_text().replace("/opt/playhall/bin/playhall", str(program))
        # A user that is not there is an error of this machine, not of the unit.
        text = text.replace("User=playhall", "User=root").replace("Group=playhall", "Group=root")
        (tmp_path / unit.name.replace("@", "@8081")).write_text(text)
    units = sorted(str(path) for path in tmp_path.glob("*.*"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert done.returncode == 0, done.stderr
    assert complaints == []


def test_a_unit_gives_a_node_time_to_drain() -> None:
    text = (DEPLOY / "systemd" / "playhall@.service").read_text()
    found = re.search(r"^TimeoutStopSec=(\d+)$", text, re.M)
    assert found is not None
    assert int(found[1]) > STOP_WITHIN_S
    assert "KillSignal=SIGTERM" in text
    named = set(re.findall(r"PLAYHALL_\w+", text))
    assert named <= SETTINGS


# ---------------------------------------------------------------------- the image


def test_the_image_has_a_stage_that_builds_and_ends_as_nobody() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    stages = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", text, re.M)
    assert [name for _, name in stages] == ["build", ""]
    assert len({image for image, _ in stages}) == 1, "bytecode is of one interpreter"
    last = text[text.rindex("FROM ") :]
    assert re.search(r"^USER \d+$", last, re.M)
    assert "STOPSIGNAL SIGTERM" in last
    assert "/healthz" in last
    assert last.index("USER ") < last.index("ENTRYPOINT")
