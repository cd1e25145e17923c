"""A server that has become slow for us: the dear check waits longer, says so, and comes back by itself.

One daemon in this process, its hour made two seconds long. The slow question is a user's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

import dbwatch.budget
from dbwatch.config import load_config
from dbwatch.daemon import Daemon
from dbwatch.model import Engine
from tests.conftest import wanted_majors
from tests.harness.postgres import Postgres
from tests.harness.waiting import eventually
from tests.proof.series import parse_page
from tests.proof.test_own_limits import firing
from tests.render.bundled_files import catalogue, matching

SLOW, INTERVAL, MOST = 0.25, 0.6, 4.0
ABOUT = {"target": "shop", "check": "till_queue"}
LENGTH = """
create table slowness as select 0.0::float8 as seconds;
create function length() returns int language plpgsql security definer as $$
begin
  perform pg_sleep(seconds) from public.slowness;
  return 5;
end $$
"""
CHECK = {
    "summary": "A queue that nobody serves",
    "group": "shop",
    "why": "Somebody waits.",
    "every": "600ms",
    "timeout": "590ms",
    "sql": "select public.length() as length",
    "columns": {"length": {"use": "gauge", "metric": "dbwatch_pg_till_queue_length", "help": "Who waits."}},
    "levels": {"warning": "length > 3"},
    "message": "{length:number} wait",
    "runbook": dict.fromkeys(("meaning", "impact", "diagnosis", "mitigation"), "See the wiki."),
}


@dataclass
class World:
    server: Postgres
    daemon: Daemon

    def slow_down(self, seconds: float) -> None:
        self.server.sql(f"update public.slowness set seconds = {seconds}")

    def value(self, metric: str, **labels: str) -> float | None:
        """Of our check; None without a series."""
        wanted = {**ABOUT, **labels}.items() if metric.startswith("dbwatch_check_") else {"target": "shop"}.items()
        page = parse_page(self.daemon.exposition.page().decode())
        found = (seen for (name, own), seen in page.items() if name == metric and wanted <= dict(own).items())
        return next(found, None)

    @property
    def interval(self) -> float | None:
        return self.value("dbwatch_check_interval_seconds")

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://{self.daemon.web.address}{path}", timeout=10, trust_env=False)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(dbwatch.budget, "WINDOW_SECONDS", 2.0)
    monkeypatch.setattr(dbwatch.budget, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(dbwatch.budget, "MOST", MOST)
    (tmp_path / "checks" / "postgres").mkdir(parents=True)
    (tmp_path / "checks" / "postgres" / "till_queue.yaml").write_text(json.dumps(CHECK))
    others = {f"group:{check.group}" for check in catalogue().of(Engine.POSTGRES)} - {"group:availability"}
    with Postgres(max(wanted_majors())) as server:
        server.create_monitor_role()
        server.sql(LENGTH)
        shop = {
            "name": "shop",
            "engine": "postgres",
            "url": server.url("dbwatch"),
            "budget": "10%",
            "compat": False,
            "checks": {"disable": sorted(others)},
        }
        config = tmp_path / "dbwatch.yaml"
        config.write_text(json.dumps({"checks_dir": str(tmp_path / "checks"), "targets": [shop]}))
        daemon = Daemon(lambda: load_config(config), "127.0.0.1", 0, owns_process=False)
        daemon.start()
        try:
            yield World(server, daemon)
        finally:
            daemon.stop()


def test_a_dear_check_waits_longer_says_so_and_comes_back(world: World, tmp_path: Path) -> None:
    eventually(lambda: world.value("dbwatch_check_status") == 1.0)
    eventually(lambda: world.interval == INTERVAL)
    assert world.value("dbwatch_target_budget_ratio") == 0.1
    well = parse_page(world.daemon.exposition.page().decode())
    with capture_logs() as logged:
        world.slow_down(SLOW)
        eventually(lambda: world.interval == INTERVAL * MOST)
        assert world.value("dbwatch_check_reason", reason="budget") == 1.0
        assert world.value("dbwatch_check_overridden") == 1.0
        told = [event for event in logged if "budget" in event["event"]]
        assert [event["event"] for event in told] == ["budget exceeded, checks run less often"]
        assert told[0]["checks"]["till_queue"] == MOST
        _stays_true_between_two_runs(world)
        assert world.daemon.reload() == []
        assert world.interval == INTERVAL * MOST, "a reload that changes nothing changes nothing"
        _said_everywhere(world)
        assert world.value("dbwatch_check_interval_seconds", check="server_unreachable") == 15.0
        stretched = parse_page(world.daemon.exposition.page().decode())
        world.slow_down(0.0)
        eventually(lambda: world.interval == INTERVAL)
        eventually(lambda: "budget kept again" in [event["event"] for event in logged])
    assert world.value("dbwatch_check_reason", reason="budget") is None
    assert world.value("dbwatch_check_overridden") is None
    rules = tmp_path / "self.rules.yaml"
    rules.write_text(matching("alerts/self.rules.yaml")["alerts/self.rules.yaml"])
    alert = "DbwatchBudgetExceeded warning shop"
    assert alert in firing([rules], [(well, 5), (stretched, 40)])
    assert alert not in firing([rules], [(stretched, 40), (well, 20)])


def _stays_true_between_two_runs(world: World) -> None:
    """At every look, and for longer than a check of its own interval would be believed."""
    before = world.value("dbwatch_check_last_success_timestamp_seconds") or 0.0

    def ran_again() -> bool:
        assert world.value("dbwatch_pg_till_queue_length") == 5.0
        return (world.value("dbwatch_check_last_success_timestamp_seconds") or 0.0) - before > 3 * INTERVAL

    eventually(ran_again)
    eventually(lambda: world.value("dbwatch_check_status") == 1.0)
    assert world.value("dbwatch_check_findings", status="warning") == 1.0


def _said_everywhere(world: World) -> None:
    (target,) = world.get("/api/v1/status").json()["targets"]
    (check,) = [check for check in target["checks"] if check["check"] == "till_queue"]
    assert check["stretched"] == {"reason": "budget", "interval_seconds": INTERVAL * MOST}
    assert check["status"] == "warning"
    assert check["database_seconds"] > SLOW / 2
    page = world.get("/").text
    assert "less often: budget" in page
    assert "not 600 ms: budget" in page
