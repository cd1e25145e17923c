"""Owns how a value of a check is said to a person: which unit its column has, and which column matters most.

Refuses to format numbers itself (`dbwatch.units` does) and to know any report format.
"""

from __future__ import annotations

import datetime
from enum import StrEnum

from dbwatch import units
from dbwatch.catalogue import Check
from dbwatch.catalogue.schema import Use
from dbwatch.levels import Comparison, thresholds
from dbwatch.model import Finding

NO_VALUE = "–"

_ORDERED = frozenset({Comparison.GREATER, Comparison.GREATER_EQUAL, Comparison.LESS, Comparison.LESS_EQUAL})


class Measure(StrEnum):
    """What a number counts."""

    BYTES = "bytes"
    SECONDS = "seconds"
    TIMESTAMP = "timestamp_seconds"
    RATIO = "ratio"
    BYTES_PER_SECOND = "bytes_per_second"
    PER_SECOND = "per_second"
    NUMBER = "number"


# The longest suffix of a name says its unit: bytes_per_second before per_second, timestamp_seconds before seconds.
_SUFFIXES = sorted((measure for measure in Measure if measure is not Measure.NUMBER), key=len, reverse=True)


def measure_of(check: Check, name: str) -> Measure:
    """The unit of a column: what its metric's name says, else the panel, else its own name."""
    column = check.columns.get(name)
    if column is not None and column.metric is not None:
        said = _of_name(column.metric)
        if said is not Measure.NUMBER:
            return said
    panel = check.panel
    if panel is not None and panel.column == name and panel.unit in set(Measure):
        return Measure(panel.unit)
    return _of_name(name)


def value_text(check: Check, name: str, value: float | None) -> str:
    """`812 MiB`, `2 h`, `87 %`, `1,204`; a dash for NULL."""
    if value is None:
        return NO_VALUE
    match measure_of(check, name):
        case Measure.BYTES:
            return units.bytes_text(value)
        case Measure.SECONDS:
            return units.duration_text(value)
        case Measure.RATIO:
            return units.percent_text(value)
        case Measure.BYTES_PER_SECOND:
            return f"{units.bytes_text(value)}/s"
        case Measure.PER_SECOND:
            return f"{units.number_text(value)}/s"
        case Measure.TIMESTAMP:
            return _moment_text(value)
        case _ if (column := check.columns.get(name)) is not None and column.use is Use.DETAIL:
            # Evidence is often a number that names something: a pid is 12345, not 12,345.
            return str(int(value)) if float(value).is_integer() else units.number_text(value)
        case _:
            return units.number_text(value)


def main_column(check: Check, finding: Finding) -> str | None:
    """The column that made it a finding: the first one its level compares, else the first exported one."""
    level = check.levels.get(finding.status)
    compared = [t.column for t in thresholds(level) if t.comparison in _ORDERED] if level is not None else []
    return next((name for name in (*compared, *check.exported) if name in finding.values), None)


def _of_name(name: str) -> Measure:
    bare = name.removesuffix("_total")
    return next((m for m in _SUFFIXES if bare == m or bare.endswith(f"_{m}")), Measure.NUMBER)


def _moment_text(seconds: float) -> str:
    try:
        moment = datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC)
    except (OverflowError, OSError, ValueError):
        return units.number_text(seconds)
    return moment.strftime("%Y-%m-%d %H:%M UTC")
