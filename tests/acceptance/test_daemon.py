"""The daemon as its users meet it: its pages, its reload, its end, and a real Prometheus that scrapes it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM
from typing import Any

import pytest

from tests.acceptance.command import dbwatch
from tests.harness.daemon import Daemon
from tests.harness.freeze import frozen_tree
from tests.harness.postgres import Postgres
from tests.harness.prometheus import Prometheus
from tests.harness.promtool import check_metrics
from tests.harness.proxy import Proxy
from tests.harness.redis import RedisServer
from tests.harness.waiting import eventually

ALERTS = sorted((Path(__file__).parents[2] / "alerts").glob("*.rules.yaml"))
OPENMETRICS = "application/openmetrics-text;version=1.0.0"

TARGET = "  - {{name: {name}, engine: {engine}, url: '{url}'{more}}}\n"
SLOW_CHECK = """\
summary: Answers later than anybody waits
group: tests
why: A test needs a query that runs for long.
every: 2m
timeout: 1m
sql: >-
  select count(*) as pairs from pg_catalog.generate_series(1, 20000) as a, pg_catalog.generate_series(1, 20000) as b,
  pg_catalog.generate_series(1, 20000) as c
columns:
  pairs: {use: gauge, metric: dbwatch_pg_test_pairs, help: More than anybody counts.}
levels:
  warning: pairs > 1
