"""The bundled rules: valid, well formed, about metrics that exist, and able to fire and to be silent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbwatch.model import Engine
from dbwatch.render import find_check
from tests.harness.promtool import check_rules, run_rule_tests
from tests.render.bundled_files import ROOT, catalogue, known_metrics, matching
from tests.render.promql_text import metric_names

FILES = sorted(matching("alerts/*.rules.yaml"))


TARGET_UP = 'dbwatch_target_up{job="x",instance="a",target="t",engine="redis"}'
OTHERS = TARGET_UP.replace('"a"', '"b"')
SEEN = {'dbwatch_build_info{job="x",instance="a"}': "1x10"}
NOT = ("Missing", 0)
LOST = ("TargetMissing", 1)
RUNS = 'dbwatch_check_runs_total{job="x",instance="a",target="t",result="%s"}'
WHY = 'dbwatch_check_reason{job="x",instance="a",target="t",check="c",reason="%s"}'
ANSWERS = {TARGET_UP: "1x90", 'dbwatch_check_status{job="x",instance="a",target="t",check="c"}': "0x90"}
BUDGET = 'dbwatch_check_reason{target="t",check="c",reason="budget"}'
MISSED = 'dbwatch_check_missed_total{job="x",instance="a",target="t"}'
DROPPED = 'dbwatch_series_dropped_total{target="t",check="c"}'


def rules_of(path: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(matching(path)[path])["groups"] for rule in group["rules"]]


def all_rules() -> Iterator[Any]:
    for path in FILES:
        for rule in rules_of(path):
            yield pytest.param(rule, id=f"{rule['alert']}-{rule['labels']['severity']}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in FILES:
        (tmp_path / Path(path).name).write_text(matching(path)[path], encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("path", FILES)
def test_prometheus_takes_the_file(folder: Path, path: str) -> None:
    valid, said = check_rules(folder / Path(path).name)
    assert valid, said


@pytest.mark.parametrize("path", FILES)
def test_groups_are_small_and_named_once(path: str) -> None:
    groups = yaml.safe_load(matching(path)[path])["groups"]
    assert len({group["name"] for group in groups}) == len(groups)
    assert all(0 < len(group["rules"]) <= 20 for group in groups)


@pytest.mark.parametrize("rule", list(all_rules()))
def test_a_rule_is_well_formed(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"(Postgres|Redis|Backup|Host|PgBouncer|Dbwatch)[A-Za-z0-9]+", rule["alert"])
    assert len(rule["alert"]) <= 40
    labels, annotations = rule["labels"], rule["annotations"]
    assert labels["severity"] in ("critical", "warning")
    assert labels["component"] in {*Engine, "dbwatch"}
    assert set(annotations) == {"summary", "description", "runbook_url", "dashboard_url", "command"}
    assert re.fullmatch(r"[A-Z0-9][^{}]*\.", annotations["summary"])
    assert "{{ $labels." in annotations["description"]


@pytest.mark.parametrize("rule", list(all_rules()))
def test_a_rule_names_metrics_that_are_exported(rule: dict[str, Any]) -> None:
    named = metric_names(rule["expr"])
    assert named
    assert named <= known_metrics()


@pytest.mark.parametrize("rule", list(all_rules()))
def test_the_links_of_a_rule_lead_somewhere(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook_url"].partition("/docs/checks/")[2].partition("#")
    text = matching(f"docs/checks/{page}")[f"docs/checks/{page}"]
    assert not anchor or f"\n## {rule['alert']}\n" in text
    uid = re.match(r"/d/dbwatch-([\w-]+)\?", rule["annotations"]["dashboard_url"])
    assert uid is not None
    assert matching(f"dashboards/{uid[1]}.json")
    command = rule["annotations"]["command"].removeprefix("dbwatch explain ")
    command = command.removesuffix(" --target {{ $labels.target }}")
    assert find_check(catalogue(), command) is not None or command == rule["alert"]


def test_without_a_single_series_nothing_fires(folder: Path) -> None:
    passed, said = run_rule_tests(_test(folder, {}, "count(ALERTS)", [], interval="10m"))
    assert passed, said


@pytest.mark.parametrize("path", [path for path in FILES if "self" not in path])
def test_every_alert_follows_the_verdict_of_a_target_with_its_own_limits(folder: Path, path: str) -> None:
    """Whatever the default threshold says: the level of a check can always reach its alert."""
    engine = Path(path).name.partition(".")[0]
    series = {f'dbwatch_target_up{{instance="a",job="j",target="t",engine="{engine}"}}': "1x200"}
    expected: set[tuple[str, str]] = set()
    for rule in rules_of(path):
        match = re.search(r'dbwatch_check_findings\{check="(\w+)",status="(\w+)"\}', rule["expr"])
        assert match is not None
        who = f'instance="a",job="j",target="t",check="{match[1]}"'
        series[f"dbwatch_check_overridden{{{who}}}"] = "1x200"
        series[f'dbwatch_check_findings{{{who},status="{match[2]}"}}'] = "1x200"
        expected.add((rule["alert"], rule["labels"]["severity"]))
    samples = [
        {"labels": f'{{alertname="{name}",severity="{severity}"}}', "value": 1} for name, severity in sorted(expected)
    ]
    query = 'count by (alertname, severity) (ALERTS{alertstate="firing"})'
    passed, said = run_rule_tests(_test(folder, series, query, samples, files=[Path(path).name], interval="10m"))
    assert passed, said


@pytest.mark.parametrize(
    ("series", "at", "alert", "fires"),
    [
        (
            {'up{job="x",instance="a"}': "1x10 0x30", 'dbwatch_build_info{job="x",instance="a"}': "1x10"},
            "20m",
            "Down",
            1,
        ),
        ({'up{job="x",instance="a"}': "0x40"}, "30m", "Down", 0),
        (
            {'up{job="x",instance="a"}': "0 1 0 0x20", 'dbwatch_build_info{job="x",instance="a"}': "_ 1 _x20"},
            "9m",
            "Down",
            1,
        ),
        ({**SEEN, 'up{job="x",instance="a"}': "1x10 0x3000"}, "2900m", "Down", 1),
        ({**SEEN, 'up{job="x",instance="a"}': "1x10 0x60 1x60"}, "100m", "Down", 0),
        (SEEN, "40m", "Missing", 1),
        ({**SEEN, 'up{job="x",instance="b"}': "1x60", 'dbwatch_build_info{job="x",instance="b"}': "1x60"}, "40m", *NOT),
        # a pod in place of another that crashes at its start, and something else of the same job
        ({**SEEN, 'up{job="x",instance="b"}': "_x10 0x60"}, "40m", "Missing", 1),
        ({**SEEN, 'up{job="x",instance="b"}': "1x60"}, "40m", "Missing", 1),
        ({**SEEN, 'up{job="x",instance="a"}': "1x10 0x60"}, "40m", *NOT),
        ({TARGET_UP: "1x10", 'up{job="x",instance="a"}': "1x10", 'up{job="x",instance="b"}': "0x90"}, "40m", *LOST),
        ({TARGET_UP: "1x10", OTHERS: "_x9 1x90", 'up{job="x",instance="b"}': "1x90"}, "40m", "TargetMissing", 0),
        ({TARGET_UP: "1x10", 'up{job="x",instance="a"}': "1x90"}, "40m", "TargetMissing", 1),
        ({TARGET_UP: "1x90", 'up{job="x",instance="a"}': "1x90"}, "40m", "TargetMissing", 0),
        ({TARGET_UP: "1x10", 'up{job="x",instance="a"}': "1x10 0x90"}, "40m", "TargetMissing", 0),
        ({TARGET_UP: "1x10", 'up{job="x",instance="a"}': "1x300"}, "230m", "TargetMissing", 0),
        ({TARGET_UP: "1x10 0 1x9 0 0 1x9 0 1x30"}, "45m", "TargetFlapping", 1),
        ({TARGET_UP: "1x10 0 1x9 0 0 1x60"}, "45m", "TargetFlapping", 0),
        ({**ANSWERS, WHY % "timeout": "1 _ _ " * 30, WHY % "lock": "_ 1 _ " * 30}, "60m", "CheckErrors", 1),
        ({**ANSWERS, WHY % "timeout": "1 _ _ " * 30}, "60m", "CheckErrors", 0),
        ({**ANSWERS, WHY % "timeout": "1x90"}, "60m", "CheckErrors", 0),
        ({**ANSWERS, WHY % "role": "1 1 _ " * 30}, "60m", "CheckErrors", 0),
        ({**ANSWERS, TARGET_UP: "0x40 1x60", WHY % "timeout": "1x40 _x60"}, "56m", "CheckErrors", 0),
        ({'dbwatch_target_up{target="t",engine="postgres"}': "1x5 0x30"}, "10m", "TargetDown", 1),
        ({'dbwatch_target_up{target="t",engine="postgres"}': "1x30"}, "10m", "TargetDown", 0),
        ({"dbwatch_config_last_reload_successful": "0x30"}, "10m", "ConfigReloadFailed", 1),
        ({"dbwatch_scheduler_tick_timestamp_seconds": "60+60x5 360x30"}, "15m", "SchedulerStuck", 1),
        ({"dbwatch_scheduler_tick_timestamp_seconds": "0+60x30"}, "15m", "SchedulerStuck", 0),
        ({DROPPED: "0x10 3+3x60", 'dbwatch_check_status{target="t",check="c"}': "1x90"}, "50m", "SeriesDropped", 1),
        ({DROPPED: "0x10 3+3x60", 'dbwatch_check_status{target="t",check="c"}': "0x90"}, "50m", "SeriesDropped", 0),
        ({DROPPED: "7x90", 'dbwatch_check_status{target="t",check="c"}': "1x90"}, "50m", "SeriesDropped", 0),
        ({'dbwatch_target_query_seconds_total{target="t"}': "0+30x90"}, "80m", "CostHigh", 1),
        ({'dbwatch_target_query_seconds_total{target="t"}': "0+3x90"}, "80m", "CostHigh", 0),
        ({BUDGET: "1x90"}, "40m", "BudgetExceeded", 1),
        ({BUDGET: "1x20"}, "40m", "BudgetExceeded", 0),
        ({BUDGET.replace("budget", "lock"): "1x90"}, "40m", "BudgetExceeded", 0),
        ({MISSED: "0+1x90", RUNS % "ok": "0+4x90"}, "60m", "ChecksMissed", 1),
        ({MISSED: "0x40 20x50", RUNS % "ok": "0+40x90"}, "60m", "ChecksMissed", 0),
        ({'dbwatch_check_status{target="t",check="my_own"}': "2x30"}, "5m", "CheckCritical", 1),
        ({'dbwatch_check_status{target="t",check="my_own"}': "1x30"}, "10m", "CheckWarning", 1),
        ({'dbwatch_check_status{target="t",check="my_own"}': "4x30"}, "10m", "CheckCritical", 0),
    ],
)
def test_an_alert_about_ourselves_fires_and_is_silent(
    folder: Path, series: dict[str, str], at: str, alert: str, fires: int
) -> None:
    _expect(folder, series, at, f"Dbwatch{alert}", fires)


CHECK = '{target="t",check="c"}'
UP = {'dbwatch_target_up{target="t",engine="redis"}': "1x90"}
SUCCESS = f"dbwatch_check_last_success_timestamp_seconds{CHECK}"
INTERVAL = {f"dbwatch_check_interval_seconds{CHECK}": "60x90"}


@pytest.mark.parametrize(
    ("series", "fires"),
    [
        ({**UP, **INTERVAL, SUCCESS: "0x90", f"dbwatch_check_status{CHECK}": "3x90"}, 1),
        ({**UP, **INTERVAL, SUCCESS: "0+60x90", f"dbwatch_check_status{CHECK}": "0x90"}, 0),
        ({**UP, **INTERVAL, SUCCESS: "0x90", f"dbwatch_check_status{CHECK}": "4x90"}, 0),
        ({'dbwatch_target_up{target="t",engine="redis"}': "0x90", **INTERVAL, SUCCESS: "0x90"}, 0),
    ],
    ids=["stale", "fresh", "skipped", "target down"],
)
def test_a_stale_check_is_told_from_a_skipped_one(folder: Path, series: dict[str, str], fires: int) -> None:
    _expect(folder, series, "10m", "DbwatchCheckStale", fires)


@pytest.mark.parametrize(
    ("series", "fires"),
    [
        ({**UP, f"dbwatch_check_status{CHECK}": "3x90"}, 1),
        ({f"dbwatch_check_status{CHECK}": "3x90", 'dbwatch_target_up{target="t",engine="redis"}': "0x90"}, 0),
        (
            {
                **UP,
                f"dbwatch_check_status{CHECK}": "3x90",
                'dbwatch_check_reason{target="t",check="c",reason="no_baseline"}': "1x90",
            },
            0,
        ),
    ],
    ids=["unknown", "target down", "first reading"],
)
def test_an_unknown_check_is_not_a_first_reading(folder: Path, series: dict[str, str], fires: int) -> None:
    _expect(folder, series, "30m", "DbwatchCheckUnknown", fires)


@pytest.mark.parametrize(
    ("statuses", "fires"),
    [("2x10 3x100", 1), ("1x10 3x100", 0), ("2x10 0x40 3x40", 0), ("2x10 3x20 1x40", 0)],
    ids=["critical", "warning", "long over", "answers again"],
)
def test_critical_is_not_over_when_it_becomes_unknown(folder: Path, statuses: str, fires: int) -> None:
    _expect(folder, {**UP, f"dbwatch_check_status{CHECK}": statuses}, "70m", "DbwatchCriticalUnknown", fires)


def test_the_alert_of_a_bundled_check_is_not_doubled(folder: Path) -> None:
    judged = [check for check in catalogue() if check.levels]
    assert judged
    series = {f'dbwatch_check_status{{target="t",check="{check.name}"}}': "2x30" for check in judged}
    _expect(folder, series, "10m", "DbwatchCheckCritical", 0)


def test_a_target_that_is_down_is_one_alert(folder: Path) -> None:
    probes = [check for check in catalogue() if check.probe == "connect"]
    assert probes, "the bundled checks look whether the server takes a connection"
    for check in probes:
        series = {
            f'dbwatch_target_up{{target="t",engine="{check.engine}"}}': "0x30",
            f'dbwatch_check_status{{target="t",check="{check.name}"}}': "2x30",
        }
        _expect(folder, series, "10m", "DbwatchTargetDown", 0)


def test_the_rules_of_the_checkout_are_the_ones_tested() -> None:
    assert {f"alerts/{path.name}" for path in (ROOT / "alerts").glob("*.rules.yaml")} == set(FILES)


def _expect(folder: Path, series: dict[str, str], at: str, alert: str, fires: int) -> None:
    query = f'count(ALERTS{{alertstate="firing",alertname="{alert}"}})'
    samples = [{"labels": "{}", "value": fires}] if fires else []
    passed, said = run_rule_tests(_test(folder, series, query, samples, at=at, files=["self.rules.yaml"]))
    assert passed, said


def _test(
    folder: Path,
    series: dict[str, str],
    query: str,
    samples: list[dict[str, Any]],
    *,
    at: str = "26h40m",
    interval: str = "1m",
    files: list[str] | None = None,
) -> dict[str, Any]:
    """A promtool test of one query over ALERTS, with a sample and an evaluation each interval."""
    names = files if files is not None else [Path(path).name for path in FILES]
    return {
        "rule_files": [str(folder / name) for name in names],
        "evaluation_interval": interval,
        "tests": [
            {
                "interval": interval,
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [{"expr": query, "eval_time": at, "exp_samples": samples}],
            }
        ],
    }
