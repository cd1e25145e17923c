"""The panel of a check, and where panels stand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbwatch.catalogue import Check
from dbwatch.render.dashboards import OPEN_PANELS, dashboards
from dbwatch.render.grafana import Color, Dashboard, Kind, Panel, Query, Row, Step
from dbwatch.render.grafana_json import dashboard_file
from dbwatch.render.panels import MATCHERS, check_panel, level_colors
from tests.unit.render.sample_checks import CONNECT, SLOT, catalogue_of, check_of, with_levels


def panel_of(folder: Path, **hint: str) -> Panel:
    check = check_of(folder, {**SLOT, "panel": {"dashboard": "x", **hint}})
    assert check.panel is not None
    return check_panel(check, check.panel)


def test_a_gauge_is_drawn_as_it_is(tmp_path: Path) -> None:
    panel = panel_of(tmp_path, column="kept_bytes")
    assert panel.kind is Kind.TIMESERIES
    assert [query.expr for query in panel.queries] == [f"dbwatch_pg_slot_kept_bytes{{{MATCHERS}}}"]
    assert panel.queries[0].legend == "{{target}} {{slot}}"
    assert panel.unit == "bytes"
    assert panel.steps == (Step(Color.GREEN), Step(Color.ORANGE, 2**30), Step(Color.RED, 10 * 2**30))
    assert "Critical when kept_bytes is above 10GiB." in panel.description
    assert "The disk fills." in panel.description


def test_a_counter_is_drawn_as_its_rate_in_the_rate_s_unit(tmp_path: Path) -> None:
    panel = panel_of(tmp_path, column="sent", legend="of {slot}")
    assert panel.queries[0].expr == f"rate(dbwatch_pg_slot_sent_bytes_total{{{MATCHERS}}}[$__rate_interval])"
    assert panel.queries[0].min_step_seconds == 60
    assert panel.queries[0].legend == "{{target}}: of {{slot}}"
    assert panel.unit == "Bps"


def test_a_derived_column_is_drawn_as_its_expression(tmp_path: Path) -> None:
    panel = panel_of(tmp_path, column="lost_ratio")
    assert f"increase(dbwatch_pg_slot_lost_total{{{MATCHERS}}}[$__rate_interval])" in panel.queries[0].expr
    assert panel.unit == "percentunit"


def test_a_column_that_is_not_exported_leaves_the_findings(tmp_path: Path) -> None:
    panel = panel_of(tmp_path, column="owner")
    assert panel.queries[0].expr == f'dbwatch_check_findings{{check="replication_slot",{MATCHERS}}}'


def test_a_table_has_a_column_for_each_metric(tmp_path: Path) -> None:
    panel = panel_of(tmp_path, kind="table", column="lost")
    assert [query.expr for query in panel.queries] == [
        f"rate(dbwatch_pg_slot_lost_total{{{MATCHERS}}}[4m])",
        f"dbwatch_pg_slot_kept_bytes{{{MATCHERS}}}",
        f"rate(dbwatch_pg_slot_sent_bytes_total{{{MATCHERS}}}[4m])",
    ]
    assert [column.unit for column in panel.columns[2:]] == ["cps", "bytes", "Bps"]
    assert [column.title for column in panel.columns] == ["target", "slot", "lost", "kept_bytes", "sent"]
    assert [column.source for column in panel.columns[2:]] == ["Value #A", "Value #B", "Value #C"]
    assert panel.columns[3].steps[-1].color is Color.RED


def test_a_table_starts_with_what_is_derived(tmp_path: Path) -> None:
    panel = panel_of(tmp_path, kind="table", column="lost_ratio")
    assert panel.queries[0].expr.startswith("increase(dbwatch_pg_slot_lost_total{")
    assert [column.title for column in panel.columns] == ["target", "slot", "lost_ratio", "kept_bytes", "sent", "lost"]
    assert panel.columns[2].unit == "percentunit"
    assert len(panel.queries) == 4


def test_up_and_down_are_words(tmp_path: Path) -> None:
    check = check_of(tmp_path, CONNECT)
    assert check.panel is not None
    assert {said.text for said in check_panel(check, check.panel).said} == {"up", "down"}


@pytest.mark.parametrize(
    ("levels", "steps"),
    [
        ({"warning": "kept_bytes > 5"}, [(None, Color.GREEN), (5, Color.ORANGE)]),
        ({"critical": "kept_bytes < 5"}, [(None, Color.RED), (5, Color.GREEN)]),
        (
            {"critical": "kept_bytes < 5", "warning": "kept_bytes < 9"},
            [(None, Color.RED), (5, Color.ORANGE), (9, Color.GREEN)],
        ),
        ({"warning": "kept_bytes < 9"}, [(None, Color.ORANGE), (9, Color.GREEN)]),
        ({"critical": "kept_bytes > 5", "warning": "kept_bytes > 5"}, [(None, Color.GREEN), (5, Color.RED)]),
        ({"critical": "kept_bytes > 5", "warning": "kept_bytes < 2"}, [(None, Color.BLUE)]),
        ({"critical": "rate(lost) > 5"}, [(None, Color.BLUE)]),
    ],
)
def test_colours_follow_the_levels(
    tmp_path: Path, levels: dict[str, str], steps: list[tuple[float | None, Color]]
) -> None:
    check: Check = check_of(tmp_path, with_levels(**levels))
    assert [(step.value, step.color) for step in level_colors(check, "kept_bytes")] == steps


def test_rows_beyond_the_limit_are_closed(tmp_path: Path) -> None:
    checks: dict[str, dict[str, object]] = {}
    for number in range(30):
        columns = {"x": {"use": "gauge", "metric": f"dbwatch_pg_x{number}_bytes", "help": "X."}}
        plain = {name: SLOT[name] for name in ("summary", "why", "sql", "runbook")} | {"message": "x"}
        panel = {"dashboard": "d", "column": "x"}
        checks[f"postgres/c{number}"] = {**plain, "group": f"g{number % 6}", "columns": columns, "panel": panel}
    dashboard = dashboards(catalogue_of(tmp_path, checks))["postgres"]
    shown = [row for row in dashboard.rows if not row.collapsed]
    assert sum(len(row.panels) for row in shown) <= OPEN_PANELS
    assert dashboard.rows[0].title == "Now"
    assert not dashboard.rows[0].collapsed
    assert [row.collapsed for row in dashboard.rows] == sorted(row.collapsed for row in dashboard.rows)
    assert sum(len(row.panels) for row in dashboard.rows[1:-1]) == 30
    assert dashboard.rows[-1].title == "Checks"


def test_panels_stand_side_by_side_and_never_on_each_other() -> None:
    def panel(width: int, height: int) -> Panel:
        return Panel(Kind.STAT, "t", "d", (Query("1"),), width=width, height=height)

    rows = (
        Row("a", (panel(12, 4), panel(12, 8), panel(8, 2))),
        Row("b", (panel(24, 3),), collapsed=True),
        Row("c", (panel(20, 1), panel(5, 1))),
    )
    document = json.loads(dashboard_file(Dashboard("u", "t", "d", rows, ())))
    places = [(p["type"], *(p["gridPos"][side] for side in "xywh")) for p in document["panels"]]
    assert places == [
        ("row", 0, 0, 24, 1),
        ("stat", 0, 1, 12, 4),
        ("stat", 12, 1, 12, 8),
        ("stat", 0, 9, 8, 2),
        ("row", 0, 11, 24, 1),
        ("row", 0, 12, 24, 1),
        ("stat", 0, 13, 20, 1),
        ("stat", 0, 14, 5, 1),
    ]
    assert document["panels"][4]["panels"][0]["gridPos"]["y"] == 12
