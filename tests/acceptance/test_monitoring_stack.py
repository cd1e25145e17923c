"""The stack of deploy/compose together, from the programs of this machine: a fault on a database becomes a firing alert
in Alertmanager, one that says what it is about, and resolves when the fault is over.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.alertmanager import Alertmanager
from tests.harness.daemon import Daemon
from tests.harness.postgres import Postgres
from tests.harness.prometheus import Prometheus
from tests.harness.redis import RedisServer
from tests.harness.waiting import eventually
from tests.render.bundled_files import matching, rendered

COMPOSE = Path(__file__).resolve().parents[2] / "deploy" / "compose"
CHECKS = ("server_unreachable", "connections_saturated", "redis_unreachable")

pytestmark = pytest.mark.timeout(180)


def example(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((COMPOSE / name).read_text(encoding="utf-8"))
    return document


def configured(orders: Postgres, cache: RedisServer) -> str:
    """The targets of the example where they are here, looked at every second."""
    document = example("dbwatch.yaml")
    urls = {"orders": orders.create_monitor_role(), "cache": cache.url()}
    for target in document["targets"]:
        del target["password_file"]
        target["url"] = urls[target["name"]]
    document["defaults"] = {"connect_timeout": "2s", "intervals": dict.fromkeys(CHECKS, "1s")}
    return json.dumps(document)


def quick_rules(folder: Path) -> list[Path]:
    """The bundled rules, whose minutes are seconds here."""
    paths = []
    for path, text in matching("alerts/*.rules.yaml").items():
        document = yaml.safe_load(text)
        for group in document["groups"]:
            for rule in group["rules"]:
                rule.update({name: "1s" for name in ("for", "keep_firing_for") if name in rule})
        paths.append(folder / Path(path).name)
        paths[-1].write_text(yaml.safe_dump(document), encoding="utf-8")
    return paths


def test_a_fault_becomes_an_alert_and_resolves(tmp_path: Path) -> None:
    with ExitStack() as stack:
        orders = stack.enter_context(Postgres(18, settings={"max_connections": "12"}))
        cache = stack.enter_context(RedisServer("redis-7.0"))
        daemon = stack.enter_context(Daemon(config_text=configured(orders, cache)))
        alertmanager = stack.enter_context(
            Alertmanager(
                {**example("alertmanager.yaml"), **yaml.safe_load(rendered()["alerts/alertmanager-inhibit.yaml"])}
            )
        )
        prometheus = Prometheus([f"127.0.0.1:{daemon.port}"], rule_files=quick_rules(tmp_path))
        given = example("prometheus.yaml")
        assert [job["job_name"] for job in given["scrape_configs"]] == ["dbwatch"]
        given["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{alertmanager.port}"]}]
        prometheus.config["alerting"] = given["alerting"]
        stack.enter_context(prometheus)
        prometheus.wait_scraped()

        def firing(name: str, target: str) -> list[dict[str, Any]]:
            wanted = {"alertname": name, "target": target, "severity": "critical"}
            return [one for one in alertmanager.alerts() if wanted.items() <= one["labels"].items()]

        faults = (("RedisUnreachable", "cache"), ("PostgresConnectionsSaturated", "orders"))
        cache.stop()
        pool = [stack.enter_context(orders.connect()) for _ in range(9)]
        for fault in faults:
            (alert,) = eventually(partial(firing, *fault), timeout=60, what=f"{fault}")
            said = alert["annotations"]
            assert fault[1] in said["description"]
            assert said["command"].startswith("dbwatch explain ")
            assert f"var-target={fault[1]}" in said["dashboard_url"]
            assert said["runbook_url"].endswith(".md")
        cache.start()
        for session in pool:
            session.close()
        for fault in faults:
            eventually(lambda fault=fault: not firing(*fault), timeout=60, what=f"{fault} is over")  # type: ignore[misc]
