"""One fault, one verdict: the command, the metric, the alert and the page say the same of every fault of the demo.

The faults are real and so are the servers, the daemon and the Prometheus; what the report offers as a fix is tried.
"""

from __future__ import annotations

import functools
import html
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import yaml

from dbwatch.catalogue import Check
from dbwatch.config import Config, load_config
from dbwatch.demo.faults import CONFIG, PLANTED, POSTGRES_SETTINGS, REDIS_SETTINGS, Faults
from dbwatch.demo.servers import Servers
from dbwatch.levels import to_promql
from dbwatch.model import Status
from dbwatch.render import alert_name, render_all
from dbwatch.render.expression import alert_expression, promql_context
from dbwatch.runner.plan import selected
from tests.acceptance.command import dbwatch
from tests.harness.daemon import Daemon
from tests.harness.prometheus import Prometheus
from tests.harness.waiting import eventually

FAULTS = [(target, check) for target, checks in PLANTED.items() for check in checks]
SESSIONS = ("idle_in_transaction", "long_transaction", "blocked_session", "connections_saturated")
"""Faults that end with the sessions that cause them."""


@dataclass(slots=True)
class World:
    host: str
    socket: str
    config: Config
    daemon: Daemon
    prometheus: Prometheus
    reported: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def check(self, target: str, name: str) -> Check:
        """The check with the thresholds of this target."""
        (settled,) = (entry for entry in self.config.targets if entry.name == target)
        (check,) = (check for check in selected(self.config.catalogue, settled) if check.name == name)
        return check

    def now(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What the daemon's document says of every check."""
        return by_fault(self.daemon.status())

    def firing(self, name: str, target: str) -> set[str]:
        """The severities in which the alert fires for the target."""
        series = self.prometheus.query(f'ALERTS{{alertstate="firing",alertname="{name}",target="{target}"}}')
        return {entry["metric"]["severity"] for entry in series}

    def shop(self, user: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(host=self.host, user=user, dbname="shop", autocommit=True)


def by_fault(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(entry["target"], check["check"]): check for entry in document["targets"] for check in entry["checks"]}


def levels(check: Check, target: str) -> Iterator[dict[str, Any]]:
    """The levels of a check as they stand in its file and config, each as a rule, where PromQL can say them."""
    for status, expression in check.levels.items():
        if alert_expression(check, status).reason is None:
            promql = to_promql(expression, promql_context(check, f'target="{target}"'))
            yield {"alert": f"Level_{check.name}", "expr": promql, "labels": {"severity": str(status)}}


def at_once(rules: str) -> dict[str, Any]:
    """A rule file whose alerts fire and end without delay."""
    document: dict[str, Any] = yaml.safe_load(rules)
    for group in document["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)
            rule.pop("keep_firing_for", None)
    return document


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with ExitStack() as running:
        servers = running.enter_context(Servers())
        host, socket = servers.start_postgres(POSTGRES_SETTINGS), servers.start_redis(REDIS_SETTINGS)
        running.enter_context(Faults(host, socket))
        often = yaml.safe_dump({"defaults": {"intervals": {name: "2s" for _, name in FAULTS}}})
        text = often + CONFIG.format(host=host, socket=socket)
        path = servers.directory / "dbwatch.yaml"
        path.write_text(text)
        config = load_config(path)

        def report() -> dict[tuple[str, str], dict[str, Any]]:
            answer = dbwatch("check", "--config", path, "--format", "json", "--sample", "2")
            assert answer.code == 2, answer
            found = by_fault(answer.document)
            missing = [fault for fault in FAULTS if found[fault]["status"] not in ("warning", "critical")]
            return found if not missing else {}

        # A transaction must get old and a statement be called twice before anybody can know.
        reported = eventually(report, timeout=45, what="the command finds every fault")
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="dbwatch-rules-")))
        files = {
            path: at_once(rules)
            for path, rules in render_all(config.catalogue).items()
            if path.startswith("alerts/") and "rules" in path
        }
        own = [
            rule
            for target in config.targets
            for check in selected(config.catalogue, target)
            if (target.name, check.name) in FAULTS
            for rule in levels(check, target.name)
        ]
        files["own.rules.yaml"] = {"groups": [{"name": "own", "rules": own}]}
        for name, document in files.items():
            (folder / Path(name).name).write_text(yaml.safe_dump(document))
        daemon = running.enter_context(Daemon(config_text=text))
        daemon.wait_ready()
        prometheus = Prometheus([f"127.0.0.1:{daemon.port}"], rule_files=sorted(folder.iterdir()))
        yield World(host, socket, config, daemon, running.enter_context(prometheus), reported)


