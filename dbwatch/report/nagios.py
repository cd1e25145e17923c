"""Owns the Nagios plug-in output: one line with performance data, then the long text. Knows no exit code.

Bounded: schedulers cut the output of a plug-in after some kilobytes, so the numbers of whole servers come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

from dbwatch.catalogue import Check
from dbwatch.catalogue.schema import Use
from dbwatch.engines.base import CONNECT_PROBE
from dbwatch.levels import Comparison, thresholds
from dbwatch.model import Row, Status
from dbwatch.report.document import found_beside, worst_first
from dbwatch.report.measures import Measure, measure_of
from dbwatch.report.verdict import overall
from dbwatch.store import TargetView
from dbwatch.template import visible

MOST_VALUES = 100
MOST_LINES = 50
_UNFIT = re.compile(r"[\s'=|\x00-\x1f\x7f]+")
_UNITS = {Measure.BYTES: "B", Measure.SECONDS: "s"}


def render_nagios(views: Sequence[TargetView], *, duration_seconds: float) -> str:
    """The output of the plug-in, ending in a newline."""
    told = [text for _, text in sorted(_told(views), key=lambda pair: -pair[0].severity)]
    outcomes = [check.outcome for view in views for check in view.checks if check.outcome is not None]
    ok = sum(outcome.status is Status.OK for outcome in outcomes)
    skipped = sum(outcome.status is Status.SKIPPED for outcome in outcomes)
    first = told[0].partition(" ")[2] if told else "no targets" if not views else "nothing found"
    more = f", {len(told) - 1} more" if len(told) > 1 else ""
    values, left = _performance(views, duration_seconds)
    count = f"{ok} of {len(outcomes)} checks ok" + (f", {skipped} skipped" if skipped else "")
    lines = [f"DBWATCH {overall(views).upper()} - {first}{more}; {count} | {' '.join(values)}"]
    lines += told[:MOST_LINES]
    if len(told) > MOST_LINES:
        lines.append(f"{len(told) - MOST_LINES} more: --format json shows all")
    if left:
        lines.append(f"performance data: {left} values left out, --format prometheus has all")
    return "\n".join(lines) + "\n"


def _told(views: Sequence[TargetView]) -> Iterator[tuple[Status, str]]:
    """A line for everything that is not ok; what an unreachable server left unknown is one line."""
    for view in views:
        name, down = view.target.name, view.state.up is False
        if down:
            why = f"{view.state.reason}: {view.state.message}" if view.state.reason is not None else view.state.message
            yield Status.UNKNOWN, _neutral(f"UNKNOWN {name} unreachable: {why}")
        for check, outcome in worst_first(view.checks):
            if outcome.status in (Status.OK, Status.SKIPPED):
                continue
            if down and (check.probe == CONNECT_PROBE or outcome.status is Status.UNKNOWN):
                continue
            yield outcome.status, _neutral(f"{outcome.status.upper()} {name} {check.name}: {outcome.summary}")
            if (beside := found_beside(check, outcome)) is not None:
                yield beside.status, _neutral(f"{beside.status.upper()} {name} {check.name}: {beside.summary}")


def _neutral(text: str) -> str:
    """A bar starts the performance data and a newline the next line, so neither may stand in a text."""
    return visible(text).replace("|", "¦")


def _performance(views: Sequence[TargetView], duration_seconds: float) -> tuple[list[str], int]:
    """At most `MOST_VALUES` values, and how many were left out. A check's only row goes before rows of many."""
    single: list[tuple[str, str]] = []
    many: list[tuple[str, str]] = []
    for view in views:
        for check in view.checks:
            for row in check.outcome.rows if check.outcome is not None else ():
                (many if check.check.key else single).extend(_values(view.target.name, check.check, row))
    values: dict[str, str] = {"dbwatch.duration": f"{_plain(round(duration_seconds, 3))}s"}
    for label, value in (*single, *many):
        values.setdefault(label, value)
    shown = [f"'{label}'={value}" for label, value in values.items()]
    return shown[:MOST_VALUES], max(0, len(shown) - MOST_VALUES)


def _values(target: str, check: Check, row: Row) -> Iterator[tuple[str, str]]:
    """NULL gives no value: the absence of a number is not a number."""
    for name, column in check.exported.items():
        value = row.values.get(name)
        if value is None:
            continue
        parts = (target, check.name, row.key, name) if check.key else (target, check.name, name)
        unit = "c" if column.use is Use.COUNTER else _UNITS.get(measure_of(check, name), "")
        limits = f"{_limit(check, name, Status.WARNING)};{_limit(check, name, Status.CRITICAL)}"
        yield _UNFIT.sub("_", ".".join(parts)), f"{_plain(value)}{unit};{limits}".rstrip(";")


def _limit(check: Check, name: str, status: Status) -> str:
    """The first limit that the level sets for the column, as a range outside of which it alerts."""
    level = check.levels.get(status)
    for threshold in thresholds(level) if level is not None else ():
        if threshold.column != name:
            continue
        if threshold.comparison in (Comparison.GREATER, Comparison.GREATER_EQUAL):
            return _plain(threshold.limit) if threshold.limit >= 0 else f"~:{_plain(threshold.limit)}"
        if threshold.comparison in (Comparison.LESS, Comparison.LESS_EQUAL):
            return f"{_plain(threshold.limit)}:"
    return ""


def _plain(value: float) -> str:
    """Never an exponent: many readers of performance data do not know it."""
    if float(value).is_integer():
        return str(int(value))
    return format(Decimal(f"{value:.9g}"), "f")
