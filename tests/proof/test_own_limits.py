"""What a user changes reaches the alerts: own thresholds by target, own checks, and the faults of dbwatch itself.

One real daemon over real servers is asked for its page at each step; promtool says what the rules make of the pages.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.command import dbwatch
from tests.conftest import wanted_majors
from tests.harness.daemon import Daemon
from tests.harness.postgres import Postgres
from tests.harness.promtool import run_rule_tests
from tests.harness.waiting import eventually
from tests.proof.series import LAST_SUCCESS, Key, parse_page, selector
from tests.render.bundled_files import matching

TICK = "dbwatch_scheduler_tick_timestamp_seconds"
CLOCKS = (LAST_SUCCESS, TICK)
PACE = 60
SHOWN = (
    *("dbwatch_check_", "dbwatch_target_", "dbwatch_series_", "dbwatch_threshold", "dbwatch_build", "dbwatch_config"),
    *("dbwatch_scheduler", "dbwatch_pg_idle_in", "dbwatch_pg_shop"),
)
RUNBOOK = dict.fromkeys(("meaning", "impact", "diagnosis", "mitigation"), "See the wiki.")
OWN_CHECKS = {
    "till_empty": ("select 0 as left_over", {"critical": "left_over < 1", "warning": "left_over < 10"}, {}),
    "till_low": ("select 5 as left_over", {"warning": "left_over < 10"}, {}),
    "till_gone": ("select left_over from public.till", {"warning": "left_over < 10"}, {}),
    "till_many": (
        "select n as left_over, n::text as till from generate_series(1, 9) as n",
        {"warning": "left_over < 10"},
        {"limit": 2},
    ),
}


def own_check(name: str) -> dict[str, Any]:
    sql, levels, more = OWN_CHECKS[name]
    labels = {"till": {"use": "label"}} if " as till " in sql else {}
    metric = {"use": "gauge", "metric": f"dbwatch_pg_shop_{name}", "help": "Money."}
    return {
        "summary": f"A till, {name}",
        "group": "shop",
        "why": "No change for customers.",
        "every": "1s",
        "timeout": "950ms",
        "sql": sql,
        "columns": {**labels, "left_over": metric},
        "key": list(labels),
        "levels": levels,
        "message": "{left_over:number} left",
        "runbook": RUNBOOK,
        **more,
    }


@dataclass
class World:
    folder: Path
    pages: dict[str, dict[Key, float]] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)

    @property
    def own_rules(self) -> list[Path]:
        return [self.folder / "rendered" / "alerts" / f"{name}.rules.yaml" for name in ("postgres", "self")]

    def bundled_rules(self, *names: str) -> list[Path]:
        paths = []
        for name in names:
            path = self.folder / f"{name}.rules.yaml"
            path.write_text(matching("alerts/*.rules.yaml")[f"alerts/{path.name}"], encoding="utf-8")
            paths.append(path)
        return paths


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("own")
    (folder / "checks" / "postgres").mkdir(parents=True)
    for name in OWN_CHECKS:
        (folder / "checks" / "postgres" / f"{name}.yaml").write_text(json.dumps(own_check(name)))
    seen = World(folder)
    with ExitStack() as running:
        server = running.enter_context(Postgres(max(wanted_majors())))
        server.create_monitor_role()
        server.sql("create table till as select 5 as left_over; grant select on till to dbwatch")
        held = running.enter_context(server.connect())
        held.execute("begin")
        config = json.dumps(_config(folder, server.url("dbwatch"), lost=True))
        path = folder / "dbwatch.yaml"
        path.write_text(config)
        assert dbwatch("render", "--config", path, "--out", folder / "rendered").code == 0
        daemon = running.enter_context(Daemon(config_text=config))

        def shows(text: str) -> dict[Key, float] | None:
            page = daemon.metrics()
            return parse_page(page) if all(re.search(line, page, re.MULTILINE) for line in text.split("\n")) else None

        def wait(name: str, text: str) -> None:
            for line in text.split("\n"):
                eventually(lambda line=line: shows(line), timeout=30, every=0.1, what=f"{name}: {line}")  # type: ignore[misc]
            page = eventually(lambda: shows(text), timeout=30, every=0.1, what=f"{name}: {text}")
            assert page is not None
            seen.pages[name] = page

        wait(
            "all",
            'check_status{check="till_empty",target="shop"} 2.0\n'
            'check_status{check="till_low",target="shop"} 1.0\n'
            'check_status{check="till_gone",target="shop"} 1.0\n'
            'series_dropped_total{check="till_many",target="shop"} [1-9]\n'
            'pg_idle_in_transaction_oldest_seconds{.*target="shop"} [1-9]\n'
            'check_status{check="idle_in_transaction",target="shop"} 1.0\n'
            'check_status{check="idle_in_transaction",target="blog"} 0.0\n'
            'target_up{engine="postgres",target="lost"} 0.0',
        )
        server.sql("drop table till")
        wait("broken", 'check_status{check="till_gone",target="shop"} 3.0')
        daemon.write_config("targets: 7")
        daemon.signal(signal.SIGHUP)
        wait("refused", "^dbwatch_config_last_reload_successful 0.0")
        daemon.write_config(json.dumps(_config(folder, server.url("dbwatch"), lost=False)))
        daemon.signal(signal.SIGHUP)
        wait("forgotten", "^dbwatch_config_last_reload_successful 1.0")
        held.rollback()
    yield seen
    shutil.rmtree(folder)


def _config(folder: Path, url: str, *, lost: bool) -> dict[str, Any]:
    shop = {
        "name": "shop",
        "engine": "postgres",
        "url": url,
        "thresholds": {"idle_in_transaction": {"warning": "oldest_seconds > 1s", "critical": "oldest_seconds > 2h"}},
        "intervals": {"idle_in_transaction": "6s"},
    }
    blog = {"name": "blog", "engine": "postgres", "url": url, "checks": {"disable": ["till_*"]}}
    gone = {"name": "lost", "engine": "postgres", "url": "postgresql://dbwatch@127.0.0.1:1/x"}
    off = {**gone, "checks": {"disable": ["server_unreachable"]}}
    return {"checks_dir": str(folder / "checks"), "targets": [shop, blog, *([off] if lost else [])]}


def firing(rules: list[Path], phases: list[tuple[dict[Key, float], int]], **moves: float) -> set[str]:
    """`alert severity target {other labels}` of what fires at the end of the phases: pages, each held for minutes.

    `moves` are counters that grow, by their metric, each second; clocks tick unless they are among them.
    """
    keys = dict.fromkeys(key for page, _ in phases for key in page if _is_shown(key))
    series = []
    for key in keys:
        speed = moves.get(key[0], 1.0 if key[0] in CLOCKS else 0.0)
        values, at = [], 0
        for page, minutes in phases:
            if key in page:
                start = 0.0 if key[0] in CLOCKS else page[key]
                values.append(f"{start + speed * at * PACE}+{speed * PACE}x{minutes - 1}")
            else:
                values.append(f"stale _x{minutes - 1}" if minutes > 1 else "stale")
            at += minutes
        series.append({"series": selector(key, "here"), "values": " ".join(values)})
    total = sum(minutes for _, minutes in phases)
    series.append({"series": 'up{job="dbwatch",instance="here"}', "values": f"{moves.get('up', 1.0)}x{total}"})
    document = {
        "rule_files": [str(path) for path in rules],
        "evaluation_interval": f"{PACE}s",
        "tests": [
            {
                "interval": f"{PACE}s",
                "input_series": series,
                "promql_expr_test": [
                    {"expr": 'ALERTS{alertstate="firing"}', "eval_time": f"{total - 1}m", "exp_samples": []}
                ],
            }
        ],
    }
    _, said = run_rule_tests(document)
    found = set()
    for inside in re.findall(r"\{([^{}]*alertname=[^{}]*)\}", said.partition("got:")[2]):
        labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', inside))
        named = " ".join(labels[name] for name in ("database", "check", "role") if name in labels)
        found.add(f"{labels['alertname']} {labels['severity']} {labels.get('target', '-')} {named}".strip())
    return found


def _is_shown(key: Key) -> bool:
    """Leaves out the checks that no test here is about, for the sake of time."""
    check = dict(key[1]).get("check", "till")
    return key[0].startswith(SHOWN) and check.startswith(("till", "idle_in_transaction", "server_unreachable"))


def of(alerts: set[str], *names: str) -> list[str]:
    return sorted(alert for alert in alerts if alert.startswith(tuple(f"{name} " for name in names)))


def test_rendered_rules_have_the_thresholds_and_the_rows(world: World) -> None:
    alerts = firing(world.own_rules, [(world.pages["all"], 10)])
    assert of(alerts, "PostgresIdleInTransaction") == ["PostgresIdleInTransaction warning shop postgres postgres"]
    text = (world.folder / "rendered" / "alerts" / "postgres.rules.yaml").read_text()
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    own = [rule for rule in rules if rule["alert"] == "PostgresIdleInTransaction"]
    assert [re.findall(r"oldest_seconds\{(.*?)\} > (\d+)", rule["expr"]) for rule in own] == [
        [('target!~"shop"', "1800")],
        [('target!~"shop"', "300")],
        [('target=~"shop"', "7200")],
        [('target=~"shop"', "1")],
    ]
    assert "warning when oldest_seconds is above 1s" in own[3]["annotations"]["description"]
    assert all(len(group["rules"]) <= 20 for group in yaml.safe_load(text)["groups"])


def test_bundled_rules_follow_the_verdict_of_a_target_with_thresholds(world: World) -> None:
    alerts = firing(world.bundled_rules("postgres"), [(world.pages["all"], 10)])
    assert of(alerts, "PostgresIdleInTransaction") == ["PostgresIdleInTransaction warning shop idle_in_transaction"]


def test_the_threshold_in_force_is_exported(world: World) -> None:
    page = world.pages["all"]
    limits = {
        (dict(labels)["target"], dict(labels)["level"]): value
        for (metric, labels), value in page.items()
        if metric == "dbwatch_threshold" and dict(labels)["check"] == "idle_in_transaction"
    }
    assert limits[("shop", "warning")] == 1.0
    assert limits[("shop", "critical")] == 7200.0
    assert (limits[("blog", "warning")], limits[("blog", "critical")]) == (300.0, 1800.0)


def test_rendered_rules_of_yesterday_follow_the_daemon_of_today(world: World) -> None:
    """The threshold was changed after the rules were rendered: the verdict counts, not the number in the rule."""
    page = {
        key: 7.0 if key[0] == "dbwatch_threshold" and ("check", "idle_in_transaction") in key[1] else value
        for key, value in world.pages["all"].items()
    }
    alerts = firing(world.own_rules, [(page, 10)])
    assert of(alerts, "PostgresIdleInTransaction") == ["PostgresIdleInTransaction warning shop idle_in_transaction"]


def test_checks_of_a_users_own_have_an_alert_at_once_and_a_better_one_when_rendered(world: World) -> None:
    page = world.pages["all"]
    generic = of(firing(world.bundled_rules("self"), [(page, 12)]), "DbwatchCheckCritical", "DbwatchCheckWarning")
    assert generic == [
        "DbwatchCheckCritical critical shop till_empty",
        "DbwatchCheckWarning warning shop till_gone",
        "DbwatchCheckWarning warning shop till_low",
        "DbwatchCheckWarning warning shop till_many",
    ]
    rendered = firing(world.own_rules, [(page, 12)])
    assert of(rendered, "DbwatchCheckCritical", "DbwatchCheckWarning") == []
    assert of(rendered, "PostgresTillEmpty", "PostgresTillLow") == [
        "PostgresTillEmpty critical shop",
        "PostgresTillEmpty warning shop",
        "PostgresTillLow warning shop",
    ]


def test_the_faults_of_dbwatch_itself_are_told(world: World) -> None:
    rules, pages = world.bundled_rules("self"), world.pages
    well = pages["all"]
    assert of(firing(rules, [(well, 20)]), "DbwatchTargetDown") == ["DbwatchTargetDown critical lost"]
    broken = firing(rules, [(well, 5), (pages["broken"], 30)], **{LAST_SUCCESS: 0.0})
    assert "DbwatchCheckUnknown warning shop till_gone" in broken
    assert "DbwatchCheckStale warning shop till_gone" in broken
    refused = firing(rules, [(well, 5), (pages["refused"], 10)])
    assert of(refused, "DbwatchConfigReloadFailed") == ["DbwatchConfigReloadFailed warning -"]
    forgotten = firing(rules, [(well, 5), (pages["forgotten"], 20)])
    assert of(forgotten, "DbwatchTargetMissing") == ["DbwatchTargetMissing warning lost"]
    assert of(forgotten, "DbwatchConfigReloadFailed", "DbwatchTargetDown") == []
    stuck = firing(rules, [(well, 10)], **{TICK: 0.0})
    assert of(stuck, "DbwatchSchedulerStuck") == ["DbwatchSchedulerStuck critical -"]
    dropping = firing(rules, [(well, 30)], dbwatch_series_dropped_total=1.0)
    assert "DbwatchSeriesDropped warning shop till_many" in dropping
    assert of(firing(rules, [(well, 5), ({}, 9)], up=0.0), "DbwatchDown") == ["DbwatchDown critical -"]
    costly = firing(rules, [(well, 70)], dbwatch_target_query_seconds_total=0.9, dbwatch_check_missed_total=0.5)
    assert "DbwatchCostHigh warning shop" in costly
    assert "DbwatchChecksMissed warning shop" in costly
    none = ("DbwatchDown", "DbwatchSchedulerStuck", "DbwatchConfigReloadFailed", "DbwatchTargetMissing")
    assert of(firing(rules, [(well, 30)]), *none, "DbwatchCostHigh", "DbwatchChecksMissed") == []
