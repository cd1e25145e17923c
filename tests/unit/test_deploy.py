"""The examples of deploy/: valid for those who read them, hardened, without a password, and one in what they repeat."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbwatch.config import load_config
from tests.harness.binaries import program

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PORT = 10187


@pytest.fixture
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.sidecar.yaml").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture
def manifests() -> dict[str, dict[str, Any]]:
    """The Kubernetes objects by kind."""
    texts = [path.read_text(encoding="utf-8") for path in (DEPLOY / "kubernetes").glob("*.yaml")]
    return {document["kind"]: document for text in texts for document in yaml.safe_load_all(text)}


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


# -- dbwatch itself --------------------------------------------------------------------------------


def test_the_sidecars_configuration_is_valid() -> None:
    (target,) = load_config(DEPLOY / "dbwatch.yaml").targets
    assert (target.name, target.host, target.port, target.user) == ("orders", "127.0.0.1", 5432, "dbwatch")
    assert target.password is not None
    assert target.password.file == Path("/run/secrets/dbwatch_password")
