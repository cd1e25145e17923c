"""Every panel of every dashboard shows something: its queries are run against a real Prometheus that has scraped a
real daemon on servers with faults. A panel that stays empty there is in `EMPTY`, with the reason.
"""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbwatch.deadline import Deadline
from dbwatch.render.boards import board_of, panel_id
from tests.acceptance.misfortune import SHOP, befallen, spill
from tests.conftest import wanted_majors
from tests.harness.daemon import Daemon
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres
from tests.harness.prometheus import Prometheus
from tests.harness.recorded import recorded_info
from tests.harness.redis import RedisServer
from tests.harness.sentinel import Sentinel
from tests.render.bundled_files import catalogue, matching
from tests.render.test_dashboards import panels

EVERY_SECONDS = 11.0
"""Longer than any time limit of a check, as a check's interval has to be."""
PATIENCE_SECONDS = 150.0

CACHE = {
    "maxmemory": "3mb",
    "appendonly": "yes",
    "min-replicas-to-write": "1",
    "latency-monitor-threshold": "1",
}
TABLES = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE customer (id int PRIMARY KEY, name text);
CREATE TABLE visit (id int PRIMARY KEY, customer_id int REFERENCES customer, at text, kind int, note text);
INSERT INTO customer SELECT g, 'name ' || g FROM generate_series(1, 2000) AS g;
INSERT INTO visit SELECT g, g % 2000 + 1, 'at ' || g, g % 2, repeat('x', 900) FROM generate_series(1, 200000) AS g;
CREATE INDEX visit_at ON visit (at);
CREATE INDEX visit_at_again ON visit (at);
CREATE INDEX visit_at_note ON visit (at, kind);
CREATE INDEX visit_kind ON visit (kind);
CREATE UNLOGGED TABLE scratch AS SELECT g AS id, repeat('y', 900) AS note FROM generate_series(1, 20000) AS g;
DELETE FROM visit WHERE id % 10 > 3;
VACUUM ANALYZE;
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
"""

_REPORTED = "a row is there only for what is reported, and its cases take a server of their own to make it"
_MACHINE = "not every machine that runs the tests has it"
_ELSEWHERE = "takes a state that these servers do not get into; its cases do"
EMPTY: dict[str, str] = {
    "backup_stale": "of a server: none archives, and none names its dumps",
    "backup_marker_old": "no table is named",
    "base_backup_stuck": "a base backup at work at the moment of the look",
    "redis_big_key": "runs on demand only",
    "redis_blocked_clients": "off unless enabled by name",
    "redis_keys_without_ttl": "off unless enabled by name",
    "redis_latency_spike": "a command that takes longer than the threshold, which no test can order",
    "redis_loading": "a server that is loading its data, which takes as long as the data are large",
    "redis_snapshot_stuck": "a snapshot at work at the moment of the look",
    "slow_vacuum": "a vacuum at work at the moment of the look",
    "statistics_stale": _REPORTED,
    "toast_bloat": _REPORTED,
    "toast_values_exhausted": _REPORTED,
    "clock_unsynchronised": _MACHINE,
    "cpu_throttled": "needs a control group with a quota",
    "disk_slow": _MACHINE,
    "inodes_exhausted": _MACHINE,
    "pressure_stall": _MACHINE,
    "slot_filling_volume": _ELSEWHERE,
    "volume_filling": "needs a volume that grows",
    "corrupt_index": "runs on demand only",
    "corrupt_table": "runs on demand only",
    "temp_space_hog": "files that a running statement holds",
    "logical_decoding_spill": "logical decoding, which these servers do not do",
    "subscription_table_stuck": "a subscription with tables, and the one here has none",
    "wal_sync_slow": "the servers of the tests run with fsync off, so there is no sync to time",
    "statement_evictions": _ELSEWHERE,
    "statement_n_plus_one": _REPORTED,
    "statement_regression": "needs a window of hours to compare with",
    "statement_temp_writer": _REPORTED,
    "count_for_existence": _REPORTED,
    "offset_pagination": _REPORTED,
    "select_star": _REPORTED,
}
"""Checks whose panel nothing here fills, and why."""

pytestmark = pytest.mark.timeout(280)


def test_every_panel_shows_something(tmp_path: Path) -> None:
    with ExitStack() as stack:
        servers = stack.enter_context(befallen(max(wanted_majors())))
        for statement in TABLES.strip().split(";\n"):
            servers.loaded.sql(statement, dbname=SHOP)
        servers.loaded.sql("CREATE EXTENSION pg_stat_statements")
        servers.lonely.sql("SELECT pg_create_physical_replication_slot('kept', true)")
        stack.enter_context(servers.loaded.standby())
        cache = stack.enter_context(RedisServer("redis-8.0", config=CACHE))
        replica = cache.replica()
        node = stack.enter_context(RedisServer("valkey-9.1", config={"cluster-enabled": "yes"}))
        sentinel = stack.enter_context(Sentinel(cache))
        targets: list[dict[str, Any]] = [
            {"name": name, "engine": "postgres", "url": server.url("dbwatch")}
            for name in ("loaded", "lonely", "standby", "burnt", "corrupt")
            if (server := getattr(servers, name)) is not None
        ]
        targets[0] |= {"expect": {"replicas": ["nobody-there"]}, "profile": "deep"}
        caches = {"cache": cache, "copy": replica, "node": node, "sentinel": sentinel}
        targets += [{"name": name, "engine": "redis", "url": server.url()} for name, server in caches.items()]
        pooler = stack.enter_context(PgBouncer(servers.loaded, kind="pgbouncer-newest"))
        console = pooler.url("dbwatch", "pgbouncer")
        targets += [{"name": "pooler", "engine": "pgbouncer", "url": console, "machine": {"cpus": 4}}]
        (tmp_path / "info.json").write_text(recorded_info(7_000_000_000_000_000_001, running=True))
        kept = {"stanza": "main", "recorded": str(tmp_path / "info.json"), "keep": 2}
        proven = {"path": str(tmp_path / "info.json")}
        targets += [{"name": "kept", "engine": "backup", "pgbackrest": kept, "marker": proven, "restore_test": proven}]
        targets += [{"name": "box", "engine": "host", "volumes": {"data": str(tmp_path)}, "of": ["loaded", "lonely"]}]
        names = [check.name for check in catalogue() if not check.on_demand]
        defaults = {"intervals": dict.fromkeys(names, f"{EVERY_SECONDS:g}s")}
        daemon = stack.enter_context(Daemon(config_text=json.dumps({"targets": targets, "defaults": defaults})))
        rules = [_at_once(text, tmp_path / Path(path).name) for path, text in matching("alerts/*.rules.yaml").items()]
        prometheus = stack.enter_context(Prometheus([f"127.0.0.1:{daemon.port}"], rule_files=rules))
        allowed = {f"dbwatch-{board_of(check)}/{panel_id(check)}" for check in catalogue() if check.name in EMPTY}
        shown: set[str] = set()

        def unexpected() -> list[str]:
            """Each panel has to have shown something once: what comes and goes need not do so at one moment."""
            work(servers.loaded, cache, pooler)
            empty = _empty(prometheus, shown)
            return [f"{place} {said}" for place, said in empty.items() if place not in allowed]

        deadline = Deadline.after(PATIENCE_SECONDS)
        while (missing := unexpected()) and not deadline.passed:
            pass
        assert not missing, "\n".join(missing)


def work(loaded: Postgres, cache: RedisServer, pooler: PgBouncer) -> None:
    """Something happens on the servers, so that rates have something to show."""
    spill(loaded)
    loaded.sql("SELECT pg_sleep(1.5)")
    loaded.sql("SELECT count(note) FROM visit", dbname=SHOP)
    pooler.sql("SELECT count(*) FROM customer", dbname=SHOP)
    with cache.connect() as session, session.pipeline(transaction=False) as pipeline:
        for number in range(1500):
            pipeline.get(f"key{number % 2}")
            pipeline.set(f"key{number}", "x" * 2000)
        pipeline.execute(raise_on_error=False)


def _at_once(text: str, path: Path) -> Path:
    """The rules, firing as soon as they are true."""
    document = yaml.safe_load(text)
    for group in document["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)
            rule.pop("keep_firing_for", None)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def _empty(prometheus: Prometheus, shown: set[str]) -> dict[str, str]:
    """The panels that have had no result so far, as dashboard/panel, and what they ask. `shown` grows."""
    empty = {}
    for text in matching("dashboards/*.json").values():
        document = json.loads(text)
        for panel in panels(document):
            place = f"{document['uid']}/{panel['id']}"
            if place in shown:
                continue
            if any(prometheus.query(_chosen(target["expr"])) for target in panel["targets"]):
                shown.add(place)
            else:
                empty[place] = f"{panel['title']}: {panel['targets'][0]['expr']}"
    return empty


def _chosen(expr: str) -> str:
    """The expression as Grafana sends it when everything is chosen."""
    return re.sub(r"\$(?:job|target)\b", ".+", expr.replace("$__rate_interval", "30s"))
