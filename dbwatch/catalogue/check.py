"""Owns a check: one question, ready to be asked. Knows no file, no engine and no schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dbwatch.catalogue.families import Collector
from dbwatch.catalogue.measuring import Requires
from dbwatch.catalogue.schema import (
    AlertHints,
    ColumnSpec,
    Cost,
    FieldSpec,
    Lock,
    PanelHints,
    Profile,
    Runbook,
    Scope,
    Use,
)
from dbwatch.levels import Column, Expression, counters_used, forecast_used, parse_level
from dbwatch.model import Engine, Status
from dbwatch.template import Template


@dataclass(frozen=True, slots=True)
class Check:
    """One question, ready to be asked: everything of the file, parsed and typed."""

    name: str
    engine: Engine
    file: str
    summary: str
    group: str
    covers: tuple[str, ...]
    why: str
    every: float
    timeout: float
    scope: Scope
    profile: Profile
    enabled: bool
    on_demand: bool
    lock: Lock
    cost: Cost
    requires: Requires
    sql: Mapping[tuple[int, ...], str]
    only_if: str | None
    """A cheap query without which `sql` is not asked: where it finds no row, `sql` could find none either."""
    command: str | None
    fields: Mapping[str, FieldSpec]
    probe: str | None
    columns: Mapping[str, ColumnSpec]
    derived: Mapping[str, Expression]
    language: Mapping[str, Column]
    resets: str | None
    limit: int
    levels: Mapping[Status, Expression]
    level_texts: Mapping[Status, str]
    for_seconds: float
    key: tuple[str, ...]
    message: Template
    many: Template | None
    fix: Template | None
    runbook: Runbook
    panel: PanelHints | None
    alert: AlertHints
    collector: Collector | None = None

    sampled: bool = field(init=False, compare=False)
    """True when a verdict needs two readings of a counter."""
    forecasts: bool = field(init=False, compare=False)
    """True when a verdict looks farther back than one reading."""
    labels: tuple[str, ...] = field(init=False, compare=False)
    exported: Mapping[str, ColumnSpec] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """What every run asks for is found out once."""
        expressions = (*self.levels.values(), *self.derived.values())
        labels = tuple(name for name, column in self.columns.items() if column.use is Use.LABEL)
        exported = {name: column for name, column in self.columns.items() if column.metric is not None}
        object.__setattr__(self, "sampled", any(counters_used(expression) for expression in expressions))
        object.__setattr__(self, "forecasts", any(forecast_used(expression) for expression in expressions))
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "exported", exported)

    def sql_for(self, version: tuple[int, ...]) -> str | None:
        """The SQL of the highest version not above the server's."""
        fitting = [lowest for lowest in self.sql if lowest <= version]
        return self.sql[max(fitting)] if fitting else None

    def with_levels(self, texts: Mapping[Status, str]) -> Check:
        """The same check with other thresholds. Raises LevelError."""
        merged = {**self.level_texts, **texts}
        worst_first = (Status.CRITICAL, Status.WARNING)
        ordered: dict[Status, str] = {status: merged[status] for status in worst_first if status in merged}
        levels: dict[Status, Expression] = {
            status: parse_level(text, self.language) for status, text in ordered.items()
        }
        return replace(self, levels=levels, level_texts=ordered)
