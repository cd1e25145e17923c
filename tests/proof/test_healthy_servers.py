"""No alert without a cause: what healthy servers of every kind show for hours, and not one rule holds.

Every default check looks twice at real servers: idle, empty, a standby and its primary, tables that were never
vacuumed, a cache without persistence, a Redis without a limit. The rules do not even wait: no level may hold at all.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbwatch.config import Target, load_config
from dbwatch.engines import Engines
from dbwatch.exposition import Exposition
from dbwatch.lanes import Lane
from dbwatch.runner.plan import selected
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.checks.host_stage import healthy_machine
from tests.conftest import wanted_majors
from tests.harness.cluster import SAFE
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres
from tests.harness.promtool import run_rule_tests
from tests.harness.recorded import recorded_info
from tests.harness.redis import RedisServer
from tests.proof.capture import Tick
from tests.proof.series import LAST_SUCCESS, Point, parse_page, selector
from tests.render.bundled_files import catalogue, matching

OLD = "the servers that a machine offers are not always the newest release"
ALLOWED = {
    "PostgresVersionOutdated": OLD,
    "RedisVersionOutdated": OLD,
    "RedisVersionUnsupported": OLD,
    "PgBouncerVersionOutdated": OLD,
}
"""Alerts that a server of the tests deserves, and why."""

TABLES = "".join(f"create table never_vacuumed_{n} (id int primary key, note text);" for n in range(40))
FILL = "insert into never_vacuumed_1 select g, 'x' from generate_series(1, 40) as g"
pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, float]]:
    """The page of one daemon over all of them, before and now, and the seconds between."""
    folder = tmp_path_factory.mktemp("healthy")
    with ExitStack() as running:
        settings = {**SAFE, "shared_buffers": "128MB", "wal_retrieve_retry_interval": "100ms"}
        primary = running.enter_context(Postgres(max(wanted_majors()), settings=settings))
        primary.create_monitor_role()
        primary.create_database("empty")
        primary.create_database("filled")
        primary.sql(TABLES + FILL, dbname="filled")
        standby = running.enter_context(primary.standby())
        primary.wait_caught_up(standby)
        limit = {"maxmemory": "64mb", "maxmemory-policy": "allkeys-lru", "save": ""}
        cache = running.enter_context(RedisServer("redis-8.0", config=limit))
        unlimited = running.enter_context(RedisServer("redis-8.0"))
        machine = folder / "machine"
        running.enter_context(healthy_machine(machine, "data"))
        pooler = running.enter_context(PgBouncer(primary, kind="pgbouncer-newest"))
        pooler.sql("select 1", dbname="filled", user="dbwatch")
        dumps = folder / "dumps"
        dumps.mkdir()
        (dumps / "shop.sql").write_text("--\n-- PostgreSQL database dump complete\n--\n")
        (folder / "restored").touch()
        ((identifier,),) = primary.sql("select system_identifier::text from pg_control_system()")
        (folder / "info.json").write_text(recorded_info(int(identifier)))
        config = {
            "targets": [
                {"name": "primary", "engine": "postgres", "url": primary.url("dbwatch")},
                {"name": "standby", "engine": "postgres", "url": standby.url("dbwatch")},
                {"name": "cache", "engine": "redis", "url": cache.url(), "labels": {"team": "web"}},
                {"name": "unlimited", "engine": "redis", "url": unlimited.url()},
                {"name": "box", "engine": "host", "root": str(machine), "volumes": {"data": "/data"}, "of": "primary"},
                {"name": "pooler", "engine": "pgbouncer", "url": pooler.url("dbwatch", "pgbouncer")},
                {"name": "dumps", "engine": "backup", "dumps": {"path": str(dumps), "every": "24h"}},
                {
                    "name": "kept",
                    "engine": "backup",
                    "pgbackrest": {"stanza": "main", "recorded": "info.json", "retention": "30d"},
                    "marker": {"path": "restored"},
                    "restore_test": {"path": "restored"},
                },
            ]
        }
        path = folder / "dbwatch.yaml"
        path.write_text(json.dumps(config))
        yield _looked_twice(load_config(path).targets)


def _looked_twice(targets: tuple[Target, ...]) -> tuple[str, str, float]:
    store, watchdog, engines = Store(), Watchdog(), Engines()
    exposition = Exposition(store, Tick())
    store.subscribe(exposition.update)
    lanes = [
        Lane(target, engines.adapter(target.engine), selected(catalogue(), target), store, watchdog)
        for target in targets
    ]
    try:
        seen = []
        for _ in range(2):
            for lane in lanes:
                for name in lane.checks:
                    lane.run(name)
            seen.append((exposition.page().decode(), time.monotonic()))
    finally:
        for lane in lanes:
            lane.close()
        watchdog.close()
    (before, then), (now, at) = seen
    return before, now, at - then


@pytest.mark.parametrize(("pace", "hours"), [(60, 1), (300, 6)], ids=["an hour", "six hours"])
def test_nothing_fires(pages: tuple[str, str, float], tmp_path: Path, pace: int, hours: int) -> None:
    before, now, elapsed = pages
    steps = hours * 3600 // pace
    series = [
        {"series": selector(key, "here"), "values": point.values(0, steps + 1, pace)}
        for key, point in _points(before, now, elapsed).items()
    ]
    series.append({"series": 'up{job="dbwatch",instance="here"}', "values": f"1x{steps}"})
    assert len(series) > 1000, "most checks had something to show"
    rules = tmp_path / "all.rules.json"
    rules.write_text(json.dumps({"groups": [{"name": "all", "rules": list(_without_delay())}]}))
    tests = [
        {"expr": "count by (alertname, severity, target, check) (ALERTS)", "eval_time": f"{at}m", "exp_samples": []}
        for at in range(hours * 15, hours * 60 + 1, hours * 15)
    ]
    document: dict[str, Any] = {
        "rule_files": [str(rules)],
        "evaluation_interval": f"{hours * 15}m",
        "tests": [{"interval": f"{pace}s", "input_series": series, "promql_expr_test": tests}],
    }
    passed, said = run_rule_tests(document)
    fired = set(re.findall(r"\{[^{}]*alertname=[^{}]*\}", said))
    assert passed or fired, said
    unexpected = sorted(alert for alert in fired if not any(f'"{name}"' in alert for name in ALLOWED))
    assert not unexpected, "\n".join(unexpected)


def _points(before: str, now: str, elapsed: float) -> dict[Any, Point]:
    old = parse_page(before)
    points = {}
    for key, value in parse_page(now).items():
        if key[0] in (LAST_SUCCESS, "dbwatch_scheduler_tick_timestamp_seconds"):
            points[key] = Point(0.0, 1.0)
        elif key[0].endswith("_total") and key in old and not key[0].startswith("dbwatch_target_"):
            points[key] = Point(value, max(value - old[key], 0.0) / elapsed)
        else:
            points[key] = Point(value)
    return points


def _without_delay() -> Iterator[dict[str, Any]]:
    for path in sorted(matching("alerts/*.rules.yaml")):
        for group in yaml.safe_load(matching(path)[path])["groups"]:
            for rule in group["rules"]:
                yield {key: rule[key] for key in ("alert", "expr", "labels")}