@pytest.mark.parametrize(("target", "name"), FAULTS)
def test_the_command_the_metric_and_the_alert_agree(world: World, target: str, name: str) -> None:
    check, verdict = world.check(target, name), Status(world.reported[target, name]["status"])
    world.daemon.wait_metric(f'dbwatch_check_status{{check="{name}",target="{target}"}} {verdict.number:.1f}')

    # The alert that ships: it follows the verdict of a target with limits of its own, in that severity alone.
    severities = {finding["status"] for finding in world.reported[target, name]["findings"]}
    assert str(verdict) in severities
    eventually(
        lambda: world.firing(alert_name(check), target) == severities,
        timeout=30,
        every=0.3,
        what=f"{alert_name(check)} fires as {severities} and in no other severity",
    )

    # The level itself, as PromQL over the series of this daemon.
    said = [rule["labels"]["severity"] for rule in levels(check, target)]
    if str(verdict) in said:
        eventually(
            lambda: str(verdict) in world.firing(f"Level_{name}", target),
            timeout=30,
            every=0.3,
            what=f"the level {verdict} of {name} holds in Prometheus",
        )
    if verdict is Status.WARNING:
        assert "critical" not in world.firing(f"Level_{name}", target)


def test_levels_are_compared_in_promql_wherever_it_can_say_them(world: World) -> None:
    """Most can; the test above would prove little if it had skipped them."""
    compared = [name for target, name in FAULTS if list(levels(world.check(target, name), target))]
    assert len(compared) >= len(FAULTS) * 2 / 3, compared


def test_the_page_shows_every_finding_and_its_fix(world: World) -> None:
    def missing() -> list[str]:
        found, page = world.now(), html.unescape(world.daemon.get("/").text)
        texts = [
            finding[part]
            for fault in FAULTS
            for finding in found[fault]["findings"]
            for part in ("message", "fix")
            if finding[part] is not None
        ]
        assert len(texts) > len(FAULTS)
        return [text for text in texts if text not in page]

    # Ages move on between two answers, so one look may see two moments.
    eventually(lambda: not missing(), timeout=20, every=0.2, what="the page and the document of one moment agree")


def test_nothing_is_alerted_that_is_not_found(world: World) -> None:
    """Across all bundled alerts: what fires for a target is what its checks found, and nothing more."""
    found = {
        (alert_name(world.check(*fault)), fault[0], finding["status"])
        for fault, check in world.now().items()
        for finding in check["findings"]
        if world.check(*fault).levels
    }
    engines = {target.name: str(target.engine) for target in world.config.targets}
    firing = {
        (labels["alertname"], labels["target"], labels["severity"])
        for labels in bundled_alerts(world)
        if labels["component"] == engines[labels["target"]]
    }
    assert firing == found


def test_the_alerts_of_an_engine_leave_the_targets_of_others_alone(world: World) -> None:
    engines = {target.name: str(target.engine) for target in world.config.targets}
    assert [labels for labels in bundled_alerts(world) if labels["component"] != engines[labels["target"]]] == []


def test_the_fix_ends_the_fault(world: World) -> None:
    """The statements of the report, as a person would paste them; then verdict and alert are gone."""
    with world.shop() as shop:
        for fix in fixes(world, "idle_in_transaction"):
            shop.execute(fix.encode())
        for fix in fixes(world, "connections_saturated"):
            # It spares sessions that were busy in the last minutes, as all of the demo's were.
            shop.execute(re.sub(r"interval '[^']*'", "interval '0'", fix).encode())
        gone = [("shop", name) for name in SESSIONS]
        expect_well(world, gone)
        for name in ("index_bloat", "unused_index"):  # a dropped index could not be rebuilt
            for fix in fixes(world, name):
                shop.execute(fix.encode())
            expect_well(world, [("shop", name)])
    with redis.Redis(unix_socket_path=world.socket) as cache:
        for fix in fixes(world, "redis_memory_pressure", "cache"):
            command = fix.partition("#")[0].split()
            assert command[0] == "redis-cli"
            cache.execute_command(*command[1:])
        expect_well(world, [("cache", "redis_memory_pressure")])


def bundled_alerts(world: World) -> list[dict[str, str]]:
    """The labels of every alert of a check that fires now."""
    names = {alert_name(check) for check in world.config.catalogue if check.levels}
    return [
        alert["labels"]
        for alert in world.prometheus.alerts()
        if alert["state"] == "firing" and alert["labels"]["alertname"] in names
    ]


def fixes(world: World, name: str, target: str = "shop") -> list[str]:
    """What the daemon offers now."""
    return [finding["fix"] for finding in world.now()[target, name]["findings"]]


def expect_well(world: World, faults: list[tuple[str, str]]) -> None:
    for target, name in faults:
        world.daemon.wait_metric(f'dbwatch_check_status{{check="{name}",target="{target}"}} 0.0')
        over = functools.partial(is_over, world, alert_name(world.check(target, name)), target)
        eventually(over, what=f"the alert of {name} is over")


def is_over(world: World, alert: str, target: str) -> bool:
    return not world.firing(alert, target)
