"""Owns the panel of a check: its query, unit, colours and text from the check file. Refuses to place it anywhere."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from dbwatch.catalogue import Check
from dbwatch.catalogue.schema import PanelHints, Use
from dbwatch.levels import Comparison, NotExpressible, thresholds, to_promql
from dbwatch.model import Status
from dbwatch.render.boards import panel_id, panel_path
from dbwatch.render.expression import promql_context
from dbwatch.render.grafana import Color, Kind, Link, Panel, Query, Said, Step, TableColumn
from dbwatch.render.names import RUNBOOK_BASE
from dbwatch.render.units import Unit, per_second, unit_of_column
from dbwatch.render.words import level_in_words, one_line, sentence

MATCHERS: Final = 'job=~"$job",target=~"$target"'
OR_OF_NONE: Final = 'job=~"$job",target=~"$target|"'
"""For alerts: those about the daemon itself are about no target."""

CHOSEN: Final = "${job:queryparam}&${target:queryparam}&${__url_time_range}"
"""What a link carries on: the job, the targets and the time that are looked at."""

NEUTRAL: Final = (Step(Color.BLUE),)
UP_SAID: Final = (Said(0, "down", Color.RED), Said(1, "up", Color.GREEN))

_RATE_WINDOW: Final = "$__rate_interval"
_TABLE_COLUMNS: Final = 8
_TILE_WIDTH: Final = 4
_TILE_HEIGHT: Final = 4
_SIZES: Final = {Kind.STAT: (4, 4), Kind.TIMESERIES: (8, 8), Kind.BARGAUGE: (8, 8), Kind.TABLE: (12, 8)}
_RISING: Final = frozenset({Comparison.GREATER, Comparison.GREATER_EQUAL})
_FALLING: Final = frozenset({Comparison.LESS, Comparison.LESS_EQUAL})


def check_panel(check: Check, hint: PanelHints) -> Panel:
    """The panel that the check's `panel:` asks for, under the number that its alert links to."""
    return replace(_drawn(check, hint), number=panel_id(check), links=(runbook_link(check),))


def check_tile(check: Check, column: str, title: str, *, lowest: bool = False) -> Panel | None:
    """The worst value of one column among the chosen targets, in the alert's colours; a click leads to its panel.

    None when nothing PromQL can say is behind the column.
    """
    expr = _series(check, column)
    if expr is None or check.panel is None:
        return None
    own = check.panel if check.panel.column == column else replace(check.panel, unit="count")
    worst = "min" if lowest else "max"
    return Panel(
        kind=Kind.STAT,
        title=title,
        description=panel_text(check),
        queries=(Query(f"{worst}({expr})", instant=True, min_step_seconds=check.every),),
        unit=_unit(check, own, column).grafana,
        steps=level_colors(check, column),
        width=_TILE_WIDTH,
        height=_TILE_HEIGHT,
        links=(Link("Open the panel", panel_path(check, CHOSEN)), runbook_link(check)),
    )


def runbook_link(check: Check) -> Link:
    return Link("Runbook", f"{RUNBOOK_BASE}/{check.engine}/{check.name}.md")


def cell_of(check: Check, column: str, worst: str = "max") -> str | None:
    """The worst value of one column by target, for a table over targets; None when PromQL cannot say it."""
    expr = _series(check, column)
    return None if expr is None else f"{worst} by (job, instance, target) ({expr})"


def unit_for(check: Check, column: str) -> str:
    """Grafana's unit of a column."""
    hint = check.panel
    own = hint if hint is not None and hint.column == column else PanelHints(dashboard="overview", column=column)
    return _unit(check, own, column).grafana


def _drawn(check: Check, hint: PanelHints) -> Panel:
    kind = Kind(hint.kind)
    name = hint.column or next(iter(check.exported), None)
    expr = _series(check, name, _RATE_WINDOW) if name is not None else None
    if name is None or expr is None:
        return _findings_panel(check, hint)
    if kind is Kind.TABLE and check.exported:
        return _table_panel(check, hint, name)
    width, height = _SIZES[kind]
    return Panel(
        kind=kind,
        title=hint.title or check.summary,
        description=panel_text(check),
        queries=(Query(expr, _legend(check, hint), kind is not Kind.TIMESERIES, min_step_seconds=check.every),),
        unit=_unit(check, hint, name).grafana,
        steps=level_colors(check, name),
        said=UP_SAID if (check.language[name].metric or "").endswith("_up") else (),
        width=width,
        height=height,
    )


def panel_text(check: Check) -> str:
    """What the panel shows, why one would look, and which colour means what."""
    levels = [f"{status.capitalize()} when {level_in_words(level)}." for status, level in check.levels.items()]
    return "\n\n".join([sentence(check.summary), one_line(check.why), *levels, f"`dbwatch explain {check.name}`"])


