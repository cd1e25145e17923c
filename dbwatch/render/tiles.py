"""Owns the panels about verdicts that every dashboard starts with. Refuses to know any single check.

A tile counts with `== bool`, so it reads 0 while checks report and "No data" when nothing does: never green by silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dbwatch.catalogue import Catalogue
from dbwatch.model import Engine, Status
from dbwatch.render.expression import SAME_TARGET
from dbwatch.render.grafana import Annotation, Color, Kind, Panel, Query, Said, Step, TableColumn, Variable
from dbwatch.render.panels import MATCHERS, OR_OF_NONE

STATUS_COLORS: Final = {
    Status.OK: Color.GREEN,
    Status.WARNING: Color.ORANGE,
    Status.CRITICAL: Color.RED,
    Status.UNKNOWN: Color.PURPLE,
    Status.SKIPPED: Color.GREY,
}
STATUS_SAID: Final = tuple(Said(status.number, str(status), color) for status, color in STATUS_COLORS.items())

_EVENTS: Final = (
    ("Restarts", ("_restarted",), Color.BLUE),
    ("Role changes", ("role_changed", "split_brain", "failed_over"), Color.PURPLE),
    ("Configuration", ("setting_changed",), Color.GREY),
)
_WORST_FIRST: Final = (Status.CRITICAL, Status.UNKNOWN, Status.WARNING, Status.OK, Status.SKIPPED)
_MEANING: Final = {
    Status.CRITICAL: "Checks that found something to act on now.",
    Status.UNKNOWN: "Checks that could not answer. What they watch may be in any state.",
    Status.WARNING: "Checks that found something to act on soon.",
    Status.OK: "Checks that looked and found nothing.",
    Status.SKIPPED: "Checks that do not apply to their server, or that the role may not run; see `dbwatch doctor`.",
}


def variables(engine: Engine | None, *, single: bool = False) -> tuple[Variable, ...]:
    """`job` and `target`, the latter of one engine only on that engine's dashboards, and one at a time where asked."""
    only = f',engine="{engine}"' if engine is not None else ""
    return (
        Variable("job", "Job", "label_values(dbwatch_target_up, job)"),
        Variable("target", "Target", f'label_values(dbwatch_target_up{{job=~"$job"{only}}}, target)', single=single),
    )


def marks(catalogue: Catalogue, engine: Engine | None) -> tuple[Annotation, ...]:
    """What happened, on every graph: alerts where Prometheus evaluates the rules, and what the checks noticed."""
    return (*_firing_alerts(engine), *_events(catalogue, engine))


def _firing_alerts(engine: Engine | None) -> Iterator[Annotation]:
    chosen = OR_OF_NONE if engine is None else f'{MATCHERS},component="{engine}"'
    for status in (Status.CRITICAL, Status.WARNING):
        yield Annotation(
            name=f"{status.capitalize()} alerts",
            expr=f'ALERTS{{alertstate="firing",severity="{status}",{chosen}}}',
            color=STATUS_COLORS[status],
            title="{{alertname}}",
            text="{{target}}",
        )


def _events(catalogue: Catalogue, engine: Engine | None) -> Iterator[Annotation]:
    """Checks whose findings are events: they appear when it happened and fade by themselves."""
    for name, suffixes, color in _EVENTS:
        checks = sorted(
            check.name
            for check in catalogue
            if check.name.endswith(suffixes) and (engine is None or check.engine is engine)
        )
        if checks:
            found = f'dbwatch_check_findings{{check=~"{"|".join(checks)}",{MATCHERS}}} > 0'
            yield Annotation(name, f"sum by (check, target) ({found})", color, "{{check}}", "{{target}}")


def status_series(engine: Engine | None) -> str:
    """The verdicts of the chosen targets; All is also the other engines' targets, so the engine is asked."""
    series = f"dbwatch_check_status{{{MATCHERS}}}"
    if engine is None:
        return series
    return f'({series} and {SAME_TARGET} dbwatch_target_up{{{MATCHERS},engine="{engine}"}})'


def verdict_tiles(engine: Engine | None) -> tuple[Panel, ...]:
    """Targets up and down, and one count a status, worst first."""
    only = f',engine="{engine}"' if engine is not None else ""
    up = f"dbwatch_target_up{{{MATCHERS}{only}}}"
    colors = (Step(Color.GREEN), Step(Color.RED, 1))
    tiles = [_tile("Targets down", "Targets that do not answer.", f"sum({up} == bool 0)", colors)]
    for status in _WORST_FIRST[:-1]:
        quiet = Color.GREEN if status is not Status.OK else Color.GREY
        steps = (Step(quiet), Step(STATUS_COLORS[status], 1))
        query = f"sum({status_series(engine)} == bool {status.number})"
        tiles.append(_tile(str(status).capitalize(), _MEANING[status], query, steps))
    skipped = f"sum({status_series(engine)} == bool {Status.SKIPPED.number})"
    tiles.append(_tile("Skipped", _MEANING[Status.SKIPPED], skipped, (Step(Color.GREY),)))
    return tuple(tiles)


def _tile(title: str, description: str, query: str, steps: tuple[Step, ...]) -> Panel:
    return Panel(Kind.STAT, title, description, (Query(query, instant=True),), steps=steps, width=4, height=3)


def check_tiles(engine: Engine) -> Panel:
    """A tile a check, coloured by its worst verdict among the chosen targets."""
    series = status_series(engine)
    worst = "\nor ".join(f"max by (check) ({series} == {status.number})" for status in _WORST_FIRST)
    return Panel(
        Kind.STAT,
        "Checks",
        "Each check at its worst among the chosen targets: critical before unknown before warning.",
        (Query(worst, "{{check}}", instant=True),),
        said=STATUS_SAID,
        width=24,
        height=8,
        shows_names=True,
    )


def trouble_table(engine: Engine | None) -> Panel:
    """Every check that is neither ok nor skipped."""
    return Panel(
        Kind.TABLE,
        "What is wrong now",
        "Checks that are critical, unknown or warning. `dbwatch check TARGET` and the status page show the findings "
        "and the statement that fixes each. Empty means nothing is wrong only if the tiles above show numbers.",
        (Query(f"{status_series(engine)} >= 1 <= 3", instant=True),),
        width=12,
        columns=(
            TableColumn("target", "target"),
            TableColumn("check", "check"),
            TableColumn("Value", "status", said=STATUS_SAID),
        ),
        hidden=("job", "instance"),
        sort_by="status",
    )


def findings_graph(engine: Engine | None) -> Panel:
    """How many findings there were, over time."""
    series = f"dbwatch_check_findings{{{MATCHERS}}} > 0"
    if engine is not None:
        series = f'{series}\nand {SAME_TARGET} dbwatch_target_up{{{MATCHERS},engine="{engine}"}}'
    return Panel(
        Kind.TIMESERIES,
        "Findings",
        "Rows at warning or critical by check. A healthy server shows no data here.",
        (Query(f"sum by (check, status) ({series})", "{{check}} {{status}}"),),
        width=12,
    )
