"""The daemon as its users meet it: its pages, and a real Prometheus that scrapes it.

Its reload and its end are in tests/faults/test_reload_and_end.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import dbwatch
from tests.acceptance.shop_and_cache import World, config, shop_and_cache, target
from tests.harness.daemon import Daemon
from tests.harness.prometheus import Prometheus
from tests.harness.promtool import check_metrics
from tests.harness.proxy import Proxy
from tests.harness.series import up
from tests.harness.waiting import eventually

ALERTS = sorted((Path(__file__).parents[2] / "alerts").glob("*.rules.yaml"))
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with shop_and_cache() as found:
        yield found


@pytest.fixture(scope="module")
def daemon(world: World) -> Iterator[Daemon]:
    """One that nobody changes."""
    with Daemon(config_text=world.text) as running:
        running.wait_ready()
        yield running


def test_the_process_is_the_one_that_was_started_and_lighter(daemon: Daemon) -> None:
    """It executes itself anew with what it has read."""
    process = Path(f"/proc/{daemon.pid}")
    assert process.joinpath("cmdline").read_bytes().split(b"\0")[1:4] == [b"-m", b"dbwatch", b"serve"]
    loaded = process.joinpath("maps").read_text()
    assert "psycopg" in loaded
    assert "pydantic_core" not in loaded
    assert not [file for file in process.joinpath("fd").iterdir() if "memfd" in str(file.readlink())]
    variables = (line.split("=", 1) for line in process.joinpath("environ").read_text().split("\0") if "=" in line)
    copied = {name: text for name, text in variables if name.startswith("DBWATCH_")}
    assert copied
    assert dbwatch("--version", env=copied).code == 0


# -- pages -----------------------------------------------------------------------------------------


def test_health_and_readiness(daemon: Daemon) -> None:
    assert daemon.get("/healthz").text == "ok\n"
    assert daemon.get("/readyz").text == "ready\n"


def test_service_discovery_names_the_address_it_was_asked_at(daemon: Daemon) -> None:
    assert daemon.get("/sd").json() == [{"targets": [f"127.0.0.1:{daemon.port}"], "labels": {}}]


def test_only_reading_is_allowed(daemon: Daemon) -> None:
    for path in ("/", "/metrics", "/healthz", "/readyz", "/api/v1/status", "/sd"):
        assert daemon.get(path, method="HEAD").status_code == 200
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert daemon.get(path, method=method).status_code == 405
    assert daemon.get("/nothing").status_code == 404


def test_the_page_shows_every_target_and_check(daemon: Daemon) -> None:
    page = daemon.get("/").text
    assert "<script" not in page
    for entry in daemon.status()["targets"]:
        assert entry["target"] in page
        for check in entry["checks"]:
            assert check["check"] in page


def test_the_real_page_pleases_promtool(daemon: Daemon) -> None:
    assert check_metrics(daemon.metrics()) == ""


def test_the_daemon_and_the_command_agree(world: World, daemon: Daemon) -> None:
    """Every check has the same status and reason, whoever asks; the first reading is not the last word."""

    def settled() -> list[dict[str, Any]]:
        targets: list[dict[str, Any]] = daemon.status()["targets"]
        return [] if "no_baseline" in str(targets) else targets

    told = eventually(settled, timeout=30, every=0.2, what="every check has its second reading")
    asked = dbwatch("check", "--config", daemon.config_path, "--format", "json", "--sample", "1").document
    mine = {(entry["target"], c["check"]): (c["status"], c["reason"]) for entry in told for c in entry["checks"]}
    theirs = {
        (entry["target"], c["check"]): (c["status"], c["reason"]) for entry in asked["targets"] for c in entry["checks"]
    }
    assert mine == theirs
    assert [entry["server"] for entry in told] == [entry["server"] for entry in asked["targets"]]
    assert set(daemon.status()) == set(asked)


def test_an_idle_server_has_few_series(daemon: Daemon) -> None:
    """What every target of everybody costs everybody's Prometheus. Who adds a check adds seven or so."""
    lines = [line for line in daemon.metrics().splitlines() if not line.startswith("#")]
    for name, most in (("shop", 1_400), ("cache", 550)):
        found = [line for line in lines if f'target="{name}"' in line]
        assert 100 < len(found) <= most, f"{name}: {len(found)}"


def test_of_two_shards_one_has_the_target_and_both_are_up(world: World) -> None:
    text = config(target("shop", world.url))
    with Daemon(["--shard", "0/2"], config_text=text) as one, Daemon(["--shard", "1/2"], config_text=text) as other:
        for daemon in (one, other):
            daemon.wait_ready()
        assert sorted(len(daemon.status()["targets"]) for daemon in (one, other)) == [0, 1]


def test_the_first_scrape_comes_before_the_first_pass(world: World) -> None:
    """Nothing is known yet, and that is what it says: every target is there and none is up."""
    with Proxy(world.pg.port) as proxy:
        proxy.deaf()
        with Daemon(config_text=config(target("shop", proxy.url(world.url)))) as daemon:
            assert up("shop", 0) in daemon.metrics().splitlines()
            assert daemon.get("/readyz").status_code == 503
            assert daemon.get("/").status_code == 200
            assert daemon.status()["targets"][0]["target"] == "shop"
            assert check_metrics(daemon.metrics()) == ""
            proxy.pass_()
            daemon.wait_metric(up("shop", 1))
            daemon.wait_ready()


# -- Prometheus ------------------------------------------------------------------------------------


def test_prometheus_scrapes_it_and_evaluates_every_rule(daemon: Daemon) -> None:
    assert daemon.get("/metrics", OPENMETRICS).headers["content-type"].startswith("application/openmetrics-text")
    with Prometheus([f"127.0.0.1:{daemon.port}"], rule_files=ALERTS) as prometheus:
        prometheus.wait_scraped()
        eventually(lambda: prometheus.value("up") == 1, what="up is 1")
        eventually(lambda: prometheus.value("count(dbwatch_target_up == 1)") == 2, what="both targets are up")

        def evaluated() -> list[dict[str, Any]]:
            rules = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
            return rules if all(rule["health"] != "unknown" for rule in rules) else []

        rules = eventually(evaluated, timeout=30, what="every rule was evaluated")
        assert len(rules) > 20
        assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []
        # It asks for OpenMetrics, and takes what it gets whole: it would tell of a line it could not read.
        (scraped,) = prometheus.targets()
        assert scraped["lastError"] == ""
        units = {entry["type"] for name in prometheus.api("metadata").values() for entry in name}
        assert {"gauge", "counter", "histogram"} <= units
        assert not [alert for alert in prometheus.alerts() if alert["labels"]["alertname"] == "DbwatchDown"]


def test_an_address_in_use_is_one_message(daemon: Daemon, world: World) -> None:
    asked = dbwatch("serve", world.url, "--web.listen-address", f"127.0.0.1:{daemon.port}")
    assert asked.code == 3
    assert "cannot be listened on" in asked.err
    assert "Traceback" not in asked.err
    assert not world.backends("nobody")