def level_colors(check: Check, column: str) -> tuple[Step, ...]:
    """Red and orange where the levels draw the line for this column; neutral when they draw none."""
    limits: dict[Status, float] = {}
    rising: set[bool] = set()
    for status, level in check.levels.items():
        for threshold in thresholds(level):
            if threshold.column == column and threshold.comparison in _RISING | _FALLING and status not in limits:
                limits[status] = threshold.limit
                rising.add(threshold.comparison in _RISING)
    if len(rising) != 1:
        return NEUTRAL
    critical, warning = limits.get(Status.CRITICAL), limits.get(Status.WARNING)
    if rising == {True}:
        return _ascending([(None, Color.GREEN), (warning, Color.ORANGE), (critical, Color.RED)])
    worst = Color.RED if critical is not None else Color.ORANGE
    middle = Color.ORANGE if warning is not None else Color.GREEN
    return _ascending([(None, worst), (critical, middle), (warning, Color.GREEN)])


def _ascending(wanted: list[tuple[float | None, Color]]) -> tuple[Step, ...]:
    """Grafana wants the limits in order; one that is overtaken by a worse one is left out."""
    steps = [Step(wanted[0][1])]
    for value, color in wanted[1:]:
        if value is None:
            continue
        last = steps[-1].value
        if last is not None and value <= last:
            steps.pop()
        steps.append(Step(color, value))
    return tuple(steps)


def _series(check: Check, name: str, window: str | None = None) -> str | None:
    """What one column shows; None for what is not exported and cannot be derived from what is.

    Counters show their rate over `window`, or over the one of the alerts.
    """
    context = promql_context(check, MATCHERS, window)
    derived = check.derived.get(name)
    if derived is not None:
        try:
            return to_promql(derived, context)
        except NotExpressible:
            return None
    metric = check.columns[name].metric
    if metric is None:
        return None
    selector = f"{metric}{{{MATCHERS}}}"
    return f"rate({selector}[{context.window}])" if check.columns[name].use is Use.COUNTER else selector


def _unit(check: Check, hint: PanelHints, name: str) -> Unit:
    unit = Unit(hint.unit)
    if unit in (Unit.COUNT, Unit.PER_SECOND):
        named = unit_of_column(check, name)
        unit = named if named is not Unit.COUNT else unit
    counter = name in check.columns and check.columns[name].use is Use.COUNTER
    return per_second(unit) if counter else unit


def _legend(check: Check, hint: PanelHints) -> str:
    """Grafana's `{{label}}` of our `{label}`, the target first; every label when the check does not say."""
    if hint.legend is not None:
        legend = re.sub(r"(?<!\{)\{(\w+)\}(?!\})", r"{{\1}}", hint.legend)
        return legend if "{{target}}" in legend else f"{{{{target}}}}: {legend}"
    return " ".join(f"{{{{{name}}}}}" for name in ("target", *check.labels))


def _table_panel(check: Check, hint: PanelHints, first: str) -> Panel:
    names = [first, *(name for name in check.exported if name != first)][:_TABLE_COLUMNS]
    exprs = [expr for name in names if (expr := _series(check, name)) is not None]
    sources = ["Value"] if len(names) == 1 else [f"Value #{chr(ord('A') + place)}" for place in range(len(names))]
    labels = tuple(TableColumn(label, label) for label in ("target", *check.labels))
    values = tuple(
        TableColumn(source, name, _cell_unit(check, hint, name), _table_colors(check, name))
        for source, name in zip(sources, names, strict=True)
    )
    width, height = _SIZES[Kind.TABLE]
    return Panel(
        kind=Kind.TABLE,
        title=hint.title or check.summary,
        description=panel_text(check),
        queries=tuple(Query(expr, instant=True, min_step_seconds=check.every) for expr in exprs),
        unit=_cell_unit(check, hint, first),
        steps=NEUTRAL,
        width=width,
        height=height,
        columns=(*labels, *values),
        hidden=("job", "instance"),
        sort_by=first,
    )


def _cell_unit(check: Check, hint: PanelHints, name: str) -> str:
    """What `unit:` says is said of the panel's own column only."""
    own = hint.column is None or hint.column == name
    return _unit(check, hint if own else replace(hint, unit="count"), name).grafana


def _table_colors(check: Check, name: str) -> tuple[Step, ...]:
    """No colour for the cells that no level is about."""
    steps = level_colors(check, name)
    return () if steps == NEUTRAL else steps


def _findings_panel(check: Check, hint: PanelHints) -> Panel:
    """For a check that exports nothing PromQL can draw: how much it found."""
    width, height = _SIZES[Kind.TIMESERIES]
    return Panel(
        kind=Kind.TIMESERIES,
        title=hint.title or check.summary,
        description=panel_text(check),
        queries=(Query(f'dbwatch_check_findings{{check="{check.name}",{MATCHERS}}}', "{{target}} {{status}}"),),
        steps=NEUTRAL,
        width=width,
        height=height,
    )
