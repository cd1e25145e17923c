"""The inhibition rules, as Alertmanager reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.harness.alertmanager import Alertmanager
from tests.harness.waiting import eventually
from tests.render.bundled_files import catalogue, matching, rendered

SNIPPET = "alerts/alertmanager-inhibit.yaml"


def test_alertmanager_takes_the_rules(tmp_path: Path) -> None:
    amtool = shutil.which("amtool")
    if amtool is None:
        pytest.skip("amtool is not on this machine")
    document = {"route": {"receiver": "none"}, "receivers": [{"name": "none"}], **yaml.safe_load(rendered()[SNIPPET])}
    path = tmp_path / "alertmanager.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    done = subprocess.run([amtool, "check-config", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "5 inhibit rules" in done.stdout


def test_a_critical_row_does_not_mute_the_warning_of_another() -> None:
    rules = yaml.safe_load(rendered()[SNIPPET])["inhibit_rules"]
    (equal,) = (set(rule["equal"]) for rule in rules if rule["target_matchers"] == ['severity="warning"'])
    assert {label for check in catalogue() for label in check.labels} <= equal
    assert {"alertname", "target", "job", "instance"} <= equal


SHOP = {"job": "j", "instance": "a", "target": "shop", "component": "postgres"}
CACHE = {"job": "j", "instance": "a", "target": "cache", "component": "redis"}
BLOG = {**SHOP, "target": "blog"}
ELSEWHERE = {**SHOP, "instance": "b"}
GONE = {"job": "j", "instance": "c", "target": "shop", "component": "postgres"}
OURS = {"component": "dbwatch"}


def critical(name: str, **labels: str) -> dict[str, str]:
    return {"alertname": name, "severity": "critical", **labels}


def warning(name: str, **labels: str) -> dict[str, str]:
    return {"alertname": name, "severity": "warning", **labels}


LOST = critical("PostgresServerUnreachable", **SHOP)
ORDERS = critical("PostgresIdleInTransaction", **BLOG, database="orders", role="app")
DOWN = critical("DbwatchTargetDown", **{**CACHE, **OURS})
DEAD = critical("DbwatchDown", job="j", instance="c", **OURS)
MISSING = critical("DbwatchMissing", job="gone", **OURS)
DEADLOCKS = critical("PostgresDeadlock", **BLOG, check="deadlock", status="critical")
CASES = {
    "a target that is lost has no other news": (warning("PostgresLongQuery", **SHOP, database="d"), LOST),
    "not even critical ones": (critical("PostgresReplicationSlot", **SHOP, slot="s"), LOST),
    "nor about its checks": (warning("DbwatchCheckStale", **{**SHOP, **OURS}, check="long_query"), LOST),
    "but what may explain it": (critical("PostgresConnectionsSaturated", **SHOP), None),
    "another target of the daemon goes on": (warning("PostgresLongQuery", **BLOG, database="d"), None),
    "so does one of its name elsewhere": (warning("PostgresLongQuery", **ELSEWHERE, database="d"), None),
    "and what is not ours": (warning("NodeDiskFull", job="j", instance="a", target="shop"), None),
    "no session is no news either": (warning("RedisHitRatioLow", **CACHE), DOWN),
    "a warning of slowness mutes nothing": (warning("PostgresServerUnreachable", **ELSEWHERE), None),
    "critical says what its warning says": ({**ORDERS, "severity": "warning"}, ORDERS),
    "not of another row": (warning("PostgresIdleInTransaction", **BLOG, database="crm", role="app"), None),
    "nor of another alert": (warning("PostgresLongTransaction", **BLOG, database="orders", role="app"), None),
    "a dead daemon knows nothing": (critical("PostgresSplitBrain", **GONE), DEAD),
    "nor of lost targets": (critical("DbwatchTargetDown", **{**GONE, **OURS}), DEAD),
    "a job without one as little": (warning("PostgresLongQuery", **{**BLOG, "job": "gone"}, database="d"), MISSING),
    "a verdict names no row": (warning("PostgresDeadlock", **BLOG, database="crm"), DEADLOCKS),
    "and is of one target": (warning("PostgresDeadlock", **ELSEWHERE, database="crm"), None),
    "a stuck one is not muted by it": (critical("DbwatchSchedulerStuck", job="j", instance="c", **OURS), None),
}


def test_a_real_alertmanager_keeps_to_itself_what_is_an_echo() -> None:
    with Alertmanager({"inhibit_rules": yaml.safe_load(rendered()[SNIPPET])["inhibit_rules"]}) as alertmanager:
        sources = [LOST, ORDERS, DOWN, DEAD, MISSING, DEADLOCKS]
        alertmanager.post([*sources, *(labels for labels, _ in CASES.values())])
        wanted = len(sources) + len(CASES)
        found = eventually(
            lambda: alerts if len(alerts := alertmanager.alerts()) == wanted else None, what="all alerts are there"
        )
        assert found is not None
        prints = {alert["fingerprint"]: alert["labels"] for alert in found}

        def muted_by(labels: dict[str, str]) -> list[dict[str, str]]:
            (alert,) = (alert for alert in alertmanager.alerts() if alert["labels"] == labels)
            return [prints[source] for source in alert["status"]["inhibitedBy"]]

        for name, (labels, source) in CASES.items():
            expected = [source] if source is not None else []
            eventually(
                lambda labels=labels, expected=expected: muted_by(labels) == expected,  # type: ignore[misc]
                what=f"{name}: {labels} is muted by {expected}",
            )
        assert all(not muted_by(source) for source in sources)


def test_every_alert_named_in_the_rules_exists() -> None:
    alerts = {
        rule["alert"]
        for text in matching("alerts/*.rules.yaml").values()
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
    }
    named = re.findall(r"(?:Dbwatch|Postgres|Redis|Backup)[A-Za-z0-9]+", rendered()[SNIPPET])
    assert named
    assert set(named) <= alerts
