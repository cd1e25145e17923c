"""A check's alert over time, with hand-made series: it waits, fires, holds, and is silent where it must be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dbwatch.render import render_all
from dbwatch.render.boards import panel_id
from tests.harness.promtool import run_rule_tests
from tests.unit.render.sample_checks import SLOT, catalogue_of

KEPT = 'dbwatch_pg_slot_kept_bytes{job="j",instance="a",target="t",slot="%s"}'
FINDINGS = 'dbwatch_check_findings{job="j",instance="a",target="t",check="slot",status="%s"}'
OVERRIDDEN = 'dbwatch_check_overridden{job="j",instance="%s",target="t",check="slot"}'
RATIO = {**SLOT, "levels": {"warning": "lost_ratio > 10%"}, "for": "2m"}


def count(folder: Path, check: dict[str, object], series: dict[str, str], wanted: dict[str, dict[str, int]]) -> None:
    """At each time, how many alerts of each severity fire."""
    folder.mkdir(exist_ok=True)
    rules = render_all(catalogue_of(folder / "checks", {"postgres/slot": check}))["alerts/postgres.rules.yaml"]
    (folder / "postgres.rules.yaml").write_text(rules, encoding="utf-8")
    tests: list[dict[str, Any]] = [
        {
            "expr": 'count by (severity) (ALERTS{alertstate="firing",alertname="PostgresSlot"})',
            "eval_time": at,
            "exp_samples": [{"labels": f'{{severity="{name}"}}', "value": number} for name, number in firing.items()],
        }
        for at, firing in wanted.items()
    ]
    document = {
        "rule_files": [str(folder / "postgres.rules.yaml")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": tests,
            }
        ],
    }
    passed, said = run_rule_tests(document)
    assert passed, said


def test_it_waits_fires_for_each_row_and_ends(tmp_path: Path) -> None:
    gib = 2**30
    series = {
        KEPT % "a": f"0x9 {2 * gib}x20 {20 * gib}x20 0x60",
        KEPT % "b": f"{2 * gib}x49 0x60",
        KEPT % "c": f"{gib}x110",
    }
    wanted = {
        "4m": {},
        "6m": {"warning": 1},
        "16m": {"warning": 2},
        "45m": {"warning": 2, "critical": 1},
        # keep_firing_for: five minutes for the critical one, fifteen for the others
        "54m": {"warning": 2, "critical": 1},
        "60m": {"warning": 2},
        "90m": {},
    }
    count(tmp_path, SLOT, series, wanted)


def test_a_gap_of_two_scrapes_does_not_end_it(tmp_path: Path) -> None:
    count(
        tmp_path,
        SLOT,
        {KEPT % "a": f"{2 * 2**30}x10 _ _ {2 * 2**30}x30"},
        {"12m": {"warning": 1}, "30m": {"warning": 1}},
    )


def test_a_gap_does_not_start_a_long_wait_anew(tmp_path: Path) -> None:
    """In a day there is always a scrape that is missed, or a daemon that is restarted."""
    patient = {**SLOT, "for": "1d", "levels": {"warning": "kept_bytes > 1GiB"}}
    kept = str(2 * 2**30)
    series = {KEPT % "a": f"{kept}x700 stale _x4 {kept}x800 0x200", KEPT % "b": f"{kept}x700 0x30 {kept}x800 0x200"}
    count(tmp_path, patient, series, {"1430m": {}, "1450m": {"warning": 1}, "1600m": {}})


@pytest.mark.parametrize(
    ("findings", "kept", "expected"),
    [("0x60", 2**40, {}), ("1x60", 2**40, {"warning": 1}), ("2x60", 0, {"warning": 1}), ("0x60", 0, {})],
    ids=["raised or ignored", "both", "lowered", "neither"],
)
def test_the_limits_of_a_target_replace_the_default(
    tmp_path: Path, findings: str, kept: int, expected: dict[str, int]
) -> None:
    series = {KEPT % "a": f"{kept}x60", FINDINGS % "warning": findings, OVERRIDDEN % "a": "1x60"}
    count(tmp_path, SLOT, series, {"30m": expected})


def test_the_limits_of_another_daemon_s_target_of_that_name_do_not(tmp_path: Path) -> None:
    count(tmp_path, SLOT, {KEPT % "a": f"{2 * 2**30}x60", OVERRIDDEN % "b": "1x60"}, {"30m": {"warning": 1}})


@pytest.mark.parametrize(
    ("lost", "sent", "expected"),
    [("0+5x60", "0+10x60", {"warning": 1}), ("0+1x60", "0+99x60", {}), ("7x60", "7x60", {})],
    ids=["above", "below", "idle"],
)
def test_a_ratio_of_counters_needs_traffic(tmp_path: Path, lost: str, sent: str, expected: dict[str, int]) -> None:
    labels = '{job="j",instance="a",target="t",slot="a"}'
    series = {f"dbwatch_pg_slot_lost_total{labels}": lost, f"dbwatch_pg_slot_sent_bytes_total{labels}": sent}
    count(tmp_path, RATIO, series, {"30m": expected})


def test_the_texts_are_filled_in(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path / "checks", {"postgres/slot": SLOT})
    (slot,) = catalogue.named("slot")
    rules = render_all(catalogue)["alerts/postgres.rules.yaml"]
    (tmp_path / "postgres.rules.yaml").write_text(rules, encoding="utf-8")
    labels = {"job": "my job", "instance": "a", "target": "t", "slot": "debezium"}
    series = ",".join(f'{name}="{value}"' for name, value in labels.items())
    expected = {
        "exp_labels": {**labels, "severity": "warning", "component": "postgres", "kind": "cause"},
        "exp_annotations": {
            "summary": "Slots that keep much.",
            "description": (
                "t, slot debezium: kept_bytes is 2GiB (warning when kept_bytes is above 1GiB). The disk fills."
            ),
            "runbook_url": "https://runbooks.example/postgres/slot.md",
            "dashboard_url": (
                f"/d/dbwatch-postgres-replication?var-job=my+job&var-target=t&viewPanel={panel_id(slot)}"
            ),
            "command": "dbwatch explain slot --target t",
        },
    }
    text = rules.replace(rules.partition("runbook_url: ")[2].partition("/postgres/")[0], "https://runbooks.example")
    (tmp_path / "postgres.rules.yaml").write_text(text, encoding="utf-8")
    document = {
        "rule_files": [str(tmp_path / "postgres.rules.yaml")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": f"dbwatch_pg_slot_kept_bytes{{{series}}}", "values": f"{2 * 2**30}x30"}],
                "alert_rule_test": [{"eval_time": "20m", "alertname": "PostgresSlot", "exp_alerts": [expected]}],
            }
        ],
    }
    passed, said = run_rule_tests(document)
    assert passed, said
