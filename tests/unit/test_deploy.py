"""The examples of deploy/: valid for those who read them, hardened, without a password, and one in what they repeat."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightkube.models import apps_v1, core_v1

from dbwatch.config import load_config
from dbwatch.config.shard import Shard
from tests.harness.binaries import program

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PORT = 10187
MODELS: dict[tuple[str, str], Any] = {
    ("v1", "ConfigMap"): core_v1.ConfigMap,
    ("v1", "Pod"): core_v1.Pod,
    ("v1", "Service"): core_v1.Service,
    ("apps/v1", "Deployment"): apps_v1.Deployment,
    ("apps/v1", "StatefulSet"): apps_v1.StatefulSet,
}
"""The rest are the operator's own kinds."""


@pytest.fixture
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.sidecar.yaml").read_text(encoding="utf-8"))
    return loaded


def objects(*names: str) -> list[dict[str, Any]]:
    """The Kubernetes objects of these files, or of all."""
    paths = [DEPLOY / "kubernetes" / name for name in names] or sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [found for path in paths for found in yaml.load_all(path.read_text(encoding="utf-8"), Loader=loader)]


@pytest.fixture
def manifests() -> dict[str, dict[str, Any]]:
    """The objects of the sidecar by kind."""
    return {document["kind"]: document for document in objects("sidecar.yaml", "podmonitor.yaml")}


