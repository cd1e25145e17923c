"""Levels as alert expressions: windows, the way back to the verdict, and what the value is."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbwatch.model import Status
from dbwatch.render.expression import alert_expression, prometheus_duration
from dbwatch.render.units import Unit
from tests.unit.render.sample_checks import SLOT, check_of, with_levels

SAME = "on (job, instance, target)"


def test_a_level_gives_way_to_the_verdict_where_the_target_has_its_own(tmp_path: Path) -> None:
    expression = alert_expression(check_of(tmp_path, SLOT), Status.WARNING)
    assert expression.promql.splitlines() == [
        "(",
        "  dbwatch_pg_slot_kept_bytes > 1073741824",
        ")",
        f'unless {SAME} dbwatch_check_overridden{{check="replication_slot"}}',
        "or (",
        '  dbwatch_check_findings{check="replication_slot",status="warning"} > 0',
        f'  and {SAME} dbwatch_check_overridden{{check="replication_slot"}}',
        ")",
    ]
    assert (expression.subject, expression.unit, expression.reason) == ("kept_bytes", Unit.BYTES, None)


@pytest.mark.parametrize(
    "level",
    [
        "delta(lost) > 5",
        "delta(lost) + delta(sent) > 100 and lost_ratio > 10%",
        "delta(lost) * delta(sent) > delta(lost)",
        "owner == 'nobody'",
    ],
)
def test_what_promql_cannot_say_asks_for_the_verdict(tmp_path: Path, level: str) -> None:
    expression = alert_expression(check_of(tmp_path, with_levels(warning=level)), Status.WARNING)
    assert expression.promql == 'dbwatch_check_findings{check="replication_slot",status="warning"} > 0'
    assert expression.reason


@pytest.mark.parametrize(
    ("level", "contained", "subject", "unit"),
    [
        ("delta(lost) > 0", "increase(dbwatch_pg_slot_lost_total[4m]) > 0", None, Unit.COUNT),
        ("lost_ratio > 10%", "increase(dbwatch_pg_slot_lost_total[4m]) / (", "lost_ratio", Unit.RATIO),
        ("rate(sent) > 1MiB", "rate(dbwatch_pg_slot_sent_bytes_total[4m])", "rate(sent)", Unit.BYTES_PER_SECOND),
        ("eta(kept_bytes, 20GiB) < 1d", "deriv(dbwatch_pg_slot_kept_bytes[6h])", "eta(kept_bytes)", Unit.SECONDS),
        ("slot == 'a' and kept_bytes > 1GiB", '{slot="a"}', "kept_bytes", Unit.BYTES),
        ("1GiB < kept_bytes", "1073741824 < dbwatch_pg_slot_kept_bytes", "kept_bytes", Unit.BYTES),
        ("kept_bytes > 1GiB or rate(lost) > 1", "or rate(dbwatch_pg_slot_lost_total[4m]) > 1", None, Unit.COUNT),
    ],
)
def test_the_value_has_a_name_and_a_unit_where_one_can_say(
    tmp_path: Path, level: str, contained: str, subject: str | None, unit: Unit
) -> None:
    expression = alert_expression(check_of(tmp_path, with_levels(warning=level)), Status.WARNING)
    assert contained in expression.promql
    assert (expression.subject, expression.unit) == (subject, unit)


def test_a_ratio_of_growths_is_the_same_over_any_time(tmp_path: Path) -> None:
    check = check_of(tmp_path, with_levels(warning="lost_ratio > 10% and delta(lost) > 2 * delta(sent)"))
    assert alert_expression(check, Status.WARNING).reason is None


def test_a_long_level_keeps_its_meaning_over_several_lines(tmp_path: Path) -> None:
    level = "(kept_bytes > 1GiB or kept_bytes < 1) and not (slot == 'a' and kept_bytes > 5) and kept_bytes > 2GiB"
    promql = alert_expression(check_of(tmp_path, with_levels(warning=level)), Status.WARNING).promql
    assert "\n  and (" in promql
    inside = promql.split("unless")[0]
    assert inside.count("(") == inside.count(")") == 3


@pytest.mark.parametrize(("every", "window"), [("15s", "2m"), ("30s", "2m"), ("1m", "4m"), ("5m", "20m"), ("1h", "4h")])
def test_windows_hold_four_runs_and_two_minutes(tmp_path: Path, every: str, window: str) -> None:
    check = check_of(tmp_path, {**with_levels(warning="rate(lost) > 1"), "every": every})
    assert f"[{window}]" in alert_expression(check, Status.WARNING).promql


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (90, "1m30s"), (86_400, "1d"), (0.25, "250ms"), (7 * 86_400 + 1, "7d1s")]
)
def test_durations_are_written_as_prometheus_does(seconds: float, text: str) -> None:
    assert prometheus_duration(seconds) == text