message: counted
runbook: {meaning: m, impact: i, diagnosis: d, mitigation: m}
"""


def target(name: str, url: str, engine: str = "postgres", more: str = "") -> str:
    return TARGET.format(name=name, engine=engine, url=url, more=more)


def config(*targets: str, defaults: str = "") -> str:
    return f"{defaults}targets:\n{''.join(targets)}"


@dataclass(frozen=True, slots=True)
class World:
    pg: Postgres
    redis: RedisServer
    url: str

    @property
    def text(self) -> str:
        return config(target("shop", self.url), target("cache", self.redis.url(), "redis"))

    def backends(self, application_name: str = "dbwatch") -> set[int]:
        rows = self.pg.sql("SELECT pid FROM pg_stat_activity WHERE application_name = %s", [application_name])
        return {pid for (pid,) in rows}

    def held_by(self, application_name: str) -> int:
        """The one session under this name that stays."""

        def one() -> int:
            both = self.backends(application_name) & self.backends(application_name)
            return min(both) if len(both) == 1 else 0

        return eventually(one, what=f"one session of {application_name}")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Postgres(18) as pg, RedisServer("redis-7.0") as redis:
        url = pg.create_monitor_role(grants=("pg_monitor", "pg_read_all_data"))
        pg.sql("CREATE EXTENSION pg_stat_statements")
        yield World(pg, redis, url)


@pytest.fixture(scope="module")
def daemon(world: World) -> Iterator[Daemon]:
    """One that nobody changes."""
    with Daemon(config_text=world.text) as running:
        running.wait_ready()
        yield running


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


def test_the_first_scrape_comes_before_the_first_pass(world: World) -> None:
    """Nothing is known yet, and that is what it says: every target is there and none is up."""
    with Proxy(world.pg.port) as proxy:
        proxy.deaf()
        with Daemon(config_text=config(target("shop", proxy.url(world.url)))) as daemon:
            assert 'dbwatch_target_up{engine="postgres",target="shop"} 0.0' in daemon.metrics().splitlines()
            assert daemon.get("/readyz").status_code == 503
            assert daemon.get("/").status_code == 200
            assert daemon.status()["targets"][0]["target"] == "shop"
            assert check_metrics(daemon.metrics()) == ""
            proxy.pass_()
            daemon.wait_metric('dbwatch_target_up{engine="postgres",target="shop"} 1.0')
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


# -- reload ----------------------------------------------------------------------------------------

RELOADED = "dbwatch_config_last_reload_successful"


def named(world: World, name: str, more: str = "") -> str:
    """A target whose sessions are known by its own name on the server."""
    return target(name, f"{world.url}?application_name={name}", more=more)


def test_a_reload_touches_only_what_changed(world: World) -> None:
    with Daemon(config_text=config(named(world, "two"), named(world, "one"))) as daemon:
        daemon.wait_ready()
        one, two = world.held_by("one"), world.held_by("two")
        runs = _runs(daemon, "one")

        daemon.write_config(config(named(world, "one"), target("two", "nonsense://")))
        daemon.signal(SIGHUP)
        daemon.wait_metric(f"{RELOADED} 0.0")
        assert (world.held_by("one"), world.held_by("two")) == (one, two)
        assert any("dbwatch.yaml" in line and "url" in line for line in daemon.log_lines()[-3:])

        changed = named(world, "two", ", labels: {team: web}")
        daemon.write_config(config(changed, named(world, "one"), named(world, "three")))
        daemon.signal(SIGHUP)
        daemon.wait_metric(f"{RELOADED} 1.0")
        daemon.wait_metric('dbwatch_target_up{engine="postgres",target="two",team="web"} 1.0')
        daemon.wait_metric('dbwatch_target_up{engine="postgres",target="three"} 1.0')
        assert [entry["target"] for entry in daemon.status()["targets"]] == ["two", "one", "three"]
        assert world.held_by("one") == one
        assert world.held_by("two") != two
        assert _runs(daemon, "one") >= runs
        assert 'target="two"}' not in daemon.metrics(), "the series without the label are gone"

        daemon.write_config(config(named(world, "one")))
        daemon.signal(SIGHUP)
        eventually(lambda: 'target="two"' not in daemon.metrics())
        eventually(lambda: not world.backends("two") | world.backends("three"))
        assert world.held_by("one") == one
        assert [entry["target"] for entry in daemon.status()["targets"]] == ["one"]
        daemon.wait_ready()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"\xff\xfe\x00targets"),
        lambda path: path.write_text(""),
        lambda path: path.write_text("targets: []\n"),
        lambda path: path.write_text("targets: [}\n"),
        lambda path: path.write_text("targets: &a [*a]\n"),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: path.chmod(0) if os.geteuid() else path.unlink(),
    ],
    ids=["bytes", "empty", "no target", "no yaml", "alias", "missing", "folder", "unreadable"],
)
def test_no_file_can_end_a_daemon_that_runs(redis_daemon: Daemon, spoil: Callable[[Path], object]) -> None:
    good = redis_daemon.config_path.read_text()
    try:
        spoil(redis_daemon.config_path)
        redis_daemon.signal(SIGHUP)
        redis_daemon.wait_metric(f"{RELOADED} 0.0")
        assert redis_daemon.status()["targets"][0]["target"] == "cache"
    finally:
        if redis_daemon.config_path.is_dir():
            redis_daemon.config_path.rmdir()
        redis_daemon.write_config(good)
    redis_daemon.signal(SIGHUP)
    redis_daemon.wait_metric(f"{RELOADED} 1.0")
    assert not [line for line in redis_daemon.log_lines() if "Traceback" in line]


@pytest.fixture(scope="module")
def redis_daemon(world: World) -> Iterator[Daemon]:
    with Daemon(config_text=config(target("cache", world.redis.url(), "redis"))) as running:
        running.wait_ready()
        yield running


def test_a_reload_over_http_must_be_enabled(world: World) -> None:
    text = config(target("cache", world.redis.url(), "redis"))
    with Daemon(config_text=text) as daemon:
        assert daemon.get("/-/reload", method="POST").status_code == 404
    with Daemon(["--web.enable-reload"], config_text=text) as daemon:
        assert daemon.get("/-/reload").status_code == 405
        assert daemon.get("/-/reload", method="POST", headers={"Origin": "http://evil.example"}).status_code == 403
        assert daemon.get("/-/reload", method="POST").status_code == 200
        daemon.write_config("targets: nonsense\n")
        refused = daemon.get("/-/reload", method="POST")
        assert refused.status_code == 500
        assert "dbwatch.yaml:1" in refused.text
        assert f"{RELOADED} 0.0" in daemon.metrics().splitlines()


def test_a_target_that_hangs_can_be_taken_out(world: World) -> None:
    """The reload does not wait for a run that waits for a silent server."""
    with Proxy(world.pg.port) as proxy:
        proxy.deaf()
        text = config(named(world, "one"), target("mute", proxy.url(world.url)))
        with Daemon(config_text=text) as daemon:
            daemon.wait_metric('dbwatch_target_up{engine="postgres",target="one"} 1.0')
            daemon.write_config(config(named(world, "one")))
            started = time.monotonic()
            daemon.signal(SIGHUP)
            eventually(lambda: 'target="mute"' not in daemon.metrics())
            assert time.monotonic() - started < 3
            assert daemon.stop() == 0


# -- the end ---------------------------------------------------------------------------------------


def _ends(daemon: Daemon, within: float, signal: Any = SIGTERM) -> None:
    started = time.monotonic()
    assert daemon.stop(signal) == 0
    assert time.monotonic() - started < within


@pytest.mark.parametrize("signal", [SIGTERM, SIGINT])
def test_it_ends_at_once_when_idle(world: World, signal: Any) -> None:
    with Daemon(config_text=config(named(world, "idle"), target("cache", world.redis.url(), "redis"))) as daemon:
        daemon.wait_ready()
        assert world.backends("idle")
        _ends(daemon, 1.0, signal)
        eventually(lambda: not world.backends("idle"), timeout=2)


def test_it_ends_in_the_middle_of_a_query_and_leaves_none_behind(world: World, tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "test_slow_answer.yaml").write_text(SLOW_CHECK)
    with Daemon(config_text=f"checks_dir: {tmp_path}\n{config(named(world, 'busy'))}") as daemon:
        counting = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'busy' AND query LIKE '%series(1, 20000)%'"
        eventually(lambda: world.pg.sql(counting), timeout=20)
        _ends(daemon, 2.0)
        eventually(lambda: not world.backends("busy"), timeout=2)


def test_it_ends_while_the_server_is_frozen() -> None:
    often = ", intervals: {idle_in_transaction: 1s, server_unreachable: 1s}"
    with Postgres(18) as pg, Daemon(config_text=config(target("shop", pg.create_monitor_role(), more=often))) as daemon:
        daemon.wait_ready()
        with frozen_tree(pg.postmaster_pid):
            missed = 'dbwatch_check_missed_total{check="idle_in_transaction",target="shop"} 0.0'
            eventually(lambda: missed not in daemon.metrics().splitlines(), what="a run hangs and others are missed")
            _ends(daemon, 5.5)
        left = "SELECT 1 FROM pg_stat_activity WHERE usename = 'dbwatch'"
        eventually(lambda: not pg.sql(left), timeout=2)


@pytest.mark.parametrize("signals", [1, 2])
def test_it_ends_while_it_waits_for_a_silent_server(world: World, signals: int) -> None:
    with Proxy(world.pg.port) as proxy:
        proxy.deaf()
        with Daemon(config_text=config(target("mute", proxy.url(world.url)))) as daemon:
            eventually(lambda: proxy.open_connections)
            for _ in range(signals - 1):
                daemon.signal(SIGTERM)
            _ends(daemon, 5.5 if signals == 1 else 2)


def test_it_ends_while_it_starts(world: World) -> None:
    """From the first answer on, no signal is lost and none is deadly."""
    daemon = Daemon(config_text=world.text)
    try:
        daemon.start()
        daemon.signal(SIGHUP)
        daemon.signal(SIGHUP)
        daemon.wait_metric(f"{RELOADED} 1.0")
        _ends(daemon, 3.0)
        assert not [line for line in daemon.log_lines() if "Traceback" in line]
    finally:
        daemon.close()


def test_an_address_in_use_is_one_message(daemon: Daemon, world: World) -> None:
    asked = dbwatch("serve", world.url, "--web.listen-address", f"127.0.0.1:{daemon.port}")
    assert asked.code == 3
    assert "cannot be listened on" in asked.err
    assert "Traceback" not in asked.err
    assert not world.backends("nobody")


def _runs(daemon: Daemon, name: str) -> float:
    lines = (line for line in daemon.metrics().splitlines() if line.startswith("dbwatch_check_runs_total{"))
    return sum(float(line.rpartition(" ")[2]) for line in lines if f'target="{name}"' in line)