@pytest.fixture
def stack() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def leaves(node: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every scalar with the names that lead to it."""
    if isinstance(node, dict):
        for name, inner in node.items():
            yield from leaves(inner, f"{path}.{name}")
    elif isinstance(node, list):
        for inner in node:
            yield from leaves(inner, path)
    else:
        yield path, node


# -- Prometheus ------------------------------------------------------------------------------------


def test_prometheus_takes_the_scrape_configuration_with_our_rules(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "prometheus.yaml", tmp_path)
    shutil.copytree(ROOT / "alerts", tmp_path / "alerts")
    argv = [str(program("promtool")), "check", "config", str(tmp_path / "prometheus.yaml")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rules = len(list((ROOT / "alerts").glob("*.rules.yaml")))
    assert rules > 2
    assert f"SUCCESS: {rules} rule files found" in done.stdout


# -- Compose ---------------------------------------------------------------------------------------


def test_the_compose_sidecar_is_hardened_and_shares_the_databases_network(compose: dict[str, Any]) -> None:
    sidecar, database = compose["services"]["dbwatch"], compose["services"]["database"]
    assert sidecar["network_mode"] == "service:database"
    assert "ports" not in sidecar
    assert database["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert (sidecar["read_only"], sidecar["cap_drop"]) == (True, ["ALL"])
    assert "no-new-privileges:true" in sidecar["security_opt"]


def test_what_compose_mounts_is_there(compose: dict[str, Any]) -> None:
    mounts = [mount for service in compose["services"].values() for mount in service["volumes"]]
    files = [mount.split(":")[0] for mount in mounts if mount.startswith(".")]
    assert sorted(files) == ["./dbwatch.yaml", "./role.sql"]
    assert all((DEPLOY / name).is_file() for name in files)
    assert (DEPLOY / compose["services"]["dbwatch"]["build"] / "Dockerfile").is_file()
    named = {name for service in compose["services"].values() for name in service["secrets"]}
    assert named == set(compose["secrets"])


def test_no_example_holds_a_password(compose: dict[str, Any], manifests: dict[str, dict[str, Any]]) -> None:
    assert "Secret" not in manifests
    for path, value in leaves([compose, *manifests.values()]):
        if path.lower().endswith("password"):
            pytest.fail(f"{path} is {value!r}")
    assert {source["file"].split("/")[1] for source in compose["secrets"].values()} == {"secrets"}


@pytest.mark.parametrize("name", ["compose.sidecar.yaml", "compose/compose.yaml"])
def test_both_sides_of_a_password_may_read_it(name: str) -> None:
    """role.sql runs as postgres, 999 in its image. What it cannot read is an empty password, and no error."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    assert re.search(r"chown 65532:999 \S*dbwatch_password\b", text)
    assert re.search(r"chmod 440 \S*(\*|dbwatch)_password\b", text)
    assert "chmod 400" not in text


def test_git_leaves_the_passwords_alone() -> None:
    assert "secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()


def test_the_whole_stack_mounts_what_is_there(stack: dict[str, Any]) -> None:
    folder = DEPLOY / "compose"
    services = stack["services"]
    assert set(services) == {"postgres", "redis", "dbwatch", "prometheus", "alertmanager", "grafana"}
    mounts = [mount.split(":")[0] for service in services.values() for mount in service.get("volumes", [])]
    assert all((folder / mount).exists() for mount in mounts if mount.startswith("."))
    assert {mount for mount in mounts if not mount.startswith(".")} == set(stack["volumes"])
    assert {name for service in services.values() for name in service.get("secrets", [])} == set(stack["secrets"])
    assert (folder / services["dbwatch"]["build"] / "Dockerfile").is_file()
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert name == "dbwatch" or re.search(r":v?\d+", service["image"]), f"{name} has no version"


def test_the_stack_watches_its_own_services(stack: dict[str, Any]) -> None:
    """Names are those of the network that compose makes."""
    targets = load_config(DEPLOY / "compose" / "dbwatch.yaml").targets
    assert {target.host for target in targets} <= set(stack["services"])
    prometheus = yaml.safe_load((DEPLOY / "compose" / "prometheus.yaml").read_text(encoding="utf-8"))
    named = [job["static_configs"][0]["targets"][0] for job in prometheus["scrape_configs"]]
    named += prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert {address.partition(":")[0] for address in named} <= set(stack["services"])


def test_alertmanager_takes_its_two_files(tmp_path: Path) -> None:
    whole = (DEPLOY / "compose" / "alertmanager.yaml").read_text(encoding="utf-8")
    whole += (ROOT / "alerts" / "alertmanager-inhibit.yaml").read_text(encoding="utf-8")
    path = tmp_path / "alertmanager.yaml"
    path.write_text(whole, encoding="utf-8")
    argv = [str(program("amtool")), "check-config", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_finds_the_dashboards_and_its_data_source(stack: dict[str, Any]) -> None:
    folder = ROOT / "dashboards" / "provisioning"
    (provider,) = yaml.safe_load((folder / "dashboards" / "dbwatch.yaml").read_text(encoding="utf-8"))["providers"]
    mounts = dict(mount.split(":")[:2] for mount in stack["services"]["grafana"]["volumes"] if mount.startswith("."))
    assert mounts["../../dashboards"] == provider["options"]["path"]
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text(encoding="utf-8"))["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")


# -- Kubernetes ------------------------------------------------------------------------------------


def test_the_pods_sidecar_is_hardened(manifests: dict[str, dict[str, Any]]) -> None:
    pod = manifests["Pod"]["spec"]
    sidecar = next(container for container in pod["containers"] if container["name"] == "dbwatch")
    assert sidecar["securityContext"] == {
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert {volume["name"] for volume in pod["volumes"]} == {
        mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]
    }


def test_the_monitor_never_takes_the_database_out_of_service(manifests: dict[str, dict[str, Any]]) -> None:
    sidecar = next(item for item in manifests["Pod"]["spec"]["containers"] if item["name"] == "dbwatch")
    assert "readinessProbe" not in sidecar
    for probe in ("livenessProbe", "startupProbe"):
        assert sidecar[probe]["httpGet"] == {"path": "/healthz", "port": "dbwatch"}
    assert sidecar["ports"] == [{"name": "dbwatch", "containerPort": PORT}]
    (endpoint,) = manifests["PodMonitor"]["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("dbwatch", "/metrics")


def test_the_config_map_holds_the_same_files_as_compose_mounts(manifests: dict[str, dict[str, Any]]) -> None:
    data = manifests["ConfigMap"]["data"]
    assert data == {name: (DEPLOY / name).read_text(encoding="utf-8") for name in ("dbwatch.yaml", "role.sql")}


def test_every_object_is_one_that_kubernetes_knows() -> None:
    """Through the published types and back: an unknown field would be lost, one of the wrong type refused."""
    kinds = set()
    for manifest in objects():
        kinds.add(manifest["kind"])
        if (model := MODELS.get((manifest["apiVersion"], manifest["kind"]))) is not None:
            assert model.from_dict(manifest, lazy=False).to_dict() == manifest
    assert kinds == {"ConfigMap", "Deployment", "Pod", "PodMonitor", "PrometheusRule", "Service", "StatefulSet"}


def test_a_misspelt_field_would_be_noticed() -> None:
    (_, deployment, _) = objects("deployment.yaml")
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    assert apps_v1.Deployment.from_dict(deployment, lazy=False).to_dict() != deployment


def test_the_rules_of_the_operator_are_ours(tmp_path: Path) -> None:
    rules = objects("prometheus-rules.yaml")
    files = [yaml.safe_load(path.read_bytes()) for path in sorted((ROOT / "alerts").glob("*.rules.yaml"))]
    assert [group for rule in rules for group in rule["spec"]["groups"]] == [
        g for file in files for g in file["groups"]
    ]
    assert len({rule["metadata"]["name"] for rule in rules}) == len(rules)
    for rule in rules:
        assert (rule["apiVersion"], set(rule["spec"])) == ("monitoring.coreos.com/v1", {"groups"})
        path = tmp_path / f"{rule['metadata']['name']}.yaml"
        path.write_text(yaml.safe_dump(rule["spec"]), encoding="utf-8")
    argv = [str(program("promtool")), "check", "rules", *map(str, sorted(tmp_path.glob("*.yaml")))]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_kubectl_can_apply_every_object() -> None:
    """It keeps a copy of the object among its annotations, which take 256 KiB together; `<>&` are written as six."""
    for found in objects():
        text = json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
        size = len(text) + 5 * sum(text.count(sign) for sign in b"<>&")
        assert size < 250 * 1024, f"{found['metadata']['name']} is too large: {size}"


def test_the_config_maps_hold_the_dashboards() -> None:
    held = {name: json.loads(text) for found in objects("dashboards.yaml") for name, text in found["data"].items()}
    assert held == {path.name: json.loads(path.read_bytes()) for path in (ROOT / "dashboards").glob("*.json")}


def test_one_daemon_for_many_targets_is_hardened_and_its_configuration_valid(tmp_path: Path) -> None:
    config, deployment, service = objects("deployment.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {v["name"] for v in pod["volumes"]} == {mount["name"] for mount in container["volumeMounts"]}
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    path = tmp_path / "dbwatch.yaml"
    path.write_text(config["data"]["dbwatch.yaml"], encoding="utf-8")
    assert [target.name for target in load_config(path).targets] == ["orders", "cache"]


def test_the_pods_of_a_fleet_are_its_shards(tmp_path: Path) -> None:
    config, fleet, service = objects("statefulset.yaml")
    (container,) = fleet["spec"]["template"]["spec"]["containers"]
    set_to = {each["name"]: each for each in container["env"]}
    assert set_to["ORDINAL"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['apps.kubernetes.io/pod-index']"
    names = [each["name"] for each in container["env"]]
    assert names.index("ORDINAL") < names.index("DBWATCH_SHARD"), "only what stands before it is put in"
    path = tmp_path / "dbwatch.yaml"
    path.write_text(config["data"]["dbwatch.yaml"], encoding="utf-8")
    whole = load_config(path)
    written = set_to["DBWATCH_SHARD"]["value"]
    parts = [Shard.parse(written.replace("$(ORDINAL)", str(pod))).of(whole) for pod in range(fleet["spec"]["replicas"])]
    watched = [target.name for part in parts for target in part.targets]
    assert sorted(watched) == ["orders-1", "orders-2", "shop"]
    assert service["spec"]["selector"] == fleet["spec"]["selector"]["matchLabels"]
    assert fleet["spec"]["serviceName"] == service["metadata"]["name"]
    assert fleet["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


# -- dbwatch itself --------------------------------------------------------------------------------


def test_the_sidecars_configuration_is_valid() -> None:
    (target,) = load_config(DEPLOY / "dbwatch.yaml").targets
    assert (target.name, target.host, target.port, target.user) == ("orders", "127.0.0.1", 5432, "dbwatch")
    assert target.password is not None
    assert target.password.file == Path("/run/secrets/dbwatch_password")
